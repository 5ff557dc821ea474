// What was answered with 200 outlives the process, and what cannot start says so.

import Foundation
import Glibc
import Testing

@Suite struct DurabilityTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func `a registration survives the death of the process`() async throws {
        let core = try await RunningCore(in: folder, settings: "  database: core.sqlite")
        let peer = try DatagramPeer(to: core.udp)
        for user in ["alice", "bob"] {
            let register = SIPRequest(
                method: "REGISTER", uri: "sip:home1.test", from: "<sip:\(user)@home1.test>", to: "<sip:\(user)@home1.test>",
                contact: "<sip:\(user)@127.0.0.1:\(peer.port)>", port: peer.port)
            #expect(try await peer.answer(to: register).status == 200)
            // Between the last answer and the end there is nothing that could save what was not saved before it.
        }
        core.process.signal(SIGKILL)
        #expect(try await core.process.end() == 128 + SIGKILL)

        let revived = try await RunningCore(in: folder, settings: "  database: core.sqlite")
        let kept = try await http("GET", "/api/registrations", port: revived.http).decoded(Registrations.self).registrations
        #expect(Set(kept.map(\.public_identity)) == ["sip:alice@home1.test", "sip:bob@home1.test"])
        #expect(kept.first?.contacts.map(\.uri).first?.contains("127.0.0.1:\(peer.port)") == true)
        try await revived.stop()
    }

    @Test func `as many shards as one likes find what others stored`() async throws {
        let users = (0..<20).map { "u\($0)" }
        let subscribers = users.map { "      \($0): {password: x}" }.joined(separator: "\n")
        let core = try await RunningCore(in: folder, settings: "  database: core.sqlite\n  shards: 3", subscribers: subscribers)
        let peer = try DatagramPeer(to: core.udp)
        for user in users {
            let register = SIPRequest(
                method: "REGISTER", uri: "sip:home1.test", from: "<sip:\(user)@home1.test>", to: "<sip:\(user)@home1.test>",
                contact: "<sip:\(user)@127.0.0.1:\(peer.port)>", port: peer.port)
            #expect(try await peer.answer(to: register).status == 200)
        }
        #expect(try await metric("sipcore_registrations", port: core.http) == 20)
        core.process.signal(SIGKILL)
        _ = try await core.process.end()

        let revived = try await RunningCore(in: folder, settings: "  database: core.sqlite\n  shards: 2", subscribers: subscribers)
        let kept = try await http("GET", "/api/registrations", port: revived.http).decoded(Registrations.self).registrations
        // In the order of the topology, whichever shard has them.
        #expect(kept.map(\.public_identity) == users.map { "sip:\($0)@home1.test" })
        try await revived.stop()
    }

    @Test func `a deregistration survives the death of the process`() async throws {
        let core = try await RunningCore(in: folder, settings: "  database: core.sqlite")
        let peer = try DatagramPeer(to: core.udp)
        var register = SIPRequest(
            method: "REGISTER", uri: "sip:home1.test", from: "<sip:alice@home1.test>", to: "<sip:alice@home1.test>",
            contact: "<sip:alice@127.0.0.1:\(peer.port)>", port: peer.port)
        #expect(try await peer.answer(to: register).status == 200)
        register.callID += "x"
        register.headers = ["Expires: 0"]
        #expect(try await peer.answer(to: register).status == 200)
        core.process.signal(SIGKILL)
        _ = try await core.process.end()

        let revived = try await RunningCore(in: folder, settings: "  database: core.sqlite")
        #expect(try await http("GET", "/api/registrations", port: revived.http).decoded(Registrations.self).registrations.isEmpty)
        try await revived.stop()
    }

    @Test func `a subscription survives the death of the process`() async throws {
        let port = try freePorts(1)[0]
        let core = try await RunningCore(in: folder, port: port, settings: "  database: core.sqlite\n  udp_size_limit: 0")
        let peer = try DatagramPeer(to: port)
        let (alice, contact) = ("<sip:alice@home1.test>", "<sip:alice@127.0.0.1:\(peer.port)>")
        let register = SIPRequest(
            method: "REGISTER", uri: "sip:home1.test", from: alice, to: alice, contact: contact, port: peer.port)
        #expect(try await peer.answer(to: register).status == 200)
        let subscribe = SIPRequest(
            method: "SUBSCRIBE", uri: "sip:alice@home1.test", from: alice, contact: contact, port: peer.port,
            headers: ["Event: reg", "Expires: 600"])
        #expect(try await peer.answer(to: subscribe).status == 200)
        core.process.signal(SIGKILL)
        _ = try await core.process.end()
        while peer.received() != nil {}

        let revived = try await RunningCore(in: folder, port: port, settings: "  database: core.sqlite\n  udp_size_limit: 0")
        #expect(try await metric("sipcore_reg_subscriptions", port: revived.http) == 1)
        var notify = ""
        #expect(await eventually { peer.received().map { notify = $0 } != nil }, "no NOTIFY came")
        #expect(notify.hasPrefix("NOTIFY sip:alice@127.0.0.1:\(peer.port) SIP/2.0\r\n"), "\(notify)")
        #expect(notify.contains("\r\nCall-ID: \(subscribe.callID)\r\n") && notify.contains("state=\"full\""), "\(notify)")
        // The first process said at most 1.
        #expect(!notify.contains("CSeq: 1 NOTIFY") && !notify.contains("version=\"0\""), "\(notify)")
        try await revived.stop()
    }

    @Test func `a SIM's sequence numbers outlive a reset and the death of the process`() async throws {
        let port = try freePorts(1)[0]
        let keys = (k: "00112233445566778899aabbccddeeff", opc: "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
        let subscribers = "      alice: {aka: {k: \(keys.k), opc: \(keys.opc), amf: \"8000\", sqn: \"000000000000\"}}"
        func core(_ name: String) async throws -> RunningCore {
            try await RunningCore(
                in: folder, named: name, port: port, authentication: "aka", settings: "  database: core.sqlite", subscribers: subscribers)
        }
        // The SIM is the client's as long as it runs.
        let client = "'\(sipcore)' im-client --core sip:127.0.0.1:\(port) --public-identity sip:alice@home1.test"
        let alice = try Child(
            ["/bin/sh", "-c", "mkfifo input; exec 3<>input; exec \(client) --aka k=\(keys.k),opc=\(keys.opc),amf=8000 <&3"],
            named: "alice", in: folder)
        _ = try await alice.ready()
        var registrations = 0
        /// How the REGISTER requests were answered: a SIM that has seen a number already asks for another challenge.
        func statuses(with core: RunningCore) async throws -> [Int?] {
            registrations += 1
            let input = try FileHandle(forWritingTo: URL(filePath: "\(folder.path)/input"))
            try input.write(contentsOf: Data("register\n".utf8))
            try input.close()
            let count = registrations
            #expect(await eventually { alice.output.components(separatedBy: "\"registered\"").count > count }, "\(alice.output)")
            let messages = try await http("GET", "/api/messages?method=REGISTER&direction=out", port: core.http).decoded(Messages.self)
            return messages.messages.map(\.status)
        }
        let first = try await core("core")
        #expect(try await statuses(with: first) == [401, 200])
        for _ in 0..<2 {
            #expect(try await http("POST", "/api/reset", port: first.http).status == 204)
            #expect(try await http("GET", "/api/registrations", port: first.http).decoded(Registrations.self).registrations.isEmpty)
            #expect(try await statuses(with: first) == [401, 200])
        }
        #expect(try await http("POST", "/api/reset", port: first.http).status == 204)
        first.process.signal(SIGKILL)
        _ = try await first.process.end()

        let revived = try await core("revived")
        #expect(try await http("GET", "/api/registrations", port: revived.http).decoded(Registrations.self).registrations.isEmpty)
        #expect(try await statuses(with: revived) == [401, 200])
        try await revived.stop()
    }

    @Test func `a broken database is named`() async throws {
        try folder.write("core.sqlite", String(repeating: "this is no database\n", count: 1000))
        let topology = try folder.write("core.yaml", Self.topology(settings: "database: core.sqlite"))
        let (status, core) = try await run([sipcore, "core", topology], named: "core", in: folder)
        #expect(status == 3)
        #expect(core.errorLines.count == 1, "\(core.errors)")
        #expect(core.errors.contains("core.sqlite"), "\(core.errors)")
        #expect(core.output == "")
    }

    @Test(arguments: ["udp", "tcp", "http"])
    func `a taken port is named`(transport: String) async throws {
        let taken = try TakenPort()
        let address = "127.0.0.1:\(taken.port)"
        let topology = try folder.write(
            "core.yaml",
            transport == "http" ? Self.topology(settings: "http: \"\(address)\"") : Self.topology(listen: "\(transport)://\(address)"))
        let (status, core) = try await run([sipcore, "core", topology, "--ready-file", "ready"], named: "core", in: folder)
        withExtendedLifetime(taken) {}
        #expect(status == 3)
        #expect(core.errorLines.count == 1, "\(core.errors)")
        #expect(core.errors.contains(address), "\(core.errors)")
        #expect(core.output == "")
        #expect(folder.read("ready") == nil)
    }

    @Test func `the ready file holds the ready line`() async throws {
        let core = try await RunningCore(in: folder, named: "core")
        #expect(folder.read("core.ready") == core.process.output)
        try await core.stop()
    }

    private static func topology(listen: String = "udp://127.0.0.1:0", settings: String = "trace: 10") -> String {
        "domain: home1.test\ncore: {listen: [\"\(listen)\"], \(settings)}\nsubscribers: {alice: {password: wonderland}}\n"
    }
}
