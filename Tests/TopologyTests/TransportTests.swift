import Testing

@testable import Topology

/// `core.listen` and `core.tls` with the transports of streams.
@Suite struct TransportTests {
    @Test func listenersOfAllTransports() throws {
        let text = """
            domain: home1.test
            core: {listen: ['tls://127.0.0.1', 'wss://[::1]', 'ws://127.0.0.1', 'wss://127.0.0.1:0', 'tls://[::1]:5071']}

            """
        let topology = try #require(read(text).topology)
        #expect(
            topology.core.listen == [
                ListenAddress(transport: .tls, host: "127.0.0.1", port: 5061), ListenAddress(transport: .wss, host: "::1", port: 443),
                ListenAddress(transport: .ws, host: "127.0.0.1", port: 80), ListenAddress(transport: .wss, host: "127.0.0.1", port: 0),
                ListenAddress(transport: .tls, host: "::1", port: 5071),
            ])
        #expect(topology.core.tls == TLSFiles())
    }

    @Test func originsOfWebSockets() throws {
        let text = "domain: a.test\ncore: {websocket_origins: ['https://phone.a.test', 'http://[::1]:8000']}\n"
        #expect(try #require(read(text).topology).core.webSocketOrigins == ["https://phone.a.test", "http://[::1]:8000"])
        #expect(try #require(read("domain: a.test\n").topology).core.webSocketOrigins == nil)
        for wrong in ["phone.a.test", "https://phone.a.test/page", "https://", "https://a.test:99999"] {
            let found = faults("domain: a.test\ncore: {websocket_origins: ['\(wrong)']}\n")
            #expect(found.count == 1 && found[0].contains("no origin") && found[0].hasPrefix("2:"), "\(found)")
        }
    }

    @Test func oneSocketIsBoundOnce() {
        let listen = "core: {listen: ['tcp://127.0.0.1:5060', 'ws://127.0.0.1:5060', 'udp://127.0.0.1:5060', 'tls://127.0.0.1:5060']}"
        #expect(
            faults("domain: a.test\n\(listen)\n") == [
                "2:41: error: the core listens here already; write each address once",
                "2:88: error: the core listens here already; write each address once",
            ])
    }

    @Test func filesAreReadFromTheFolderOfTheTopology() throws {
        let text = "domain: a.test\ncore: {tls: {certificate: a.pem, key: ../a.key, trust: /etc/ca.pem, clients: require}}\n"
        let files = ["/home/me/lab/a.pem": "chain", "/home/me/a.key": "key", "/etc/ca.pem": "trust"]
        let topology = try #require(read(text, files: files).topology)
        var expected = TLSFiles()
        expected.certificate = Array("chain".utf8)
        expected.key = Array("key".utf8)
        expected.trust = Array("trust".utf8)
        expected.clients = .require
        #expect(topology.core.tls == expected)
    }

    @Test(arguments: [
        (
            "{certificate: a.pem, key: b.key}",
            ["2:39: error: cannot read /home/me/lab/b.key: no such file; write the name of a file in PEM"]
        ),
        ("{certificate: a.pem}", ["2:27: error: the certificate has no key; write core.tls.key too"]),
        ("{key: a.key}", ["2:19: error: the key has no certificate; write core.tls.certificate too"]),
        (
            "{clients: request}",
            ["2:23: error: nothing says whose certificates are believed; write core.tls.trust too, or 'clients: none'"]
        ),
        ("{trust: a.pem, clients: all}", ["2:37: error: this is not 'none', 'request' or 'require' but 'all'"]),
    ]) func filesThatDoNotDo(section: String, expected: [String]) {
        let text = "domain: a.test\ncore: {tls: \(section)}\n"
        let found = read(text, files: ["/home/me/lab/a.pem": "x", "/home/me/lab/a.key": "y"]).faults.map(\.description)
        #expect(found.count == expected.count)
        for (fault, start) in zip(found, expected) {
            // Of a word only its place matters here: the words themselves are the codec's.
            let isWord = start.contains("'all'")
            #expect(fault.hasPrefix("lab/t.yaml:" + (isWord ? String(start.prefix(12)) : start)), "\(fault)")
        }
    }

    @Test(arguments: [(TLSFileFault.File.certificate, "2:27"), (.key, "2:39"), (.trust, "2:53")])
    func whatIsWrongWithAFileIsToldAtItsPlace(file: TLSFileFault.File, place: String) {
        let text = "domain: a.test\ncore: {tls: {certificate: a.pem, key: a.key, trust: c.pem}}\n"
        let files = ["/home/me/lab/a.pem": "x", "/home/me/lab/a.key": "y", "/home/me/lab/c.pem": "z"]
        let found = read(text, files: files, tlsFault: { _ in TLSFileFault(file, "this is wrong; write what is right") }).faults
        #expect(found.map(\.description) == ["lab/t.yaml:\(place): error: this is wrong; write what is right"])
    }

    @Test(
        arguments: [
            ("sips:127.0.0.1", nil), ("sip:127.0.0.1;transport=tls", nil), ("sips:127.0.0.1;transport=tcp", nil),
            ("sips:127.0.0.1;transport=udp", "sips asks for TLS, which UDP has not; write ;transport=tls"),
            (
                "sip:127.0.0.1;transport=ws",
                "WebSocket is opened by clients alone, and the core is none; write ;transport=tcp or ;transport=tls"
            ),
            (
                "sips:127.0.0.1;transport=wss",
                "WebSocket is opened by clients alone, and the core is none; write ;transport=tcp or ;transport=tls"
            ),
        ] as [(String, String?)]) func serversByTLS(uri: String, fault: String?)
    {
        let expected = fault.map { ["2:26: error: \($0)"] } ?? []
        #expect(faults("domain: home1.test\nnetworks: {b.test: {uri: '\(uri)'}}\n") == expected)
    }
}
