// One lab from its guard to the end of its last process.

import Glibc
import JSONText
import Topology

/// What a lab reacts to.
enum Occurrence: Sendable {
    case started
    case startFailed(LabFailure)
    case interrupted
    case nodeEnded(Supervisor.UnexpectedEnd)
    case guardEnded
    case scenariosEnded([ScenarioResult])
}

/// Why a lab did not start.
struct LabFailure: Error, CustomStringConvertible {
    let status: Int32
    let description: String
}

/// The guard, the nodes and the interface of one run.
final class RunningLab: Sendable {
    private let options: LabOptions
    private let console: LabConsole
    private let resolved: ResolvedTopology
    private let link: GuardLink
    private let scratch: String
    private let supervisor: Supervisor
    private let runner: ScenarioRunner
    private let occur: @Sendable (Occurrence) -> Void

    /// Lines of each node that are kept for reports of failures.
    private static let keptLines = 400

    /// A lab from its start to its end.
    /// - Parameter isIsolated: others may live beside it, so that nothing that the topology fixes is taken: neither ports nor
    ///   databases.
    static func run(
        _ options: LabOptions, _ console: LabConsole, isIsolated: Bool = false, until interruption: Interruption
    ) async -> LabOutcome {
        let (occurrences, occur) = AsyncStream.makeStream(of: Occurrence.self)
        interruption.add { occur.yield(.interrupted) }
        do throws(LabFailure) {
            let lab = try RunningLab(options, console, isIsolated: isIsolated) { occur.yield($0) }
            return await lab.live(through: occurrences)
        } catch {
            console.complain(error.description)
            return LabOutcome(status: error.status)
        }
    }

    private init(
        _ options: LabOptions, _ console: LabConsole, isIsolated: Bool, occur: @escaping @Sendable (Occurrence) -> Void
    ) throws(LabFailure) {
        self.options = options
        self.console = console
        self.occur = occur
        let scratch = try RunningLab.makeScratchFolder()
        self.scratch = scratch
        var builtIn = BuiltInOptions(executable: options.executable, arguments: options.builtInArguments, scratch: scratch)
        do {
            // The guard first: it starts while ports are chosen.
            link = try GuardLink(command: [options.executable, LabGuard.subcommand], scratch: scratch)
            resolved = try ResolvedTopology(options.topology, isolatedIn: isIsolated ? scratch : nil)
            if let security = options.security { builtIn.tls = try TLSPaths(security, in: scratch) }
            let plans = try resolved.nodePlans(builtIn)
            let keptLines = options.reportFolder == nil ? 0 : RunningLab.keptLines
            supervisor = Supervisor(
                plans: plans, link: link,
                output: try NodeOutput(logFolder: options.logFolder, keptLines: keptLines, write: console.write),
                addressOfURI: { [resolved] in resolved.address(ofURI: $0) }, unexpectedEnd: { occur(.nodeEnded($0)) })
        } catch let failure as ResolvedTopology.PlanFailure {
            removeFolder(scratch)
            throw LabFailure(status: 1, description: failure.description)
        } catch {
            removeFolder(scratch)
            throw LabFailure(status: 3, description: "\(error)")
        }
        let core = CoreInterface(base: "http://\(resolved.coreHTTP)", token: options.topology.core.httpToken)
        runner = ScenarioRunner(
            resolved, supervisor: supervisor, core: core, values: resolved.placeholders(forClient: nil, builtIn), print: console.print)
    }

    /// What there is to end.
    private struct Life {
        var server: LabServer?
        var scenarios: Task<[ScenarioResult], Never>?
        var outcome = LabOutcome(status: 0)
    }

    /// Lives until there is a reason to end, and ends everything.
    private func live(through occurrences: AsyncStream<Occurrence>) async -> LabOutcome {
        let watching = Task {
            await supervisor.watch()
            occur(.guardEnded)
        }
        let starting = Task { await start() }
        var life = Life()
        for await occurrence in occurrences {
            if await !goesOn(after: occurrence, &life) { break }
        }
        // Whoever interrupts again has no patience.
        let hurrying = Task {
            for await occurrence in occurrences {
                if case .interrupted = occurrence { await link.end() }
            }
        }
        starting.cancel()
        await starting.value
        if let scenarios = life.scenarios { life.outcome.results = await scenarios.value }
        await life.server?.stop()
        await supervisor.stopAll()
        hurrying.cancel()
        await link.end()
        await watching.value
        // The guard has done so already, unless it was killed.
        removeFolder(scratch)
        return life.outcome
    }

    private func goesOn(after occurrence: Occurrence, _ life: inout Life) async -> Bool {
        switch occurrence {
        case .started: return await serve(&life)
        case .startFailed(let failure):
            console.complain(failure.description)
            life.outcome.status = failure.status
            return false
        case .interrupted:
            await runner.interrupt(because: "the lab was interrupted", isLasting: true)
            life.outcome.status = options.scenarios == nil ? 0 : 1
            return false
        case .nodeEnded(let end):
            let report = "\(end.node) \(end.reason), without being asked to"
            console.complain(report)
            await runner.interrupt(because: report, isLasting: end.role == .core)
            // Scenarios come to their own end.
            if end.role != .core || life.scenarios != nil { return true }
            life.outcome.status = 1
            return false
        case .guardEnded:
            console.complain("the lab's guard ended, and all nodes with it")
            await runner.interrupt(because: "the lab's guard ended", isLasting: true)
            life.outcome.status = 1
            return false
        case .scenariosEnded(let results):
            life.outcome.status = results.allSatisfy { $0.failure == nil } ? 0 : 1
            return false
        }
    }

    // MARK: Starting

    private func start() async {
        do {
            try await supervisor.startAll()
            occur(.started)
        } catch {
            occur(.startFailed(LabFailure(status: 3, description: "\(error)")))
        }
    }

    /// All nodes are ready: now the lab is.
    private func serve(_ life: inout Life) async -> Bool {
        do throws(LabFailure) {
            life.server = try await listen()
            await runner.learn(labHTTP: life.server.map { "http://\($0.address)" })
            // Labs that live side by side are for their scenarios alone.
            if !resolved.isIsolated { try await announce(life.server?.address) }
        } catch {
            console.complain(error.description)
            life.outcome.status = error.status
            return false
        }
        life.scenarios = options.scenarios.map { list in Task { await self.run(list) } }
        return true
    }

    private func listen() async throws(LabFailure) -> LabServer? {
        guard let wanted = resolved.topology.lab.http.map({ HostAndPort(host: $0.host, port: $0.port) }) else { return nil }
        let token = resolved.topology.lab.httpToken
        guard wanted.isLoopback || token != nil else {
            throw LabFailure(status: 1, description: "lab.http: \(wanted) is not loopback, and there is no token to ask for")
        }
        do throws(LabServer.Failure) {
            let began = ContinuousClock.now
            return try await LabServer.start(on: wanted) { [supervisor, resolved, options] address in
                LabInterface(
                    supervisor: supervisor, address: address, token: token, identity: { resolved.identities(of: $0).first },
                    version: options.version, began: began,
                    settle: {
                        guard resolved.topology.core.clockIsVirtual else { return }
                        // A core that was stopped has nothing under way.
                        try? await CoreInterface(base: "http://\(resolved.coreHTTP)", token: resolved.topology.core.httpToken).settle()
                    })
            }
        } catch {
            throw LabFailure(status: 3, description: error.description)
        }
    }

    /// Prints the lab's ready line.
    private func announce(_ http: HostAndPort?) async throws(LabFailure) {
        let nodes = await supervisor.statuses().map { node in
            JSON.Member(node.name, node.readyLine ?? .members(["pid": node.pid.map { .integer(Int64($0)) }]))
        }
        let line = JSON.members([
            "event": .text("ready"), "role": .text("lab"), "pid": .integer(Int64(getpid())),
            "http": http.map { .text("http://\($0)") }, "nodes": .object(nodes),
        ]).description
        console.print(line)
        if let file = options.readyFile, let fault = replaceFile(file, with: line + "\n") {
            throw LabFailure(status: 3, description: fault)
        }
    }

    // MARK: Scenarios

    private func run(_ scenarios: [Scenario]) async -> [ScenarioResult] {
        var results: [ScenarioResult] = []
        for scenario in scenarios { results.append(await runner.run(scenario)) }
        occur(.scenariosEnded(results))
        return results
    }

    // MARK: Files

    private static func makeScratchFolder() throws(LabFailure) -> String {
        let parent = ownEnvironment()["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
        var path = Array("\(parent)/sipcore-lab-XXXXXX".utf8CString)
        guard mkdtemp(&path) != nil else {
            throw LabFailure(status: 3, description: "\(parent): \(String(cString: strerror(errno)))")
        }
        return String(decoding: path.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
