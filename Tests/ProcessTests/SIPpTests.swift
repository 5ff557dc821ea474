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
    private func sipp(
        _ scenario: String, named name: String, port: UInt16, core: RunningCore, tcp: Bool = false, count: Int, _ arguments: [String] = []
    ) throws -> Child {
        let remote = "127.0.0.1:\(tcp ? core.tcp : core.udp)"
        let command = [
            try Peer.sipp.path, remote, "-sf", scenarioPath(scenario), "-i", "127.0.0.1", "-p", "\(port)", "-t", tcp ? "t1" : "u1",
            "-m", "\(count)", "-r", "100", "-nostdin", "-timeout", "30s", "-timeout_error", "-trace_err", "-error_file",
            "\(folder.path)/\(name).faults",
        ]
        return try Child(command + arguments, named: name, in: folder)
    }

    private func expectSuccess(of child: Child, named name: String) async throws {
        #expect(try await child.end() == 0, "\(name): \(folder.read("\(name).faults") ?? child.errors)")
    }

    /// Registers users, each with a contact at one port.
    private func register(
        _ users: [(name: String, password: String)], contact: UInt16, from port: UInt16, at core: RunningCore, tcp: Bool = false
    ) async throws {
        let lines = users.map { "\($0.name);[authentication username=\($0.name)@home1.test password=\($0.password)]" }
        let name = "register-\(users.first?.name ?? "")"
        let fields = try folder.write("\(name).csv", (["SEQUENTIAL"] + lines).joined(separator: "\n") + "\n")
        let client = try sipp(
            "register.xml", named: name, port: port, core: core, tcp: tcp, count: users.count,
            ["-inf", fields, "-key", "contact_port", "\(contact)"])
        try await expectSuccess(of: client, named: name)
    }

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
        try await core.stop()
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
