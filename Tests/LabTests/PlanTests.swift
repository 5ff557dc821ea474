import Testing
import Topology

@testable import Lab

@Suite struct PlanTests {
    private func server(_ uri: String, _ launch: Launch) -> ApplicationServer {
        var server = ApplicationServer(name: "im", uri: uri)
        server.launch = launch
        return server
    }

    private let options = BuiltInOptions(executable: "/bin/sipcore", arguments: ["--log-level", "debug"], scratch: "/scratch")

    @Test func everyPortThatIsWrittenZeroIsChosenAndTold() throws {
        var topology = smallTopology()
        topology.applicationServers = [server("sip:im@127.0.0.1:0;transport=tcp", .builtIn("im-server"))]
        let resolved = try ResolvedTopology(topology)
        let ports = resolved.topology.core.listen.map(\.port)
        let server = try #require(ServerAddress(uri: resolved.topology.applicationServers[0].uri)?.port)
        let serverHTTP = try #require(resolved.serverHTTP["im"])
        let all = ports + [server, resolved.coreHTTP.port, serverHTTP.port]
        #expect(!all.contains(0))
        #expect(Set(all).count == 5)
        #expect(
            resolved.overrides.map { "\($0.key)=\($0.value)" } == [
                "core.listen=udp://127.0.0.1:\(ports[0]),tcp://127.0.0.1:\(ports[1])",
                "core.http=127.0.0.1:\(resolved.coreHTTP.port)",
                "application_servers.im.uri=sip:im@127.0.0.1:\(server);transport=tcp",
                "application_servers.im.http=\(serverHTTP)",
            ])
    }

    @Test func whatHasAPortKeepsIt() throws {
        var topology = smallTopology()
        topology.core.listen = [ListenAddress(transport: .udp, host: "127.0.0.1", port: 5060)]
        topology.core.http = HostPort(host: "127.0.0.1", port: 8080)
        topology.applicationServers = [server("sip:127.0.0.1:5080", .builtIn("im-server")), server("sip:127.0.0.1:0", .external)]
        #expect(try ResolvedTopology(topology).overrides.map(\.key) == ["application_servers.im.http"])
    }

    @Test func aBuiltInClientGetsTheKeysOfItsSIM() throws {
        var topology = smallTopology()
        topology.clients = [Client(name: "alice", launch: .builtIn("im-client"))]
        var keys = SIMKeys(k: 0xAB, code: .op(1))
        keys.sqn = 0x20
        topology.subscribers[0].privateIdentities[0].password = nil
        topology.subscribers[0].privateIdentities[0].aka = keys
        let arguments = try #require(try ResolvedTopology(topology).nodePlans(options).last).process.arguments
        let place = try #require(arguments.firstIndex(of: "--aka"))
        #expect(
            arguments[place + 1]
                == "k=000000000000000000000000000000ab,op=00000000000000000000000000000001,amf=8000,sqn=000000000020")
        #expect(!arguments.contains("--password"))
    }

    @Test func builtInNodesGetTheirSwitches() throws {
        var topology = smallTopology(folder: "/labs")
        topology.file = "../labs/lab.yaml"
        topology.core.listen = [ListenAddress(transport: .udp, host: "0.0.0.0", port: 5060)]
        topology.core.http = HostPort(host: "127.0.0.1", port: 8080)
        topology.applicationServers = [server("sip:127.0.0.1:5080", .builtIn("im-server"))]
        topology.clients = [Client(name: "alice", launch: .builtIn("im-client"))]
        let resolved = try ResolvedTopology(topology)
        let plans = try resolved.nodePlans(options)
        let http = try #require(resolved.serverHTTP["im"]).description
        let alice = try #require(resolved.clientAddress["alice"]).description
        #expect(plans.map(\.name) == ["core", "im", "alice"])
        #expect(
            plans[0].process.arguments == [
                "/bin/sipcore", "core", "/labs/lab.yaml", "--set", "application_servers.im.http=\(http)", "--set",
                "clients.alice.address=\(alice)", "--log-level", "debug",
            ])
        #expect(
            plans[1].process.arguments == [
                "/bin/sipcore", "im-server", "--listen", "udp://127.0.0.1:5080", "--listen", "tcp://127.0.0.1:5080",
                "--core", "sip:127.0.0.1:5060", "--domain", "home1.test", "--database", "/scratch/im.sqlite", "--http", http,
                "--log-level", "debug",
            ])
        #expect(
            plans[2].process.arguments == [
                "/bin/sipcore", "im-client", "--core", "sip:127.0.0.1:5060", "--public-identity", "sip:alice@home1.test",
                "--private-identity", "alice@home1.test", "--password", "wonderland", "--listen", "udp://\(alice)", "--listen",
                "tcp://\(alice)", "--log-level", "debug",
            ])
        #expect(plans.allSatisfy { $0.isBuiltIn && $0.readiness == .readyLine })
    }

    @Test func withTLSBuiltInNodesShareTheCoresCertificate() throws {
        let folder = try TemporaryFolder()
        let octets = Array("PEM".utf8)
        var options = options
        options.tls = try TLSPaths(
            LabSecurity(certificate: octets, key: octets, trust: octets, isMade: true, coreHasToBelieve: true), in: folder.path)
        var topology = smallTopology(folder: "/labs")
        topology.core.listen = [ListenAddress(transport: .tls, host: "127.0.0.1", port: 5061)]
        topology.core.http = HostPort(host: "127.0.0.1", port: 8080)
        topology.applicationServers = [server("sip:127.0.0.1:5081;transport=tls", .builtIn("im-server"))]
        topology.clients = [
            Client(name: "alice", launch: .builtIn("im-client")), Client(name: "bob", launch: .command(["./my-client", "${core.tls}"])),
        ]
        let resolved = try ResolvedTopology(topology)
        let plans = try resolved.nodePlans(options)
        let files = ["certificate", "key", "trust"].map { "\(folder.path)/\($0).pem" }
        let switches = ["--certificate", files[0], "--key", files[1], "--trust", files[2]]
        #expect(
            plans[0].process.arguments.filter { $0.hasPrefix("core.tls") } == [
                "core.tls.certificate=\(files[0])", "core.tls.key=\(files[1])", "core.tls.trust=\(files[2])",
            ])
        #expect(
            plans[1].process.arguments.prefix(6).suffix(4) == [
                "--listen", "tls://127.0.0.1:5081", "--core", "sip:127.0.0.1:5061;transport=tls",
            ])
        let alice = try #require(resolved.clientAddress["alice"]).description
        #expect(plans[2].process.arguments.contains("tls://\(alice)"))
        for plan in plans[1...2] { #expect(plan.process.arguments.joined(separator: " ").contains(switches.joined(separator: " "))) }
        #expect(plans[3].process.arguments == ["./my-client", "127.0.0.1:5061"])
    }

    @Test func offlineMessagesLiveBesideTheCoresDatabase() throws {
        var topology = smallTopology()
        topology.applicationServers = [server("sip:127.0.0.1:5080", .builtIn("im-server"))]
        topology.core.database = "/labs/lab.sqlite"
        let beside = try ResolvedTopology(topology).nodePlans(options)
        #expect(beside[1].process.arguments.contains("/labs/lab.im.sqlite"))
        topology.applicationServers[0].database = "/labs/own.sqlite"
        topology.applicationServers[0].deliveryTimeoutMilliseconds = 700
        topology.applicationServers[0].watchesRegistrations = true
        topology.applicationServers[0].requiresFeatureTag = true
        let own = try ResolvedTopology(topology).nodePlans(options)
        #expect(own[1].process.arguments.contains("/labs/own.sqlite"))
        #expect(own[1].process.arguments.contains("700ms"))
        for flag in ["--use-reg-event", "--require-feature-tag"] {
            #expect(own[1].process.arguments.contains(flag) && !beside[1].process.arguments.contains(flag))
        }
    }

    @Test func usersCommandsAreFilledIn() throws {
        var topology = smallTopology(folder: "/labs")
        var im = server("sip:127.0.0.1:0", .command(["./im", "${application_servers.im.uri}", "--core=${core.tcp}"]))
        im.environment = ["HTTP": "${core.http}"]
        topology.applicationServers = [im]
        var bob = Client(name: "bob", launch: .command(["./my-client", "${core.udp}", "${subscriber.private_identity}"]))
        bob.readyPattern = "up"
        topology.clients = [bob]
        let resolved = try ResolvedTopology(topology)
        let plans = try resolved.nodePlans(options)
        let uri = resolved.topology.applicationServers[0].uri
        #expect(plans[1].process.arguments == ["./im", uri, "--core=127.0.0.1:\(resolved.topology.core.listen[1].port)"])
        #expect(plans[1].process.environment == ["HTTP": "http://\(resolved.coreHTTP)"])
        #expect(plans[1].process.folder == "/labs")
        #expect(plans[1].readiness == .readyLineOrAnswer(uri: uri))
        #expect(plans[2].process.arguments == ["./my-client", "127.0.0.1:\(resolved.topology.core.listen[0].port)", "bob@home1.test"])
        #expect(plans[2].readiness == .output(pattern: "up"))
    }

    @Test func whatHasNoValueIsRefused() throws {
        var topology = smallTopology()
        topology.clients = [Client(name: "bob", launch: .command(["./my-client", "${core.tls}"]))]
        let failure = #expect(throws: ResolvedTopology.PlanFailure.self) { try ResolvedTopology(topology).nodePlans(options) }
        #expect(failure?.description.contains("${core.tls}") == true)
    }

    @Test(arguments: [
        ("sip:127.0.0.1:5080", "127.0.0.1", UInt16?(5080), TransportName.udp),
        ("sip:im@[2001:db8::7]:0;transport=TCP", "2001:db8::7", 0, .tcp),
        ("sips:im.home1.test", "im.home1.test", nil, .tls),
        ("sip:[::1]", "::1", nil, .udp),
    ])
    func serverURIsAreTakenApart(uri: String, host: String, port: UInt16?, transport: TransportName) throws {
        let address = try #require(ServerAddress(uri: uri))
        #expect(address.host == host)
        #expect(address.port == port)
        #expect(address.transport == transport)
    }

    @Test(arguments: ["tel:+15550100", "sip:", "sip:a:b:c", "127.0.0.1:5080"]) func otherTextsAreNoServerURIs(uri: String) {
        #expect(ServerAddress(uri: uri) == nil)
    }

    @Test func hostsOfTheTopologyAreLookedUp() throws {
        var topology = smallTopology()
        topology.core.hosts = ["im.home1.test": HostPort(host: "127.0.0.1", port: 5080)]
        let resolved = try ResolvedTopology(topology)
        #expect(resolved.address(ofURI: "sip:im.home1.test") == HostAndPort(host: "127.0.0.1", port: 5080))
        #expect(resolved.address(ofURI: "sip:im.home1.test:7000") == HostAndPort(host: "127.0.0.1", port: 7000))
        #expect(resolved.address(ofURI: "sips:10.0.0.1") == HostAndPort(host: "10.0.0.1", port: 5061))
    }

    @Test func addressesAreReadAndWritten() {
        #expect(HostAndPort("[::1]:5060")?.description == "[::1]:5060")
        #expect(HostAndPort(httpURL: "http://127.0.0.1:80/x") == HostAndPort(host: "127.0.0.1", port: 80))
        for text in ["", ":1", "a", "::1:5060", "a:70000", "[::1:5"] { #expect(HostAndPort(text) == nil) }
    }
}
