// A lab all of whose SIP goes over TLS, its certificate made for it.

import Foundation
import Glibc
import Testing

@Suite struct SecureLabTests {
    private static let topology = """
        domain: home1.test
        core: {listen: ["tls://127.0.0.1:0"], http: "127.0.0.1:0"}
        application_servers:
          im: {uri: "sip:127.0.0.1:0;transport=tls", feature_tags: [+g.oma.sip-im], run: im-server}
        subscribers:
          alice: {password: wonderland, application_servers: [im]}
          bob: {password: builder, application_servers: [im]}
        clients: {alice: {run: im-client}, bob: {run: im-client}}
        scenarios:
          over TLS:
            - alice: register
            - bob: register
            - alice: message bob "there"
            - expect: {at: bob, request: MESSAGE, body: there}
            - bob: unregister
            - alice: message bob "away"
            - expect: {at: im, stored: 1}
            - bob: register
            - expect: {at: bob, request: MESSAGE, body: away}
            - expect: {at: im, stored: 0}

        """

    @Test func `its scenario passes`() async throws {
        let folder = try TemporaryFolder()
        let topology = try folder.write("lab.yaml", Self.topology)
        let (status, lab) = try await run([sipcore, "lab", topology, "--scenarios"], named: "lab", in: folder)
        #expect(status == 0, "\(lab.output)\n\(lab.errors)")
    }

    @Test func `its certificate is named, and goes with it`() async throws {
        let folder = try TemporaryFolder()
        let topology = try folder.write("lab.yaml", Self.topology)
        let lab = try Child([sipcore, "lab", topology], named: "lab", in: folder)
        let core = try #require(try await lab.ready().nodes?["core"])
        let certificate = try #require(core.certificate)
        let port = try #require(core.sip?.first?.split(separator: ":").last.flatMap { UInt16($0) })
        let peer = try await TLSClient(to: port, trusting: certificate)
        var request = SIPRequest.options(from: peer.port)
        request.via = "SIP/2.0/TLS"
        peer.send(request.text)
        #expect(SIPAnswer(try await peer.received()).status == 200)
        lab.signal(SIGTERM)
        #expect(try await lab.end() == 0, "\(lab.errors)")
        #expect(!FileManager.default.fileExists(atPath: certificate))
    }

    @Test func `each node alone makes and believes certificates as it is told`() async throws {
        let folder = try TemporaryFolder()
        let core = try await RunningCore(in: folder, authentication: "digest", tls: true)
        let certificate = try #require(core.certificate)
        let port = try core.port("tls")
        let client = [
            sipcore, "im-client", "--core", "sip:127.0.0.1:\(port);transport=tls", "--public-identity", "sip:alice@home1.test",
            "--password",
            "wonderland", "register", "unregister",
        ]
        let (trusting, alice) = try await run(client + ["--trust", certificate], named: "alice", in: folder)
        #expect(trusting == 0, "\(alice.output)\n\(alice.errors)")
        // Whoever trusts the system's authorities alone does not believe a certificate that nobody signed.
        let (doubting, _) = try await run(client, named: "doubting", in: folder)
        #expect(doubting == 1)
        let (status, wrong) = try await run(client + ["--trust", "\(folder.path)/none.pem"], named: "wrong", in: folder)
        #expect(status == 3)
        #expect(wrong.errors.contains("--trust: cannot read"))
        let server = try Child(
            [
                sipcore, "im-server", "--listen", "tls://127.0.0.1:0", "--core", "sip:127.0.0.1:\(port);transport=tls", "--domain",
                "home1.test",
                "--trust", certificate,
            ], named: "im", in: folder)
        let ready = try await server.ready()
        let own = try #require(ready.certificate)
        #expect(try ready.port("tls") != 0 && FileManager.default.fileExists(atPath: own))
        server.signal(SIGTERM)
        #expect(try await server.end() == 0, "\(server.errors)")
        #expect(!FileManager.default.fileExists(atPath: own))
        try await core.stop()
    }
}
