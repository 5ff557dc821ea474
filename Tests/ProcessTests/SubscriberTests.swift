// Subscribers that are put and removed while the core runs, over restarts and with several shards.

import Glibc
import Testing

@Suite struct SubscriberTests {
    private let folder: TemporaryFolder
    private let port: UInt16
    /// The application server, which speaks to the core only.
    private let im: DatagramPeer

    init() throws {
        folder = try TemporaryFolder()
        port = try freePorts(1)[0]
        im = try DatagramPeer(to: port)
    }

    private func core(named name: String = "core", shards: Int = 3) async throws -> RunningCore {
        try await RunningCore(
            in: folder, named: name, port: port, settings: "  database: core.sqlite\n  shards: \(shards)",
            subscribers: """
                  alice: {password: wonderland, application_servers: [im]}
                  bob: {password: builder}
                  "u{00..99}": {password: x, application_servers: [im]}
                application_servers:
                  im: {uri: "sip:127.0.0.1:\(im.port)", feature_tags: [+g.oma.sip-im]}
                """)
    }

    private func register(_ user: String, expires: Int = 3600) async throws -> Int {
        let peer = try DatagramPeer(to: port)
        let request = SIPRequest(
            method: "REGISTER", uri: "sip:home1.test", from: "<sip:\(user)@home1.test>", to: "<sip:\(user)@home1.test>",
            contact: "<sip:\(user)@127.0.0.1:\(peer.port)>", port: peer.port, headers: ["Expires: \(expires)"])
        return try await peer.answer(to: request).status
    }

    /// Waits for a third-party REGISTER of a user, and answers what comes meanwhile.
    private func hears(of user: String, expires: Int) async throws -> Bool {
        await eventually {
            while let text = im.received() {
                let request = SIPAnswer(text)
                guard text.hasPrefix("REGISTER") else { continue }
                let fields = text.split(separator: "\r\n").filter { line in
                    ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].contains { line.hasPrefix($0) }
                }
                im.send(Array(("SIP/2.0 200 OK\r\n" + fields.joined(separator: "\r\n") + "\r\nContent-Length: 0\r\n\r\n").utf8))
                if request["To"] == "<sip:\(user)@home1.test>", request["Expires"] == String(expires) { return true }
            }
            return false
        }
    }

    private func put(_ name: String, _ json: String, _ core: RunningCore) async throws -> HTTPAnswer {
        try await http("PUT", "/api/subscribers/\(name)", port: core.http, body: json)
    }

    @Test func `a subscriber comes, outlives the process, and goes`() async throws {
        var core = try await core()
        #expect(try await register("dave") == 404)
        let created = try await put("dave", #"{"password":"secret","application_servers":["im"]}"#, core)
        #expect(created.status == 201)
        #expect(created.body.contains(#""public_identities":["sip:dave@home1.test"]"#) && !created.body.contains("secret"))
        #expect(try await put("dave", #"{"password":"other","application_servers":["im"]}"#, core).status == 200)
        #expect(try await register("dave") == 200)
        #expect(try await hears(of: "dave", expires: 3600))
        #expect(try await http("DELETE", "/api/subscribers/bob", port: core.http).status == 204)
        #expect(try await http("DELETE", "/api/subscribers/u07", port: core.http).status == 204)
        core.process.signal(SIGKILL)
        _ = try await core.process.end()

        // In as many shards as one likes.
        core = try await self.core(named: "again", shards: 2)
        #expect(try await http("GET", "/api/subscribers/dave", port: core.http).status == 200)
        let kept = try await http("GET", "/api/registrations", port: core.http).decoded(Registrations.self).registrations
        #expect(kept.map(\.public_identity) == ["sip:dave@home1.test"])
        #expect(try await register("dave") == 200)
        #expect(try await hears(of: "dave", expires: 3600))
        for gone in ["bob", "u07"] {
            #expect(try await register(gone) == 404)
            #expect(try await http("GET", "/api/subscribers/\(gone)", port: core.http).status == 404)
        }
        #expect(try await register("u08") == 200)
        let all = try await http("GET", "/api/subscribers", port: core.http).body
        #expect(all.contains(#""name":"u{00..99}""#) && all.contains(#""except":["u07"]"#), "\(all)")

        #expect(try await http("DELETE", "/api/subscribers/dave", port: core.http).status == 204)
        #expect(try await hears(of: "dave", expires: 0))
        #expect(try await register("dave") == 404)
        #expect(try await http("DELETE", "/api/subscribers/dave", port: core.http).status == 404)
        #expect(try await put("bob", #"{"password":"builder"}"#, core).status == 201)
        #expect(try await put("u07", #"{"password":"y"}"#, core).status == 201)
        for back in ["bob", "u07"] { #expect(try await register(back) == 200) }
        try await core.stop()

        core = try await self.core(named: "once more")
        #expect(try await register("dave") == 404)
        let registered = try await http("GET", "/api/registrations", port: core.http).decoded(Registrations.self).registrations
        #expect(Set(registered.map(\.public_identity)) == ["sip:bob@home1.test", "sip:u07@home1.test", "sip:u08@home1.test"])
        #expect(core.process.errors == "")
        try await core.stop()
    }

    @Test func `other identities end a registration`() async throws {
        let core = try await core()
        #expect(try await register("alice") == 200)
        #expect(try await hears(of: "alice", expires: 3600))
        let changed = try await put(
            "alice", #"{"password":"x","application_servers":["im"],"public_identities":["sip:alicia@home1.test"]}"#, core)
        #expect(changed.status == 200)
        #expect(try await hears(of: "alice", expires: 0))
        #expect(try await register("alice") == 404)
        #expect(try await register("alicia") == 200)
        try await core.stop()
    }

    @Test func `what a change has ended stays so, however soon the process dies`() async throws {
        for name in ["changed", "removed"] {
            var core = try await core(named: name)
            let user = name == "changed" ? "alice" : "u07"
            #expect(try await register(user) == 200)
            if name == "changed" {
                let json = #"{"password":"x","public_identities":["sip:alice@home1.test"],"private_identity":"alicia@home1.test"}"#
                #expect(try await put(user, json, core).status == 200)
            } else {
                #expect(try await http("DELETE", "/api/subscribers/\(user)", port: core.http).status == 204)
            }
            core.process.signal(SIGKILL)
            _ = try await core.process.end()
            core = try await self.core(named: "\(name) again", shards: 2)
            #expect(try await http("GET", "/api/registrations", port: core.http).decoded(Registrations.self).registrations.isEmpty)
            try await core.stop()
        }
    }

    @Test func `what is wrong is said, and nothing changes`() async throws {
        let core = try await core()
        for (name, json, status, field) in [
            ("dave", #"{"pasword":"x"}"#, 400, "pasword"), ("dave", "{", 400, nil), ("dave", "", 400, nil),
            ("dave", #"{"password":"x","application_servers":["imm"]}"#, 400, "application_servers[0]"),
            ("dave", #"{"password":"x","public_identities":["sip:u07@home1.test"]}"#, 409, "public_identities"),
            ("dave", #"{"password":"x","private_identity":"bob@home1.test"}"#, 409, "private_identity"),
            ("v%7B0..9%7D", #"{"password":"x"}"#, 400, "name"), ("a%20b", #"{"password":"x"}"#, 400, "name"),
        ] {
            let answer = try await put(name, json, core)
            #expect(answer.status == status, "\(json): \(answer.body)")
            #expect(answer.body.contains(#""error":""#))
            #expect(answer.body.contains(#""field":"# + "\"\(field ?? "")\"") == (field != nil), "\(json): \(answer.body)")
        }
        #expect(try await http("DELETE", "/api/subscribers/u%7B00..99%7D", port: core.http).status == 400)
        #expect(try await http("DELETE", "/api/subscribers/nobody", port: core.http).status == 404)
        #expect(try await http("POST", "/api/subscribers/dave", port: core.http).status == 405)
        #expect(try await http("GET", "/api/subscribers/dave", port: core.http).status == 404)
        #expect(try await register("u07") == 200)
        try await core.stop()
    }

    @Test func `a user is made to register again`() async throws {
        let core = try await core()
        #expect(try await register("bob") == 200)
        #expect(try await http("POST", "/api/registrations/sip%3Abob%40home1.test/reauthenticate", port: core.http).status == 204)
        let registration = try await http("GET", "/api/registrations/sip:bob@home1.test", port: core.http).decoded(Shortened.self)
        #expect(registration.contacts.count == 1 && registration.contacts.allSatisfy { $0.expires <= 60 })
        #expect(try await http("POST", "/api/registrations/sip:alice@home1.test/reauthenticate", port: core.http).status == 404)
        try await core.stop()
    }

    @Test func `a user is told not to come back for a while`() async throws {
        let core = try await core()
        let peer = try DatagramPeer(to: port)
        let (alice, contact) = ("<sip:alice@home1.test>", "<sip:alice@127.0.0.1:\(peer.port)>")
        let register = SIPRequest(
            method: "REGISTER", uri: "sip:home1.test", from: alice, to: alice, contact: contact, port: peer.port)
        #expect(try await peer.answer(to: register).status == 200)
        #expect(try await hears(of: "alice", expires: 3600))
        let subscribe = SIPRequest(
            method: "SUBSCRIBE", uri: "sip:alice@home1.test", from: alice, contact: contact, port: peer.port,
            headers: ["Event: reg", "Expires: 600"])
        #expect(try await peer.answer(to: subscribe).status == 200)
        let path = "/api/registrations/sip:alice@home1.test?event=probation"
        let refused = try await http("DELETE", path, port: core.http)
        #expect(refused.status == 400 && refused.body.contains(#""field":"retry_after""#), "\(refused.body)")
        #expect(try await http("DELETE", path + "&retry_after=300", port: core.http).status == 204)
        #expect(try await hears(of: "alice", expires: 0))
        var last = ""
        let isTold = await eventually {
            while let text = peer.received() {
                guard text.hasPrefix("NOTIFY") else { continue }
                last = text
                let fields = text.split(separator: "\r\n").filter { line in
                    ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].contains { line.hasPrefix($0) }
                }
                peer.send(Array(("SIP/2.0 200 OK\r\n" + fields.joined(separator: "\r\n") + "\r\nContent-Length: 0\r\n\r\n").utf8))
            }
            return last.contains("\r\nSubscription-State: terminated;reason=probation;retry-after=300\r\n")
        }
        #expect(isTold && last.contains("event=\"probation\" retry-after=\"300\""), "\(last)")
        let counter = "sipcore_third_party_registers_by_type_total{application_server=\"im\",registration_type=\"deregistration\""
        #expect(try await metric(counter + ",result=\"accepted\"}", port: core.http) == 1)
        try await core.stop()
    }

    private struct Shortened: Decodable {
        let contacts: [Contact]
        struct Contact: Decodable { let expires: Int }
    }

    @Test func `a reset forgets all but subscribers`() async throws {
        var core = try await core()
        #expect(try await put("dave", #"{"password":"x"}"#, core).status == 201)
        for user in ["dave", "bob", "u01", "u02", "u03"] { #expect(try await register(user) == 200) }
        #expect(try await http("POST", "/api/reset", port: core.http).status == 204)
        #expect(try await http("GET", "/api/registrations", port: core.http).body == #"{"registrations":[]}"#)
        #expect(try await metric("sipcore_registrations", port: core.http) == 0)
        // What the servers are told again and again is forgotten too.
        #expect(try await http("GET", "/api/messages", port: core.http).decoded(Messages.self).messages.isEmpty)
        #expect(try await register("bob") == 200)
        #expect(try await http("GET", "/api/messages", port: core.http).decoded(Messages.self).messages.first?.sequence == 1)
        core.process.signal(SIGKILL)
        _ = try await core.process.end()

        core = try await self.core(named: "again")
        let kept = try await http("GET", "/api/registrations", port: core.http).decoded(Registrations.self).registrations
        #expect(kept.map(\.public_identity) == ["sip:bob@home1.test"])
        #expect(try await register("dave") == 200)
        try await core.stop()
    }

    @Test func `the lab's own server forgets what the core forgets`() async throws {
        let topology = """
            domain: home1.test
            core: {listen: ["udp://127.0.0.1:0"], http: "127.0.0.1:0"}
            lab: {http: "127.0.0.1:0"}
            application_servers: {im: {uri: "sip:127.0.0.1:0", feature_tags: [+g.oma.sip-im], run: im-server}}
            subscribers: {alice: {password: wonderland, application_servers: [im]}, bob: {password: builder, application_servers: [im]}}
            clients: {alice: {run: im-client}}

            """
        let lab = try Child([sipcore, "lab", try folder.write("lab.yaml", topology)], named: "lab", in: folder)
        let ready = try await lab.ready()
        let (control, core, im) = try (ready.httpPort, httpPort(of: "core", ready), httpPort(of: "im", ready))
        for command in ["register", "message bob \\\"see you\\\""] {
            let done = try await http("POST", "/api/clients/alice", port: control, body: "{\"do\":\"\(command)\"}")
            #expect(done.status == 200, "\(done.body)")
        }
        #expect(try await http("GET", "/api/stored", port: im).body.contains("see you"))
        #expect(try await http("POST", "/api/reset", port: core).status == 204)
        #expect(try await http("GET", "/api/stored", port: im).body == #"{"stored":[]}"#)
        lab.signal(SIGINT)
        #expect(try await lab.end() == 0, "\(lab.errors)")
    }

    private func httpPort(of node: String, _ ready: ReadyLine) throws -> UInt16 {
        try #require(ready.nodes?[node]?.http?.split(separator: ":").last.flatMap { UInt16($0) })
    }
}
