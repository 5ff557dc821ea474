// What is measured: the modes with their counts, and the servers with what they are started by.

import Foundation
import SansIO

/// A mode of `sipcore load` and how much of it is one run.
struct Workload {
    var mode: String
    var count: Int
    var warmUp = 2000
    /// Whether each transaction has a user of its own.
    var hasNewUsers = false
    /// What the floor is: the mode that the echo is measured by, and how often its datagrams come here.
    var floor: (mode: String, factor: Double)

    var users: Int { hasNewUsers ? count + warmUp : 10_000 }

    static let all: [Workload] = [
        Workload(mode: "options", count: 100_000, floor: ("options", 1)),
        Workload(mode: "register", count: 100_000, hasNewUsers: true, floor: ("register", 1)),
        Workload(mode: "reregister", count: 100_000, floor: ("reregister", 1)),
        Workload(mode: "register-auth", count: 60_000, hasNewUsers: true, floor: ("register", 2)),
        Workload(mode: "publish", count: 50_000, floor: ("publish", 1)),
        Workload(mode: "message", count: 50_000, floor: ("message", 1)),
        Workload(mode: "third-party-register", count: 50_000, hasNewUsers: true, floor: ("publish", 1)),
        // INVITE, 100, 180, 200, ACK, BYE and 200 are 13 datagrams at a proxy, a MESSAGE and its answer 4.
        Workload(mode: "call", count: 20_000, floor: ("message", 13.0 / 4)),
    ]
}

/// The ports of the load, the same in all runs.
struct LoadPorts {
    var user: UInt16
    var called: UInt16
    var server: UInt16
}

/// A kind of server.
enum ServerKind: String, CaseIterable {
    case sipcore
    /// The same with the recording of messages that is on by default.
    case traced = "sipcore-traced"
    /// The same with a database file, whose commits come before the answers.
    case stored = "sipcore-database"
    case kamailio
    case floor

    /// Seconds until what is left of a transaction is cleaned up: RFC 3261's timer J is 32 s, Kamailio's wait timer 5 s.
    func settle(_ options: CompareOptions) -> Double {
        switch self {
        case .sipcore, .traced, .stored: options.settle
        case .kamailio: options.kamailioSettle
        case .floor: 0.2
        }
    }

    func command(_ options: CompareOptions, _ workload: Workload, port: UInt16, load: LoadPorts, in folder: String) throws -> [String] {
        switch self {
        case .sipcore, .traced, .stored:
            let topology = "\(folder)/\(rawValue)-\(port).yaml"
            try CoreTopology.text(workload.mode, port: port, server: load.server, with: self)
                .write(toFile: topology, atomically: true, encoding: .utf8)
            return [options.sipcore, "core", topology]
        case .kamailio:
            let path = "\(folder)/kamailio.cfg"
            try (KamailioConfiguration.text + "\n").write(toFile: path, atomically: true, encoding: .utf8)
            return Kamailio.command(path, workload.mode, port: port, server: load.server, preallocated: true)
        case .floor:
            return [CommandLine.arguments[0], "echo", "\(port)", "\(load.user)", "\(load.server)", "\(load.called)"]
        }
    }

    /// Whether the mode is measured with it.
    func measures(_ workload: Workload) -> Bool {
        switch self {
        case .sipcore, .kamailio: true
        case .traced: workload.mode == "register" || workload.mode == "publish"
        case .stored: workload.mode == "register" || workload.mode == "reregister"
        case .floor: workload.floor.mode == workload.mode
        }
    }
}

enum CoreTopology {
    /// A core with 300,000 subscribers, whose application server gets what the mode sends it.
    static func text(_ mode: String, port: UInt16, server: UInt16, with kind: ServerKind) -> String {
        let isThirdParty = mode == "third-party-register"
        return #"""
            domain: home1.test
            core:
              listen: [udp://127.0.0.1:\#(port)]
              authentication: \#(mode == "register-auth" ? "digest" : "none")
              trace: \#(kind == .traced ? 20_000 : 0)\#(kind == .stored ? "\n  database: registrations-\(port).sqlite" : "")
            application_servers:
              as:
                uri: sip:127.0.0.1:\#(server)\#(isThirdParty ? "\n    feature_tags: [+g.oma.sip-im]" : "")
            service_profiles:
              publish:
                filter_criteria:
                  - priority: 0
                    application_server: as
                    trigger:
                      - [{method: PUBLISH}]
                      - [{header: Accept-Contact, content: '\+g\.oma\.sip-im([;,]|$)'}]
            subscribers:
              "u{0000000..0299999}": {password: "pw-{name}", \#(isThirdParty ? "application_servers: [as]" : "service_profile: publish")}

            """#
    }
}

enum Kamailio {
    /// The version, if it is installed.
    static let version: String? = {
        let pipe = Pipe()
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["kamailio", "-v"]
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return process.terminationStatus == 0 ? text.firstMatch(of: /version: kamailio (\S+)/).map { String($0.1) } : nil
    }()

    /// - Parameter preallocated: as in service, with room for the run; else with the memory that it has by default.
    static func command(_ path: String, _ mode: String, port: UInt16, server: UInt16, preallocated: Bool) -> [String] {
        var command = [
            "kamailio", "-DD", "-E", "-f", path, "-l", "udp:127.0.0.1:\(port)", "-n", "1", "-x", "tlsf",
            "-A", "SERVER=\"sip:127.0.0.1:\(server)\"", "-A", "SELF=\"sip:127.0.0.1:\(port)\"",
        ]
        command += preallocated ? ["-m", "1536", "-M", "32", "-A", "PREALLOCATED"] : []
        switch mode {
        case "register-auth": command += ["-A", "WITH_DIGEST"]
        case "third-party-register": command += ["-A", "WITH_THIRD_PARTY"]
        case "publish", "message", "call": command += ["-A", "WITH_PROXY"]
        default: break
        }
        return command
    }
}
