// What a load tells: a table for people, one line of JSON for machines, and the reason of an exit status of 1.
//
// The JSON: `target`, `domain`, `mix` (`mode`, `weight`), `loop` ("closed" or "open"), `window` or `rate_wanted` (a second),
// `latency_from` ("sending" or "due time"), `users`, `phase` (the last one that was begun; "measured" if all went well),
// `interrupted` (by a signal), `cut_short` (the target answered no more), then the figures of the measured phase:
// `elapsed_us`, `completed`, `failed`, `rate` (completed a second), `latency_us` (`mean`, `p50`, `p90`, `p99`, `p99_9`,
// `max`, of those completed), `failures` by kind, `statuses` (answers not awaited, by number), `retransmissions`,
// `duplicates` (requests that came once more), `strays` (messages of no transaction), `modes` (each with `mode`,
// `completed`, `failed`, `rate`, `latency_us`, `failures`); `preload` and `warm_up` (`completed`, `failed`), if there were;
// `server`, if one was watched: `pid`, `before_us` (processor time before the phase), `busy_us` (processor time while the phase lasted), `cpu_us` (and while it settled),
// `cpu_ns_per_transaction`, `resident_kib` (all processes, shared pages once), `peak_resident_kib` (the largest process).

import JSONText
import LoadDriver
import LoadGenerator
import SansIO

struct LoadReport {
    var target: String
    var plan: LoadPlan
    var outcome: LoadOutcome
    var server: ServerProcess?

    /// Why the status is 1; nil: all went well.
    var failure: String? {
        let measured = outcome.measured
        let last = outcome.tallies[outcome.lastPhase] ?? LoadTally()
        if outcome.wasStopped { return measured.failed > 0 ? failedTransactions(measured) : nil }
        if outcome.lastPhase == .probe { return "\(target) cannot be reached: \(silence(last))" }
        if outcome.lastPhase == .preload {
            return "the users cannot be registered: \(reasons(last)); does the server know \(firstUser)?"
        }
        if last.wasCutShort { return "\(target) answers no more: \(reasons(last))" }
        return measured.failed > 0 ? failedTransactions(measured) : nil
    }

    private func silence(_ tally: LoadTally) -> String {
        tally.failures[.unreachable] != nil
            ? "nobody listens there" : "no answer to OPTIONS within \(plan.probePatience.wholeSeconds) s (\(reasons(tally)))"
    }

    private func failedTransactions(_ tally: LoadTally) -> String {
        "\(tally.failed) of \(tally.failed + tally.completed) transactions failed: \(reasons(tally))"
    }

    private func reasons(_ tally: LoadTally) -> String {
        let kinds = LoadFailure.allCases.compactMap { kind in tally.failures[kind].map { "\(kind.rawValue) \($0)" } }
        let statuses = tally.statuses.sorted { $0.key < $1.key }.map { "\($0.value) of status \($0.key)" }
        return (kinds + statuses).joined(separator: ", ")
    }

    private var firstUser: String {
        var name = OctetBuffer(capacity: 64)
        name.append(plan.users.prefix)
        name.appendDecimal(plan.users.first, digits: plan.users.width)
        name.append(plan.users.suffix)
        return "sip:\(String(octets: name.bytes))@\(plan.domain)"
    }

    // MARK: The table

    var table: String {
        guard let measured = outcome.tallies[.measured] else { return outcome.wasStopped ? "stopped before anything was counted\n" : "" }
        var text = "\(heading), \(decimal(measured.elapsed.nanoseconds, 1_000_000_000)) s\n"
        var rows = [["mode", "completed", "failed", "rate/s", "p50 µs", "p90 µs", "p99 µs", "p99.9 µs", "max µs"]]
        for mode in plan.mix.modes { rows.append(row(mode.name, measured[mode], measured.elapsed)) }
        if plan.mix.modes.count > 1 {
            rows.append(row("all", measured.completed, measured.failed, measured.latency, measured.elapsed))
        }
        text += aligned(rows)
        text += "retransmissions \(measured.retransmissions), duplicates \(measured.duplicates), strays \(measured.strays)\n"
        if measured.failed > 0 { text += "failed: \(reasons(measured))\n" }
        if let figures = outcome.server, measured.completed > 0 {
            let each = figures.processorTime.nanoseconds / Int64(measured.completed)
            text += "server: \(decimal(each, 1000)) µs of processor time a transaction, "
            text += "\(figures.residentKiB) KiB resident, at most \(figures.peakResidentKiB) KiB in one process\n"
        }
        if outcome.wasStopped { text += "stopped before its end\n" }
        return text
    }

    private var heading: String {
        let modes = plan.mix.shares.map { plan.mix.shares.count > 1 ? "\($0.mode.name)=\($0.weight)" : $0.mode.name }
        let loop =
            switch plan.pacing {
            case .window(let window): "window \(window) (closed loop, latency from the sending)"
            case .rate(let rate): "\(decimal(Int64(rate * 10), 10)) a second (open loop, latency from the due time)"
            }
        return "\(target): \(modes.joined(separator: ",")), \(loop)"
    }

    private func row(_ name: String, _ tally: ModeTally, _ elapsed: TimeSpan) -> [String] {
        row(name, tally.completed, tally.failed, tally.latency, elapsed)
    }

    private func row(_ name: String, _ completed: Int, _ failed: Int, _ latency: LatencyHistogram, _ elapsed: TimeSpan) -> [String] {
        let spans = [0.5, 0.9, 0.99, 0.999].map { latency.percentile($0) } + [latency.maximum]
        return [name, "\(completed)", "\(failed)", "\(rate(completed, elapsed))"] + spans.map { "\($0.nanoseconds / 1000)" }
    }

    /// Columns as wide as they must be: the first to the left, numbers to the right.
    private func aligned(_ rows: [[String]]) -> String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + padding : padding + cell
            }.joined(separator: "  ") + "\n"
        }.joined()
    }

    /// A quotient with one digit behind the point.
    private func decimal(_ number: Int64, _ divisor: Int64) -> String {
        let tenths = (number * 10 + divisor / 2) / divisor
        return "\(tenths / 10).\(tenths % 10)"
    }

    private func rate(_ completed: Int, _ elapsed: TimeSpan) -> Int {
        elapsed > .zero ? Int((Double(completed) * 1e9 / Double(elapsed.nanoseconds)).rounded()) : 0
    }

    // MARK: JSON

    var json: JSON {
        let measured = outcome.measured
        var members: [JSON.Member] = [
            .init("target", .text(target)), .init("domain", .text(plan.domain)),
            .init("mix", .list(plan.mix.shares.map { .object([.init("mode", .text($0.mode.name)), .init("weight", $0.weight)]) })),
        ]
        members += loopMembers
        members += [
            .init("users", plan.userCount), .init("phase", .text(phaseName)), .init("interrupted", .boolean(outcome.wasStopped)),
            .init("cut_short", .boolean(outcome.tallies[outcome.lastPhase]?.wasCutShort ?? false)),
            .init("elapsed_us", Int(measured.elapsed.nanoseconds / 1000)),
        ]
        members += figures(measured.completed, measured.failed, measured.latency, measured.failures, measured.elapsed)
        members += [
            .init("statuses", .object(measured.statuses.sorted { $0.key < $1.key }.map { .init("\($0.key)", $0.value) })),
            .init("retransmissions", measured.retransmissions), .init("duplicates", measured.duplicates), .init("strays", measured.strays),
            .init("modes", .list(plan.mix.modes.map { json(of: $0, measured[$0], measured.elapsed) })),
        ]
        for (phase, name) in [(LoadPhase.preload, "preload"), (.warmUp, "warm_up")] {
            guard let tally = outcome.tallies[phase], tally.completed + tally.failed > 0 else { continue }
            members.append(.init(name, .object([.init("completed", tally.completed), .init("failed", tally.failed)])))
        }
        if let server, let figures = outcome.server { members.append(.init("server", json(of: server, figures, measured.completed))) }
        return .object(members)
    }

    private var loopMembers: [JSON.Member] {
        switch plan.pacing {
        case .window(let window):
            [.init("loop", .text("closed")), .init("window", window), .init("latency_from", .text("sending"))]
        case .rate(let rate):
            [.init("loop", .text("open")), .init("rate_wanted", Int(rate.rounded())), .init("latency_from", .text("due time"))]
        }
    }

    private var phaseName: String {
        switch outcome.lastPhase {
        case .probe: "probe"
        case .preload: "preload"
        case .warmUp: "warm-up"
        case .measured: "measured"
        }
    }

    private func json(of mode: LoadMode, _ tally: ModeTally, _ elapsed: TimeSpan) -> JSON {
        .object([.init("mode", .text(mode.name))] + figures(tally.completed, tally.failed, tally.latency, tally.failures, elapsed))
    }

    private func figures(
        _ completed: Int, _ failed: Int, _ latency: LatencyHistogram, _ failures: [LoadFailure: Int], _ elapsed: TimeSpan
    ) -> [JSON.Member] {
        func microseconds(_ span: TimeSpan) -> Int { Int(span.nanoseconds / 1000) }
        return [
            .init("completed", completed), .init("failed", failed), .init("rate", rate(completed, elapsed)),
            .init(
                "latency_us",
                .object([
                    .init("mean", microseconds(latency.mean)), .init("p50", microseconds(latency.percentile(0.5))),
                    .init("p90", microseconds(latency.percentile(0.9))), .init("p99", microseconds(latency.percentile(0.99))),
                    .init("p99_9", microseconds(latency.percentile(0.999))), .init("max", microseconds(latency.maximum)),
                ])),
            .init("failures", .object(LoadFailure.allCases.map { .init($0.rawValue, failures[$0] ?? 0) })),
        ]
    }

    private func json(of server: ServerProcess, _ figures: ServerFigures, _ completed: Int) -> JSON {
        .object([
            .init("pid", Int(server.pid)), .init("before_us", Int(figures.before.nanoseconds / 1000)),
            .init("busy_us", Int(figures.busy.nanoseconds / 1000)),
            .init("cpu_us", Int(figures.processorTime.nanoseconds / 1000)),
            .init("cpu_ns_per_transaction", completed > 0 ? Int(figures.processorTime.nanoseconds) / completed : 0),
            .init("resident_kib", figures.residentKiB), .init("peak_resident_kib", figures.peakResidentKiB),
        ])
    }
}

extension JSON.Member {
    fileprivate init(_ name: String, _ number: Int) { self.init(name, .integer(Int64(number))) }
}
