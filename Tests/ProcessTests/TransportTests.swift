// Users on TLS and on WebSocket, through a core as a process.

import Foundation
import Glibc
import Testing

@Suite struct TransportTests {
    private static func register(_ user: String, via: String, port: UInt16, contact: String) -> SIPRequest {
        let identity = "<sip:\(user)@home1.test>"
        return SIPRequest(
            method: "REGISTER", uri: "sip:home1.test", from: identity, to: identity, contact: contact, via: "SIP/2.0/\(via)", port: port)
    }

    private func start(_ folder: TemporaryFolder, tls: String = "") async throws -> (core: Child, ready: ReadyLine) {
        let topology = try folder.write(
            "core.yaml",
            """
            domain: home1.test
            core:
              listen: [udp://127.0.0.1:0, tls://127.0.0.1:0, ws://127.0.0.1:0, wss://127.0.0.1:0]
              http: 127.0.0.1:0
              authentication: none
            \(tls)
            subscribers:
            \(twoSubscribers)

            """)
        let core = try Child([sipcore, "core", topology], named: "core", in: folder)
        return (core, try await core.ready())
    }

    @Test func `users on TLS and on WebSocket reach each other`() async throws {
        let folder = try TemporaryFolder()
        let (core, ready) = try await start(folder)
        let certificate = try #require(ready.certificate)
        let alice = try await TLSClient(to: ready.port("tls"), trusting: certificate)
        alice.send(
            Self.register("alice", via: "TLS", port: alice.port, contact: "<sip:alice@127.0.0.1:\(alice.port);transport=tls>").text)
        let registered = SIPAnswer(try await alice.received())
        #expect(registered.status == 200)
        #expect(registered["Service-Route"]?.contains(";transport=tls;lr") == true)

        let bob = try await WebSocketClient(to: ready.port("ws"))
        var request = Self.register("bob", via: "WS", port: 1, contact: "<sip:bob@df7jal23ls0d.invalid;transport=ws>").text
        // A WebSocket says itself how long a message is.
        request = request.replacing("Content-Length: 0\r\n", with: "").replacing("127.0.0.1:1;", with: "df7jal23ls0d.invalid;")
        try await bob.send(request)
        #expect(SIPAnswer(try await bob.received()).status == 200)

        let message = SIPRequest(
            method: "MESSAGE", uri: "sip:bob@home1.test", from: "<sip:alice@home1.test>", via: "SIP/2.0/TLS", port: alice.port)
        alice.send(message.text)
        let arrived = try await bob.received()
        #expect(arrived.hasPrefix("MESSAGE sip:bob@df7jal23ls0d.invalid;transport=ws SIP/2.0\r\nVia: SIP/2.0/WS 127.0.0.1:"))
        let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"]
        let lines = arrived.split(separator: "\r\n").filter { line in kept.contains { line.hasPrefix($0) } }
        try await bob.send((["SIP/2.0 200 OK"] + lines).joined(separator: "\r\n") + "\r\n\r\n")
        let answer = SIPAnswer(try await alice.received())
        #expect(answer.status == 200)
        #expect(answer["Call-ID"] == message.callID)

        let registrations = try await http("GET", "/api/registrations", port: ready.httpPort).body
        #expect(registrations.contains("\"flow\":\"tls://127.0.0.1:\(alice.port)\""))
        #expect(registrations.contains("\"flow\":\"ws://127.0.0.1:\(bob.port)\""))
        core.signal(SIGTERM)
        #expect(try await core.end() == 0, "\(core.errors)")
        #expect(!FileManager.default.fileExists(atPath: certificate))
    }

    @Test func `the certificate of the topology is shown`() async throws {
        let folder = try TemporaryFolder()
        let (status, openssl) = try await run(
            [
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=home1.test", "-addext",
                "subjectAltName=DNS:home1.test,IP:127.0.0.1", "-keyout", "core.key", "-out", "core.pem",
            ], named: "openssl", in: folder)
        try #require(status == 0, "\(openssl.errors)")
        let (core, ready) = try await start(folder, tls: "  tls: {certificate: core.pem, key: core.key}")
        #expect(ready.certificate == nil)
        let peer = try await TLSClient(to: ready.port("tls"), trusting: folder.path + "/core.pem")
        var request = SIPRequest.options(from: peer.port)
        request.via = "SIP/2.0/TLS"
        peer.send(request.text)
        #expect(SIPAnswer(try await peer.received()).status == 200)
        core.signal(SIGTERM)
        #expect(try await core.end() == 0, "\(core.errors)")
    }

    @Test func `a key of another certificate is pointed out`() async throws {
        let folder = try TemporaryFolder()
        for name in ["a", "b"] {
            let (status, openssl) = try await run(
                [
                    "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=\(name).test", "-keyout",
                    "\(name).key", "-out", "\(name).pem",
                ], named: "openssl", in: folder)
            try #require(status == 0, "\(openssl.errors)")
        }
        let topology = try folder.write("core.yaml", "domain: a.test\ncore: {tls: {certificate: a.pem, key: b.key}}\n")
        let (status, check) = try await run([sipcore, "check", topology], named: "check", in: folder)
        #expect(status == 1)
        #expect(check.output.contains(":2:39: error: this key does not belong to the certificate; "), "\(check.output)\(check.errors)")
    }
}
