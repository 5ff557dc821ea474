// The core between independent SIP programs: SIPp as clients, sipsak as a probe.

import Glibc
import Testing

@Suite struct SIPpTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let users = """
          "u{0000..0019}": {password: "pw-{name}"}
        """

    /// Starts SIPp; it ends by itself after `count` calls, with a status other than 0 if one of them failed.
    ///
    /// - Parameter link: what it sends to instead of the core.
    private func sipp(
        _ scenario: String, named name: String, port: UInt16, core: RunningCore, over link: LossyLink? = nil, tcp: Bool = false, count: Int,
        _ arguments: [String] = []
    ) throws -> Child {
        let remote = "127.0.0.1:\(link?.port ?? (tcp ? core.tcp : core.udp))"
        let command = [
            try Peer.sipp.path, remote, "-sf", scenario.hasPrefix("/") ? scenario : scenarioPath(scenario), "-i", "127.0.0.1", "-p",
            "\(port)", "-t", tcp ? "t1" : "u1",
            "-m", "\(count)", "-r", "100", "-nostdin", "-timeout", "30s", "-timeout_error", "-trace_err", "-error_file",
            "\(folder.path)/\(name).faults",
        ]
        return try Child(command + arguments, named: name, in: folder)
    }

    /// Starts one of the scenarios that SIPp brings along, whose requests go by the core wherever they are for.
    private func sippItself(
        _ scenario: String, named name: String, port: UInt16, remote: UInt16? = nil, core: RunningCore, count: Int,
        _ arguments: [String] = []
    ) throws -> Child {
        var command = [try Peer.sipp.path]
        if let remote { command += ["127.0.0.1:\(remote)", "-rsa", "127.0.0.1:\(core.udp)"] }
        command += [
            "-sn", scenario, "-i", "127.0.0.1", "-p", "\(port)", "-t", "u1", "-m", "\(count)", "-r", "50", "-nostdin", "-timeout", "60s",
            "-timeout_error", "-trace_err", "-error_file", "\(folder.path)/\(name).faults",
        ]
        return try Child(command + arguments, named: name, in: folder)
    }

    private func expectSuccess(of child: Child, named name: String) async throws {
        #expect(try await child.end() == 0, "\(name): \(folder.read("\(name).faults") ?? child.errors)")
    }

    /// Registers users, each with a contact at one port.
    private func register(
        _ users: [(name: String, password: String)], contact: UInt16, from port: UInt16, at core: RunningCore, over link: LossyLink? = nil,
        tcp: Bool = false, domain: String = "home1.test"
    ) async throws {
        let lines = users.map { "\($0.name);[authentication username=\($0.name)@\(domain) password=\($0.password)]" }
        let name = "register-\(users.first?.name ?? "")"
        let scenario = domain == "home1.test" ? "register.xml" : try scenario("register.xml", [("home1.test", domain)])
        let client = try registering(lines, by: scenario, named: name, contact: contact, from: port, at: core, over: link, tcp: tcp)
        try await expectSuccess(of: client, named: name)
    }

    /// Starts the registration of users.
    ///
    /// - Parameter lines: the fields of each user: its name, and SIPp's words for its credentials.
    private func registering(
        _ lines: [String], by scenario: String = "register.xml", named name: String, contact: UInt16, from port: UInt16,
        at core: RunningCore, over link: LossyLink? = nil, tcp: Bool = false
    ) throws -> Child {
        let fields = try folder.write("\(name).csv", (["SEQUENTIAL"] + lines).joined(separator: "\n") + "\n")
        return try sipp(
            scenario, named: name, port: port, core: core, over: link, tcp: tcp, count: lines.count,
            // Credentials would name where SIPp sends to.
            ["-inf", fields, "-key", "contact_port", "\(contact)"] + (link == nil ? [] : ["-auth_uri", "home1.test"]))
    }

    /// What SIPp does against the rules, whatever its scenario.
    private static let foreignURI = ["digest-uri": "SIPp writes the address that it sends to as the uri of its credentials"]

    @Test(arguments: [false, true], [1, 3])
    func `SIPp registers with digest`(tcp: Bool, shards: Int) async throws {
        let core = try await RunningCore(
            in: folder, authentication: "digest", settings: "  shards: \(shards)", subscribers: Self.users)
        let users = (0..<20).map { number in
            let name = "u" + String(repeating: "0", count: number < 10 ? 3 : 2) + "\(number)"
            return (name: name, password: "pw-\(name)")
        }
        let ports = try freePorts(2)
        try await register(users, contact: ports[0], from: ports[1], at: core, tcp: tcp)
        #expect(try await metric("sipcore_registrations", port: core.http) == 20)
        let registrations = try await http("GET", "/api/registrations", port: core.http).decoded(Registrations.self).registrations
        #expect(Set(registrations.map(\.public_identity)) == Set(users.map { "sip:\($0.name)@home1.test" }))
        try await expectFindings(Self.foreignURI, at: core)
        try await core.stop()
    }

    /// SIPp reads the octets of the keys through its template parser, which takes 5B for an opening bracket and 00 for an end.
    @Test(arguments: [false, true])
    func `SIPp registers with AKA`(persistent: Bool) async throws {
        // Now and then it says that its scenario is wrong, which is the same each time: it reads raw keys by its template parser.
        var attempts = 1
        while try await !registersWithAKA(persistent: persistent, database: "core\(attempts).sqlite") {
            try #require(attempts < 4, "SIPp finds fault with its own scenario again and again")
            attempts += 1
        }
    }

    /// - Returns: false if SIPp gave up over its own scenario.
    private func registersWithAKA(persistent: Bool, database: String) async throws -> Bool {
        let (k, op, amf) = ("8182838485868788898a8b8c8d8e8f91", "c1c2c3c4c5c6c7c8c9cacbcccdcecfd1", "b9b9")
        let core = try await RunningCore(
            // SIPp takes RES for a text that ends at its first octet of zeros: with this seed none of the challenges leads to one.
            in: folder, authentication: "aka", settings: "  seed: 3" + (persistent ? "\n  database: \(database)" : ""),
            subscribers: "      \"u{0000..0009}\": {aka: {k: \(k), op: \(op), amf: \(amf), sqn: \"0000000000a0\"}}")
        let lines = (0..<10).map { number in
            "u000\(number);[authentication username=u000\(number)@home1.test aka_OP=0x\(op) aka_K=0x\(k) aka_AMF=0x\(amf)]"
        }
        let ports = try freePorts(2)
        for _ in 0..<2 {
            let sims = try registering(lines, named: "sims", contact: ports[0], from: ports[1], at: core)
            let status = try await sims.end()
            let faults = folder.read("sims.faults") ?? ""
            if status != 0, faults.contains("invalid [keyword] in scenario") {
                try await core.stop()
                return false
            }
            #expect(status == 0, "\(faults)")
        }
        #expect(try await metric("sipcore_registrations", port: core.http) == 10)
        let wrong = lines.map { $0.replacing("aka_K=0x81", with: "aka_K=0x82") }
        let stranger = try registering([wrong[0]], named: "wrong", contact: ports[0], from: ports[1], at: core)
        #expect(try await stranger.end() != 0)
        try await core.stop()
        return true
    }

    @Test(arguments: [1, 2, 4])
    func `messages go from one SIPp to another`(shards: Int) async throws {
        let core = try await RunningCore(in: folder, authentication: "digest", settings: "  shards: \(shards)")
        let ports = try freePorts(2)
        try await register([("alice", "wonderland")], contact: ports[0], from: ports[0], at: core)
        try await register([("bob", "builder")], contact: ports[1], from: ports[1], at: core)
        let bob = try sipp("message-at-bob.xml", named: "bob", port: ports[1], core: core, count: 20)
        #expect(await eventually { isBound(ports[1]) })
        let alice = try sipp("message-from-alice.xml", named: "alice", port: ports[0], core: core, count: 20)
        try await expectSuccess(of: alice, named: "alice")
        try await expectSuccess(of: bob, named: "bob")
        try await expectFindings(Self.foreignURI, at: core)
        try await core.stop()
    }

    @Test(arguments: [1, 2, 4])
    func `calls go from one SIPp to another`(shards: Int) async throws {
        let core = try await RunningCore(in: folder, authentication: "digest", settings: "  shards: \(shards)")
        let ports = try freePorts(3)
        // Alice's contact is not where she calls from.
        try await register([("alice", "wonderland")], contact: ports[2], from: ports[2], at: core)
        try await register([("bob", "builder")], contact: ports[1], from: ports[1], at: core)
        let bob = try sipp("call-at-bob.xml", named: "bob", port: ports[1], core: core, count: 20)
        #expect(await eventually { isBound(ports[1]) })
        let alice = try sipp("call-from-alice.xml", named: "alice", port: ports[0], core: core, count: 20)
        try await expectSuccess(of: alice, named: "alice")
        try await expectSuccess(of: bob, named: "bob")
        try await expectFindings(Self.foreignURI, at: core)
        try await core.stop()
    }

    /// The scenario with other words in it.
    private func scenario(_ name: String, _ changes: [(String, String)]) throws -> String {
        var text = try scenarioText(name)
        for (old, new) in changes {
            #expect(text.contains(old))
            text = text.replacing(old, with: new)
        }
        return try folder.write("changed-\(name)", text)
    }

    @Test(arguments: [1, 3])
    func `calls go from one network to another`(shards: Int) async throws {
        let ports = try freePorts(5)
        func core(_ domain: String, at port: UInt16, beside other: String, at otherPort: UInt16, _ subscribers: String) async throws
            -> RunningCore
        {
            try await RunningCore(
                in: folder, named: domain, port: port, authentication: "digest", domain: domain, settings: "  shards: \(shards)",
                subscribers: subscribers, sections: "networks: {\(other): {uri: \"sip:127.0.0.1:\(otherPort)\", trusted: true}}")
        }
        let home1 = try await core("home1.test", at: ports[0], beside: "home2.test", at: ports[1], "      alice: {password: wonderland}")
        let home2 = try await core("home2.test", at: ports[1], beside: "home1.test", at: ports[0], "      bob: {password: builder}")
        try await register([("alice", "wonderland")], contact: ports[2], from: ports[2], at: home1)
        try await register([("bob", "builder")], contact: ports[3], from: ports[3], at: home2, domain: "home2.test")
        let bob = try sipp("call-at-bob.xml", named: "bob", port: ports[3], core: home2, count: 20)
        #expect(await eventually { isBound(ports[3]) })
        let calls = try scenario("call-from-alice.xml", [("bob@home1.test", "bob@home2.test")])
        let alice = try sipp(calls, named: "alice", port: ports[4], core: home1, count: 20)
        try await expectSuccess(of: alice, named: "alice")
        try await expectSuccess(of: bob, named: "bob")
        // Both stay in the path: what belongs to the call goes by both.
        let messages = try await http("GET", "/api/messages?method=BYE", port: home2.http)
        #expect(messages.status == 200 && messages.body.contains("BYE"))
        try await home1.stop()
        try await home2.stop()
    }

    /// SIPp believes itself in a trusted network: it registers nobody and names the address of the other SIPp.
    private static let trusting = "  trusted: [127.0.0.1/32]"

    @Test func `SIPp's own callers reach SIPp's own called`() async throws {
        let core = try await RunningCore(in: folder, settings: Self.trusting)
        let ports = try freePorts(2)
        let uas = try sippItself("uas", named: "uas", port: ports[1], core: core, count: 50)
        #expect(await eventually { isBound(ports[1]) })
        let uac = try sippItself("uac", named: "uac", port: ports[0], remote: ports[1], core: core, count: 50)
        try await expectSuccess(of: uac, named: "uac")
        try await expectSuccess(of: uas, named: "uas")
        try await expectFindings(["answer-record-route": "the scenario `uas` copies no Record-Route"], at: core)
        try await core.stop()
    }

    /// A controller (RFC 3725 §4.1, flow I) calls two, and gives each what the other offers; its halves are two SIPp.
    @Test func `SIPp's third-party call control goes through the core`() async throws {
        let core = try await RunningCore(in: folder, settings: Self.trusting)
        let (ports, twin) = (try freePorts(4), try freePorts(1)[0])
        let a = try sippItself("3pcc-A", named: "a", port: ports[0], core: core, count: 10)
        let b = try sippItself("3pcc-B", named: "b", port: ports[1], core: core, count: 10)
        #expect(await eventually { isBound(ports[0]) && isBound(ports[1]) })
        // The half that calls second listens for the other.
        let control = ["-3pcc", "127.0.0.1:\(twin)"]
        let second = try sippItself("3pcc-C-B", named: "second", port: ports[3], remote: ports[1], core: core, count: 10, control)
        #expect(await eventually { isBound(ports[3]) })
        let first = try sippItself("3pcc-C-A", named: "first", port: ports[2], remote: ports[0], core: core, count: 10, control)
        for (child, name) in [(first, "first"), (second, "second"), (a, "a"), (b, "b")] { try await expectSuccess(of: child, named: name) }
        try await expectFindings(
            [
                "answer-record-route": "the scenarios of the called copy no Record-Route",
                "content-length-wrong": "the controller sends a description on with a line end that its Content-Length leaves out",
            ], at: core)
        try await core.stop()
    }

    /// Every tenth datagram is lost both ways, and each end sends again what is not answered. (SIPp can lose messages itself, but
    /// takes what comes again for something new if it has lost its own answer; and its scenario of that kind, branchc, follows no
    /// Record-Route, so that no proxy could carry its dialogs.)
    @Test(arguments: [1, 2])
    func `calls survive the loss of messages`(shards: Int) async throws {
        let core = try await RunningCore(in: folder, authentication: "digest", settings: "  shards: \(shards)")
        let ports = try freePorts(2)
        // With a tenth a call hangs now and then, it seems because SIPp does not send a BYE again after a 100 to it.
        let links = try ports.map { try LossyLink(between: $0, and: core.udp, losing: 4, seed: UInt64(shards)) }
        try await register([("alice", "wonderland")], contact: links[0].port, from: ports[0], at: core, over: links[0])
        try await register([("bob", "builder")], contact: links[1].port, from: ports[1], at: core, over: links[1])
        let bob = try sipp("lossy-call-at-bob.xml", named: "bob", port: ports[1], core: core, over: links[1], count: 1000)
        #expect(await eventually { isBound(ports[1]) })
        let alice = try sipp("lossy-call-from-alice.xml", named: "alice", port: ports[0], core: core, over: links[0], count: 30)
        try await expectSuccess(of: alice, named: "alice")
        // He still waits for what may come again.
        bob.signal(SIGKILL)
        _ = try await bob.end()
        try await core.stop()
    }

    @Test(arguments: [1, 3])
    func `SIPp watches a registration`(shards: Int) async throws {
        let core = try await RunningCore(in: folder, authentication: "digest", settings: "  shards: \(shards)")
        let port = try freePorts(1)[0]
        try await register([("alice", "wonderland")], contact: port, from: port, at: core)
        let watcher = try sipp("watch-registration.xml", named: "watcher", port: port, core: core, count: 5)
        try await expectSuccess(of: watcher, named: "watcher")
        #expect(try await metric("sipcore_reg_subscriptions", port: core.http) == 0)
        #expect(try await metric("sipcore_reg_notifies_total{result=\"accepted\"}", port: core.http) == 15)
        try await expectFindings(Self.foreignURI, at: core)
        try await core.stop()
    }

    @Test func `sipsak finds the core alive`() async throws {
        // Of a port with five digits sipsak writes but four into the Request-URI.
        let core = try await RunningCore(in: folder, port: try freePorts(1, among: 6000...9999)[0])
        let (status, sipsak) = try await run([Peer.sipsak.path, "-s", "sip:127.0.0.1:\(core.udp)"], named: "sipsak", in: folder)
        #expect(status == 0, "\(sipsak.output)\(sipsak.errors)")
        try await core.stop()
    }
}
