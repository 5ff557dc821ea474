// The command line of a comparison.

import Foundation

struct CompareOptions {
    var runs = 3
    var modes = Workload.all.map(\.mode)
    /// Counts of transactions are divided by this: for a quick look.
    var divisor = 1
    var settle = 35.0
    var kamailioSettle = 6.0
    var window = 64
    var sipcore = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "sipcore").path
    var labTopology = "topologies/im-settings.yaml"
    var results: String?

    static let usage = """
        usage: sipcore-bench compare [--runs N] [--modes MODE,MODE...] [--quick DIVISOR] [--window N] [--settle SECONDS]
                                     [--kamailio-settle SECONDS] [--sipcore EXECUTABLE] [--lab TOPOLOGY] [--results FILE]
          --runs             of each mode with each server, one after the other (default: 3, or RUNS of the environment)
          --modes            default: \(Workload.all.map(\.mode).joined(separator: ","))
          --quick            divides the counts of transactions
          --settle           how long sipcore has to clean up before its processor time is read (default: 35, over timer J's 32)
          --kamailio-settle  the same for Kamailio (default: 6, over its wait timer's 5)
          --lab              the lab whose start is timed (default: topologies/im-settings.yaml)
          --results          one line of JSON a run is written here
        """

    init(_ arguments: [String]) throws {
        if let text = ProcessInfo.processInfo.environment["RUNS"] { runs = try CompareOptions.number(text, "RUNS", 1...100) }
        var rest = arguments[...]
        while let option = rest.popFirst() {
            guard let value = rest.popFirst() else { throw BenchFailure("\(option) needs a value\n\(CompareOptions.usage)") }
            switch option {
            case "--runs": runs = try CompareOptions.number(value, option, 1...100)
            case "--modes": modes = try CompareOptions.modes(value)
            case "--quick": divisor = try CompareOptions.number(value, option, 1...1000)
            case "--window": window = try CompareOptions.number(value, option, 1...16_384)
            case "--settle": settle = Double(try CompareOptions.number(value, option, 0...600))
            case "--kamailio-settle": kamailioSettle = Double(try CompareOptions.number(value, option, 0...600))
            case "--sipcore": sipcore = value
            case "--lab": labTopology = value
            case "--results": results = value
            default: throw BenchFailure("there is no option \(option)\n\(CompareOptions.usage)")
            }
        }
    }

    var workloads: [Workload] {
        Workload.all.filter { modes.contains($0.mode) }.map { workload in
            var workload = workload
            workload.count = max(100, workload.count / divisor)
            workload.warmUp = max(50, workload.warmUp / divisor)
            return workload
        }
    }

    private static func modes(_ text: String) throws -> [String] {
        let wanted = text.split(separator: ",").map(String.init)
        let known = Workload.all.map(\.mode)
        if let unknown = wanted.first(where: { !known.contains($0) }) {
            throw BenchFailure("there is no mode \(unknown); there are \(known.joined(separator: ", "))")
        }
        return wanted
    }

    private static func number(_ text: String, _ option: String, _ range: ClosedRange<Int>) throws -> Int {
        guard let number = Int(text), range.contains(number) else {
            throw BenchFailure("\(option) \(text): a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}
