// Requests that are sent by hand: by HTTP and by the command, as subscribers and to nodes.

import Glibc
import Testing

@Suite struct SendTests {
    private struct Sent: Decodable {
        let request: Message
        let responses: [Message]

        struct Message: Decodable {
            let start_line: String
            let status: Int?
            let reason: String?
            let headers: [[String]]
            let body: String?

            subscript(name: String) -> String? { headers.first { $0[0] == name }?[1] }
        }
    }

    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func send(_ order: String, to core: RunningCore) async throws -> (status: Int, sent: Sent?, body: String) {
        let answer = try await http("POST", "/api/send", port: core.http, body: order)
        return (answer.status, try? answer.decoded(Sent.self), answer.body)
    }

    /// The lines of a message that a peer has got.
    private func next(_ peer: DatagramPeer) async throws -> String {
        var text: String?
        _ = await eventually {
            text = peer.received()
            return text != nil
        }
        return try #require(text)
    }

    /// Registers bob at a peer's address.
    private func bob(at core: RunningCore) async throws -> DatagramPeer {
        let peer = try DatagramPeer(to: core.udp)
        let order = #"{"as":"bob","method":"REGISTER","headers":{"Contact":"<sip:bob@127.0.0.1:\#(peer.port)>","Expires":"300"}}"#
        #expect(try await send(order, to: core).sent?.responses.last?.status == 200)
        return peer
    }

    @Test(arguments: [1, 2])
    func `a subscriber is believed without a challenge`(shards: Int) async throws {
        let core = try await RunningCore(in: folder, authentication: "digest", settings: "  shards: \(shards)")
        let bob = try await bob(at: core)
        async let answer = send(
            #"{"as":"alice","method":"MESSAGE","uri":"sip:bob@home1.test","headers":{"Subject":"by hand"},"body":"hello"}"#, to: core)
        let received = try await next(bob)
        #expect(received.hasPrefix("MESSAGE sip:bob@127.0.0.1:\(bob.port) SIP/2.0\r\n"))
        #expect(received.contains("\r\nP-Asserted-Identity: <sip:alice@home1.test>\r\n"))
        #expect(received.contains("\r\nFrom: <sip:alice@home1.test>;tag="))
        #expect(received.contains("\r\nSubject: by hand\r\n") && received.hasSuffix("\r\n\r\nhello"))
        bob.send(Array(Self.answer(200, "Read", to: received).utf8))
        let sent = try #require(try await answer.sent)
        #expect(sent.responses.map(\.status) == [200] && sent.responses.first?.reason == "Read")
        #expect(sent.request["Call-ID"] == sent.responses.first?["Call-ID"])
        try await core.stop()
    }

    @Test func `what is given is kept, and the sender may be the one in From`() async throws {
        let core = try await RunningCore(in: folder, authentication: "digest")
        let raw =
            #"\nMESSAGE sip:nobody@home1.test SIP/2.0\nFrom: \"A\" <sip:alice@home1.test>;tag=mine\nCall-ID: mine@h\nCSeq: 77 MESSAGE\n"#
            + #"Max-Forwards: 3\nVia: SIP/2.0/UDP elsewhere.test;branch=z9hG4bKtheirs\nContent-Length: 99\n\nx"#
        let sent = try #require(try await send(#"{"raw":"\#(raw)"}"#, to: core).sent)
        #expect(sent.responses.last?.status == 404)
        #expect(sent.request["From"] == #""A" <sip:alice@home1.test>;tag=mine"# && sent.request["Call-ID"] == "mine@h")
        #expect(sent.request["CSeq"] == "77 MESSAGE" && sent.request["Max-Forwards"] == "3" && sent.request["Content-Length"] == "1")
        #expect(sent.request["Via"]?.contains("elsewhere") == false)
        #expect(sent.request["To"] == "<sip:nobody@home1.test>")
        try await core.stop()
    }

    @Test(arguments: [1, 2])
    func `a node gets it straight from the core`(shards: Int) async throws {
        let port = try #require(try freePorts(1).first)
        let core = try await RunningCore(
            in: folder, settings: "  shards: \(shards)",
            subscribers: """
                  alice: {password: wonderland, application_servers: [im]}
                  bob: {password: builder}
                application_servers:
                  im: {uri: "sip:127.0.0.1:\(port)", feature_tags: [+g.oma.sip-im]}
                """)
        let peer = try DatagramPeer(to: core.udp, from: port)
        async let answer = send(#"{"to":"im","method":"OPTIONS"}"#, to: core)
        let received = try await next(peer)
        #expect(received.hasPrefix("OPTIONS sip:127.0.0.1:\(peer.port) SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:\(core.udp);branch="))
        peer.send(Array(Self.answer(503, "Busy", to: received).utf8))
        #expect(try await answer.sent?.responses.map(\.status) == [503])

        let bob = try await bob(at: core)
        async let other = send(#"{"to":"bob","method":"OPTIONS"}"#, to: core)
        let contact = try await next(bob)
        #expect(contact.hasPrefix("OPTIONS sip:bob@127.0.0.1:\(bob.port) SIP/2.0\r\n"))
        bob.send(Array(Self.answer(200, "OK", to: contact).utf8))
        #expect(try await other.sent?.responses.map(\.status) == [200])

        let silent = try await send(#"{"to":"bob","method":"OPTIONS","wait":"50ms"}"#, to: core)
        #expect(silent.status == 504 && silent.sent?.responses.isEmpty == true)
        let refusals = [
            (#"{"to":"alice","method":"OPTIONS"}"#, 409), (#"{"to":"carol","method":"OPTIONS"}"#, 400),
            (#"{"as":"carol","method":"X","uri":"sip:x"}"#, 400),
        ]
        for (order, status) in refusals { #expect(try await send(order, to: core).status == status, "\(order)") }
        try await core.stop()
    }

    /// Nobody is there to talk: the call is acknowledged and ended.
    @Test(arguments: [#""as":"alice","uri":"sip:bob@home1.test""#, #""to":"bob""#])
    func `a call that is answered is ended`(way: String) async throws {
        let core = try await RunningCore(in: folder)
        let bob = try await bob(at: core)
        async let answer = send(#"{\#(way),"method":"INVITE"}"#, to: core)
        let invite = try await next(bob)
        bob.send(Array(Self.answer(180, "Ringing", to: invite, contact: bob.port).utf8))
        bob.send(Array(Self.answer(200, "OK", to: invite, contact: bob.port).utf8))
        var seen: [String] = []
        while seen.last != "BYE" {
            let request = try await next(bob)
            seen.append(String(request.prefix { $0 != " " }))
            if seen.last == "BYE" { bob.send(Array(Self.answer(200, "OK", to: request).utf8)) }
        }
        #expect(seen.filter { $0 != "INVITE" } == ["ACK", "BYE"])
        #expect(try await answer.sent?.responses.compactMap(\.status).filter { $0 > 100 } == [180, 200])
        try await core.stop()
    }

    @Test(arguments: [#""as":"alice","uri":"sip:bob@home1.test""#, #""to":"bob""#])
    func `a call that is not answered is cancelled`(way: String) async throws {
        let core = try await RunningCore(in: folder)
        let bob = try await bob(at: core)
        async let answer = send(#"{\#(way),"method":"INVITE","wait":"200ms"}"#, to: core)
        let invite = try await next(bob)
        bob.send(Array(Self.answer(180, "Ringing", to: invite, contact: bob.port).utf8))
        var cancel = try await next(bob)
        while !cancel.hasPrefix("CANCEL ") { cancel = try await next(bob) }
        bob.send(Array(Self.answer(200, "OK", to: cancel).utf8))
        bob.send(Array(Self.answer(487, "Request Terminated", to: invite).utf8))
        var acknowledgement = try await next(bob)
        while !acknowledgement.hasPrefix("ACK ") { acknowledgement = try await next(bob) }
        #expect(try await answer.status == 504)
        try await core.stop()
    }

    @Test func `the command prints the answers`() async throws {
        let core = try await RunningCore(in: folder, authentication: "digest")
        let address = "http://127.0.0.1:\(core.http)"
        try folder.write("register.sip", "REGISTER sip:home1.test SIP/2.0\nContact: <sip:alice@127.0.0.1:9>\n\n")
        let (status, child) = try await run(
            [sipcore, "send", "register.sip", "--as", "alice", "--core", address], named: "one", in: folder)
        #expect(status == 0, "\(child.errors)")
        #expect(
            child.output.hasPrefix("SIP/2.0 200 OK\r\nVia: ") && child.output.contains("\r\nP-Associated-URI: <sip:alice@home1.test>\r\n"))
        try folder.write("message.sip", "MESSAGE sip:nobody@home1.test SIP/2.0\nFrom: <sip:alice@home1.test>;tag=1\n\nhello")
        let refused = try await run([sipcore, "send", "message.sip", "--core", address], named: "two", in: folder)
        #expect(refused.0 == 1 && refused.1.output.hasPrefix("SIP/2.0 404 "))
        let unknown = try await run([sipcore, "send", "message.sip", "--to", "carol", "--core", address], named: "three", in: folder)
        #expect(unknown.0 == 1 && unknown.1.errors.contains("no application server, network or subscriber carol"))
        #expect(try await run([sipcore, "send", "none.sip", "--core", address], named: "four", in: folder).0 == 3)
        #expect(try await run([sipcore, "send", "message.sip", "--as", "a", "--to", "b"], named: "five", in: folder).0 == 2)
        #expect(try await run([sipcore, "send", "message.sip", "--wait", "1h"], named: "six", in: folder).0 == 2)
        try await core.stop()
        #expect(try await run([sipcore, "send", "message.sip", "--core", address], named: "seven", in: folder).0 == 3)
    }

    /// A response with what it has to take over.
    private static func answer(_ status: Int, _ reason: String, to request: String, contact: UInt16? = nil) -> String {
        var lines = ["SIP/2.0 \(status) \(reason)"]
        for line in request.split(separator: "\r\n").dropFirst() {
            let name = line.prefix { $0 != ":" }.lowercased()
            if name == "to" {
                lines.append(line.contains("tag=") ? String(line) : "\(line);tag=b")
            } else if ["via", "from", "call-id", "cseq", "record-route"].contains(name) {
                lines.append(String(line))
            }
        }
        if let contact { lines.append("Contact: <sip:bob@127.0.0.1:\(contact)>") }
        return lines.joined(separator: "\r\n") + "\r\nContent-Length: 0\r\n\r\n"
    }
}
