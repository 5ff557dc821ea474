// The Markdown that goes into the README: medians and ranges, and the ratios that the project is judged by.

import Foundation

struct ComparisonTable {
    let options: CompareOptions
    let results: [RunResult]
    let footprint: Footprint

    var markdown: String { "\(heading)\n\n\(modes)\n\(rest)" }

    // MARK: What was done

    private var heading: String {
        var system = utsname()
        uname(&system)
        let release = withUnsafePointer(to: &system.release) {
            $0.withMemoryRebound(to: CChar.self, capacity: 65) { String(cString: $0) }
        }
        let processors = ProcessInfo.processInfo.activeProcessorCount
        let runs = options.runs == 1 ? "1 run" : "\(options.runs) runs"
        return """
            \(today), \(processors) × \(processor), Linux \(release); `sipcore-bench compare\(commandLine)`.
            Load and server on one loopback, window \(options.window), one worker, tracing off, \(runs) of each in turn; processor time
            in microseconds a transaction, the median and the range. It was read \(Int(options.settle)) s (Kamailio \
            \(Int(options.kamailioSettle)) s) after the load, so
            that lingering transactions are counted.\(absence)
            """
    }

    private var commandLine: String {
        let words = CommandLine.arguments.dropFirst(2)
        return words.isEmpty ? "" : " " + words.joined(separator: " ")
    }

    private var absence: String { Kamailio.version == nil ? " Kamailio was not installed." : "" }

    private var today: String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        return String(format: "%04d-%02d-%02d", Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday))
    }

    private var processor: String {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        return text.firstMatch(of: /model name\s*: (.+)/).map { String($0.1) } ?? "processor"
    }

    // MARK: The modes

    private var modes: String {
        let kamailio = "Kamailio" + (Kamailio.version.map { " \($0)" } ?? "")
        var text = """
            | mode | sipcore, µs | rate/s | p50 / p99, µs | \(kamailio), µs | rate/s | p50 / p99, µs | floor, µs | ratio | beyond the floor |
            | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |

            """
        for workload in options.workloads {
            let (ours, theirs) = (runs(.sipcore, workload.mode), runs(.kamailio, workload.mode))
            let floor = floor(of: workload)
            text += "| \(workload.mode) | \(cells(ours)) | \(cells(theirs)) | \(floor.map(one) ?? "") "
            text += "| \(ratio(ours, theirs, floor: 0)) | \(floor.map { ratio(ours, theirs, floor: $0) } ?? "") |\n"
        }
        return text
    }

    private func runs(_ kind: ServerKind, _ mode: String) -> [RunResult] {
        results.filter { $0.server == kind.rawValue && $0.mode == mode }
    }

    private func floor(of workload: Workload) -> Double? {
        let floor = runs(.floor, workload.floor.mode)
        return floor.isEmpty ? nil : median(floor.map(\.cpu_us)) * workload.floor.factor
    }

    private func cells(_ runs: [RunResult]) -> String {
        guard !runs.isEmpty else { return " | | " }
        let latency = "\(Int(median(runs.map { Double($0.p50_us) }))) / \(Int(median(runs.map { Double($0.p99_us) })))"
        return "\(spread(runs.map(\.cpu_us))) | \(Int(median(runs.map { Double($0.rate) }))) | \(latency)"
    }

    private func ratio(_ ours: [RunResult], _ theirs: [RunResult], floor: Double) -> String {
        guard !ours.isEmpty, !theirs.isEmpty else { return "" }
        let (our, their) = (median(ours.map(\.cpu_us)) - floor, median(theirs.map(\.cpu_us)) - floor)
        // Where a server is as good as the floor, a quotient of what is left says nothing.
        return our > 0 && their > 0 ? String(format: "%.2f", our / their) : "–"
    }

    // MARK: The rest

    private var rest: String {
        var text = "| | sipcore | Kamailio |\n| --- | --- | --- |\n"
        text += row("start to the first answer, ms", milliseconds(footprint.start), milliseconds(footprint.kamailioStart))
        text += row("a lab of core, IM Server and two clients, start to ready, ms", milliseconds(footprint.lab), "")
        text += row("executable, with its modules, MB", megabytes(footprint.size), megabytes(footprint.kamailioSize))
        text += row(
            "resident when idle, all processes, shared pages once, MB", kibibytes(footprint.idleKiB), kibibytes(footprint.kamailioIdleKiB))
        for mode in ["register", "publish"] where options.modes.contains(mode) {
            let peak = runs(.sipcore, mode).map { $0.peak_resident_kib }
            text += row("resident at most, \(mode), MB", kibibytes(peak), Kamailio.version == nil ? "" : "preallocated")
            let traced = runs(.traced, mode).map(\.cpu_us)
            if !traced.isEmpty { text += row("\(mode) with tracing on, µs", spread(traced), "") }
        }
        for mode in ["register", "reregister"] where options.modes.contains(mode) {
            let stored = runs(.stored, mode)
            if !stored.isEmpty {
                let theirs = runs(.kamailio, mode)
                let note = theirs.isEmpty ? "" : "\(spread(theirs.map(\.cpu_us))) in memory: \(ratio(stored, theirs, floor: 0))"
                text += row("\(mode) with a database file, µs", spread(stored.map(\.cpu_us)), note)
            }
        }
        return text
    }

    private func row(_ name: String, _ ours: String, _ theirs: String) -> String { "| \(name) | \(ours) | \(theirs) |\n" }
    private func milliseconds(_ seconds: [Double]) -> String { seconds.isEmpty ? "" : spread(seconds.map { $0 * 1000 }) }
    private func megabytes(_ octets: Int) -> String { octets == 0 ? "" : one(Double(octets) / 1e6) }
    private func kibibytes(_ values: [Int]) -> String { values.isEmpty ? "" : one(median(values.map { Double($0) * 1024 / 1e6 })) }

    /// `12.3 (11.9–13.0)`
    private func spread(_ values: [Double]) -> String {
        guard values.count > 1, let low = values.min(), let high = values.max() else { return values.first.map(one) ?? "" }
        return "\(one(median(values))) (\(one(low))–\(one(high)))"
    }

    private func one(_ value: Double) -> String { String(format: "%.1f", value) }

    private func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return 0 }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
