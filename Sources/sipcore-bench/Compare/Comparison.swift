// `sipcore-bench compare`: the same load against each server, each a process of its own, run after run in turn.
//
// What counts is the processor time that the server's process tree spent a transaction, read when what lingers of the
// transactions has been cleaned up. A core that settles is idle, so the next run need not wait for it: its clock is read
// when its time has come.

import Foundation
import LoadDriver
import SansIO

/// One run of one mode with one server.
struct RunResult: Codable {
    var server: String
    var mode: String
    var completed: Int
    var failed: Int
    var rate: Int
    var p50_us: Int
    var p99_us: Int
    /// Processor time of the server a transaction, with what it put off.
    var cpu_us: Double
    var peak_resident_kib: Int
    var retransmissions: Int
}

/// The runs of a comparison.
struct Comparison {
    private let options: CompareOptions
    private let folder: String
    private let ports: LoadPorts
    private var results: [RunResult] = []
    private var settling: [Settling] = []
    private var runNumber = 0

    /// A server whose load is over and whose clean-up is not.
    private struct Settling {
        var child: Child
        var report: LoadFigures
        var kind: ServerKind
        var mode: String
        var readAt: Date
    }

    /// Runs the whole, and prints the tables on standard output; progress goes to standard error.
    /// - Returns: the exit status.
    static func run(_ arguments: [String]) -> Int32 {
        if arguments.contains("--help") || arguments.contains("-h") {
            print(CompareOptions.usage)
            return 0
        }
        let options: CompareOptions
        do { options = try CompareOptions(arguments) } catch {
            note("\(error)")
            return 2
        }
        do {
            try Interruption.watch()
            let folder = try temporaryFolder()
            defer { try? FileManager.default.removeItem(atPath: folder) }
            var comparison = Comparison(options, folder: folder, ports: try freeLoadPorts())
            return try comparison.compare()
        } catch {
            note("\(error)")
            return 1
        }
    }

    private init(_ options: CompareOptions, folder: String, ports: LoadPorts) {
        self.options = options
        self.folder = folder
        self.ports = ports
    }

    private mutating func compare() throws -> Int32 {
        guard access(options.sipcore, X_OK) == 0 else { throw BenchFailure("there is no executable \(options.sipcore); use --sipcore") }
        if Kamailio.version == nil { Comparison.note("Kamailio is not installed; its columns stay empty") }
        let kinds = ServerKind.allCases.filter { $0 != .kamailio || Kamailio.version != nil }
        for workload in options.workloads {
            for _ in 0..<options.runs {
                for kind in kinds where kind.measures(workload) { try measure(kind, workload) }
            }
        }
        try readSettled(all: true)
        let footprint = try Footprint.measure(options, in: folder)
        print(ComparisonTable(options: options, results: results, footprint: footprint).markdown, terminator: "")
        return results.contains { $0.failed > 0 } ? 1 : 0
    }

    // MARK: One run

    private mutating func measure(_ kind: ServerKind, _ workload: Workload) throws {
        runNumber += 1
        let port = try freePorts(1)[0]
        let command = try kind.command(options, workload, port: port, load: ports, in: folder)
        let child = try Child(command, named: "\(runNumber)-\(kind.rawValue)", in: folder)
        _ = try ReadyProbe.wait(for: child, at: port)
        let report = try load(workload, port: port, child, kind)
        let readAt = Date().addingTimeInterval(kind.settle(options))
        settling.append(Settling(child: child, report: report, kind: kind, mode: workload.mode, readAt: readAt))
        // Kamailio's memory is locked: one at a time.
        if kind == .kamailio { try Interruption.sleep(until: readAt) }
        try readSettled(all: false)
    }

    private func load(_ workload: Workload, port: UInt16, _ server: Child, _ kind: ServerKind) throws -> LoadFigures {
        let path = "\(folder)/\(runNumber)-report.json"
        let child = try Child(
            [
                options.sipcore, "load", "sip:127.0.0.1:\(port)", "--mode", workload.mode, "--count", "\(workload.count)",
                "--warm-up", "\(workload.warmUp)", "--window", "\(options.window)", "--user-template", "u{0000000..0299999}",
                "--users", "\(workload.users)", "--from", "127.0.0.1:\(ports.user)", "--called", "127.0.0.1:\(ports.called)",
                "--as", "127.0.0.1:\(ports.server)", "--server-pid", "\(server.process.pid)", "--report", path, "--json",
            ], named: "\(runNumber)-load", in: folder)
        let status = try child.end(within: 600)
        guard let data = FileManager.default.contents(atPath: path) else {
            throw BenchFailure("\(kind.rawValue), \(workload.mode): \(child.errors)\(server.errors.suffix(2000))")
        }
        if status != 0 { Comparison.note("\(kind.rawValue), \(workload.mode): \(child.errors.trimmingCharacters(in: .newlines))") }
        return try JSONDecoder().decode(LoadFigures.self, from: data)
    }

    // MARK: Settling

    private mutating func readSettled(all: Bool) throws {
        while let index = settling.indices.first(where: { all || settling[$0].readAt <= Date() }) {
            let one = settling.remove(at: index)
            try Interruption.sleep(until: one.readAt)
            try keep(result(of: one))
            one.child.stop()
        }
    }

    private func result(of one: Settling) throws -> RunResult {
        guard let server = one.report.server, one.child.exitStatus == nil, one.report.completed > 0 else {
            throw BenchFailure(
                "\(one.kind.rawValue), \(one.mode): the server ended, or nothing was completed\n\(one.child.errors.suffix(2000))")
        }
        let spent = one.child.process.processorTime.nanoseconds / 1000 - Int64(server.before_us)
        return RunResult(
            server: one.kind.rawValue, mode: one.mode, completed: one.report.completed, failed: one.report.failed, rate: one.report.rate,
            p50_us: one.report.latency_us.p50, p99_us: one.report.latency_us.p99,
            cpu_us: (Double(spent) / Double(one.report.completed) * 100).rounded() / 100,
            peak_resident_kib: one.child.process.peakResidentKiB, retransmissions: one.report.retransmissions)
    }

    private mutating func keep(_ result: RunResult) throws {
        results.append(result)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let line = String(decoding: try encoder.encode(result), as: UTF8.self)
        Comparison.note(line)
        guard let path = options.results else { return }
        let text = ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "") + line + "\n"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    // MARK: Around

    static func note(_ text: String) { FileHandle.standardError.write(Data("sipcore-bench: \(text)\n".utf8)) }

    private static func temporaryFolder() throws -> String {
        var template = Array("\(NSTemporaryDirectory())sipcore-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchFailure("no temporary folder") }
        return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static func freeLoadPorts() throws -> LoadPorts {
        let ports = try freePorts(3)
        return LoadPorts(user: ports[0], called: ports[1], server: ports[2])
    }
}

/// What is read of a load's report.
struct LoadFigures: Decodable {
    var completed: Int
    var failed: Int
    var rate: Int
    var retransmissions: Int
    var latency_us: Latency
    var server: Server?

    struct Latency: Decodable {
        var p50: Int
        var p99: Int
    }
    struct Server: Decodable {
        var before_us: Int
    }
}

/// UDP ports of loopback that nobody has now.
func freePorts(_ count: Int) throws -> [UInt16] {
    let ports = try (0..<count).map { _ in try DatagramPort(binding: Endpoint(address: .loopback, port: 0)) }
    return ports.map(\.local.port)
}
