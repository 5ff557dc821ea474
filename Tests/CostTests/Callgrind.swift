// Instructions and calls of a run of `sipcore-bench`, counted by valgrind's callgrind: the same on every machine and at
// every load, as times are not.

import Foundation

/// What a run executed.
struct Costs {
    var instructions = 0
    /// Calls by function; those that nobody asks about are left out.
    var calls: [String: Int] = [:]
}

/// Runs the benchmark under callgrind.
struct Callgrind {
    /// Why nothing could be counted, and what helps.
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// Allocations, and what keeps count of references.
    static let watched: Set<String> = ["malloc", "swift_retain", "swift_release"]

    private let executable: URL
    private let folder: URL

    /// - Parameter folder: for the copy without debug information, which valgrind 3.19 cannot read, and the counts.
    init(folder: URL) throws {
        self.folder = folder
        executable = folder.appending(path: "sipcore-bench")
        // Under `swift test` the tests are a bundle of the build folder, or are loaded by a helper that is told its name.
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let candidates = ([own] + CommandLine.arguments).filter { $0.hasPrefix("/") }
            .map { URL(filePath: $0).deletingLastPathComponent().appending(path: "sipcore-bench") }
        guard let original = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0.path) }) else {
            throw Failure(description: "sipcore-bench is not built; run 'swift build -c release --product sipcore-bench'")
        }
        try Callgrind.end(Callgrind.begin("strip", ["-g", "-o", executable.path, original.path], executable))
    }

    /// What one transaction of a mode costs: the difference of two runs, so that the start and the warm-up are left out.
    func costOfTransaction(in mode: String) throws -> Costs {
        let (few, many) = (500, 2500)
        let runs = try [few, many].map { try begin(mode, transactions: $0) }
        let counts = try runs.map { try finish($0) }
        let (less, more) = (counts[0], counts[1])
        var result = Costs()
        result.instructions = (more.instructions - less.instructions) / (many - few)
        for name in Callgrind.watched {
            // Rounded up: an allocation in every second transaction is one too many.
            let calls = (more.calls[name] ?? 0) - (less.calls[name] ?? 0)
            result.calls[name] = (calls * 100 / (many - few) + 50) / 100
        }
        return result
    }

    /// A run under way.
    private struct Run {
        var process: Process
        var output: URL
        var errors: URL
    }

    private func begin(_ mode: String, transactions: Int) throws -> Run {
        let output = folder.appending(path: "callgrind.\(mode).\(transactions)")
        return try Callgrind.begin(
            "valgrind", ["--tool=callgrind", "--callgrind-out-file=\(output.path)", executable.path, String(transactions), mode], output)
    }

    private func finish(_ run: Run) throws -> Costs {
        try Callgrind.end(run)
        return try CallgrindOutput(String(contentsOf: run.output, encoding: .utf8)).costs(of: Callgrind.watched)
    }

    private static func begin(_ program: String, _ arguments: [String], _ output: URL) throws -> Run {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [program] + arguments
        let errors = output.appendingPathExtension("errors")
        try Data().write(to: errors)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        return Run(process: process, output: output, errors: errors)
    }

    private static func end(_ run: Run) throws {
        run.process.waitUntilExit()
        guard run.process.terminationStatus == 0 else {
            let said = String(decoding: try Data(contentsOf: run.errors).suffix(500), as: UTF8.self)
            let program = run.process.arguments?.first ?? ""
            throw Failure(description: "\(program) failed (\(run.process.terminationStatus)); 'make peers' installs it. It said: \(said)")
        }
    }
}

/// The file that callgrind writes (its manual, "Callgrind Format Specification").
struct CallgrindOutput {
    private let text: String

    init(_ text: String) { self.text = text }

    /// The sum of all instructions, and the calls of some functions.
    func costs(of functions: Set<String>) throws -> Costs {
        var costs = Costs()
        /// A name is written out once; later its number stands for it.
        var names: [Substring: String] = [:]
        var called = ""
        for line in text.split(separator: "\n") {
            if line.hasPrefix("fn=") || line.hasPrefix("cfn=") {
                let value = line[line.index(after: line.firstIndex(of: "=")!)...]
                let end = value.firstIndex(of: ")") ?? value.endIndex
                let number = value[..<end]
                if value.contains(" ") { names[number] = String(value[value.index(after: value.firstIndex(of: " ")!)...]) }
                if line.hasPrefix("cfn=") { called = names[number] ?? "" }
            } else if line.hasPrefix("calls=") {
                let name = called.split(separator: "'").first.map(String.init) ?? called
                guard functions.contains(name), let count = Int(line.dropFirst(6).prefix { $0 != " " }) else { continue }
                costs.calls[name, default: 0] += count
            } else if line.hasPrefix("summary:") || line.hasPrefix("totals:") {
                costs.instructions = Int(line.split(separator: " ")[1]) ?? 0
            }
        }
        guard costs.instructions > 0 else { throw Callgrind.Failure(description: "callgrind counted nothing") }
        return costs
    }
}
