// `sipcore load` against a core of its own: every mode with a few transactions, and what it says when something is wrong.

import Foundation
import Glibc
import Testing

@Suite struct LoadTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A core whose application server is where a load will be.
    private func core(
        authentication: String = "none", thirdParty: Bool = false, server: UInt16
    ) async throws -> (child: Child, port: UInt16) {
        let tags = thirdParty ? "\n    feature_tags: [+g.oma.sip-im]" : ""
        let profile = thirdParty ? "application_servers: [as]" : "service_profile: publish"
        let topology = try folder.write(
            "core.yaml",
            #"""
            domain: home1.test
            core:
              listen: [udp://127.0.0.1:0]
              authentication: \#(authentication)
            application_servers:
              as:
                uri: sip:127.0.0.1:\#(server)\#(tags)
            service_profiles:
              publish:
                filter_criteria:
                  - priority: 0
                    application_server: as
                    trigger: [[{method: PUBLISH}], [{feature_tag: +g.oma.sip-im}]]
            subscribers:
              "u{0000..0099}": {password: "pw-{name}", \#(profile)}

            """#)
        let child = try Child([sipcore, "core", topology], named: "core", in: folder)
        return (child, try await child.ready().port("udp"))
    }

    private func load(_ port: UInt16, server: UInt16, _ arguments: String...) async throws -> (status: Int32, child: Child) {
        try await run(
            [
                sipcore, "load", "sip:127.0.0.1:\(port)", "--as", "127.0.0.1:\(server)", "--user-template", "u{0000..0099}", "--warm-up",
                "10",
            ]
                + arguments, named: "load", in: folder)
    }

    private struct Report: Decodable {
        let completed: Int
        let failed: Int
        let phase: String
        let loop: String
        let strays: Int
        let duplicates: Int
        let failures: [String: Int]
        let latency_us: Latency
        let modes: [Mode]
        let server: Server?

        struct Latency: Decodable {
            let p50: Int
            let p99_9: Int
            let max: Int
        }
        struct Mode: Decodable {
            let mode: String
            let completed: Int
        }
        struct Server: Decodable {
            let cpu_us: Int
            let resident_kib: Int
        }
    }

    private func report(in text: String) throws -> Report {
        #expect(text.split(separator: "\n").count == 1)
        return try JSONDecoder().decode(Report.self, from: Data(text.utf8))
    }

    @Test(arguments: [
        ("options", "none", false), ("register", "none", false), ("reregister", "none", false), ("reregister", "digest", false),
        ("register-auth", "digest", false), ("publish", "none", false), ("publish", "digest", true), ("message", "none", false),
        ("third-party-register", "none", true), ("call", "none", false),
    ])
    func `each mode completes all its transactions`(mode: String, authentication: String, thirdParty: Bool) async throws {
        let server = try freePorts(1)[0]
        let core = try await core(authentication: authentication, thirdParty: thirdParty, server: server)
        let (status, load) = try await load(
            core.port, server: server, "--mode", mode, "--count", "50", "--window", "8", "--json", "--server-pid", "\(core.child.pid)")
        #expect(status == 0, "\(load.errors)")
        let report = try report(in: load.output)
        #expect(report.completed == 50 && report.failed == 0 && report.phase == "measured" && report.loop == "closed")
        #expect(report.modes.map(\.mode) == [mode] && report.strays == 0)
        #expect(report.latency_us.p50 <= report.latency_us.p99_9 && report.latency_us.p99_9 <= report.latency_us.max)
        #expect(try #require(report.server).resident_kib > 0)
    }

    @Test func `a mix at a rate, with a report in a file`() async throws {
        let server = try freePorts(1)[0]
        let core = try await core(server: server)
        let file = "\(folder.path)/report.json"
        let (status, load) = try await load(
            core.port, server: server, "--mix", "register=50,publish=30,message=20", "--rate", "500", "--count", "100", "--report", file)
        #expect(status == 0, "\(load.errors)")
        #expect(load.output.contains("publish") && load.output.contains("open loop") && load.output.contains("retransmissions 0"))
        let report = try report(in: try #require(folder.read("report.json")))
        #expect(report.modes.map(\.completed) == [50, 30, 20] && report.loop == "open")
    }

    @Test func `nobody listens`() async throws {
        let ports = try freePorts(2)
        let (status, load) = try await load(ports[0], server: ports[1], "--mode", "options")
        #expect(status == 1 && load.output == "")
        #expect(load.errors == "sipcore: sip:127.0.0.1:\(ports[0]) cannot be reached: nobody listens there\n")
    }

    @Test func `users whom the target does not know`() async throws {
        let server = try freePorts(1)[0]
        let core = try await core(server: server)
        let (status, load) = try await load(core.port, server: server, "--mode", "message", "--domain", "elsewhere.test")
        #expect(status == 1)
        #expect(load.errors.hasPrefix("sipcore: the users cannot be registered: ") && load.errors.contains("sip:u0000@elsewhere.test"))
    }

    @Test func `failed transactions are counted by kind`() async throws {
        let server = try freePorts(1)[0]
        let core = try await core(authentication: "digest", server: server)
        let (status, load) = try await load(
            core.port, server: server, "--mode", "register", "--count", "20", "--password-template", "wrong", "--json")
        #expect(status == 1)
        #expect(load.errors == "sipcore: 20 of 20 transactions failed: unexpected_status 20, 20 of status 401\n")
        let report = try report(in: load.output)
        #expect(report.completed == 0 && report.failed == 20 && report.failures["unexpected_status"] == 20)
    }

    @Test func `an interrupted load tells what was done`() async throws {
        let server = try freePorts(1)[0]
        let core = try await core(server: server)
        let load = try Child(
            [
                sipcore, "load", "sip:127.0.0.1:\(core.port)", "--mode", "options", "--rate", "200", "--duration", "1h", "--warm-up", "0",
                "--as", "127.0.0.1:\(server)", "--json",
            ], named: "load", in: folder)
        // Its sockets are there before it takes signals as a wish.
        #expect(await eventually { isBound(server) })
        try await Task.sleep(for: .milliseconds(100))
        load.signal(SIGINT)
        #expect(try await load.end() == 0, "\(load.errors)")
        #expect(load.output.contains("\"interrupted\":true"))
    }

    @Test(arguments: [
        ["load"], ["load", "127.0.0.1:5060"], ["load", "sip:127.0.0.1;transport=tcp"], ["load", "sip:127.0.0.1", "--mode", "lub"],
        ["load", "sip:127.0.0.1", "--mix", "register"], ["load", "sip:127.0.0.1", "--mode", "options", "--mix", "register=1"],
        ["load", "sip:127.0.0.1", "--rate", "1", "--window", "1"], ["load", "sip:127.0.0.1", "--window", "0"],
        ["load", "sip:127.0.0.1", "--as", "127.0.0.1:0", "--count", "1", "--duration", "1s"],
        ["load", "sip:127.0.0.1", "--as", "127.0.0.1:0", "--user-template", "alice"],
        ["load", "sip:127.0.0.1", "--as", "127.0.0.1:0", "--users", "20000"], ["load", "sip:127.0.0.1", "--as", "here"],
        ["load", "sip:127.0.0.1", "--server-pid", "0"],
    ])
    func `wrong usage is status 2 and one line`(arguments: [String]) async throws {
        let (status, command) = try await run([sipcore] + arguments, named: "command", in: folder)
        #expect(status == 2, "\(command.errors)")
        #expect(command.errorLines.count == 1 && command.errors.hasPrefix("sipcore: "), "\(command.errors)")
        #expect(command.output == "")
    }

    @Test func `a target whose name nobody knows, and a port that is taken, are status 3`() async throws {
        let (status, unknown) = try await run([sipcore, "load", "sip:host.invalid"], named: "command", in: folder)
        #expect(status == 3 && unknown.errors.contains("the host 'host.invalid' is not known"))
        let server = try freePorts(1)[0]
        let core = try await core(server: server)
        let (taken, load) = try await load(core.port, server: core.port)
        #expect(taken == 3 && load.errors.contains("cannot bind udp://127.0.0.1:\(core.port)"))
    }
}
