// `sipcore lab`: from a loaded topology to running processes, through the scenarios, and to the end of all of it.

import CProcess
import Dispatch
import Glibc
public import Topology

/// What a lab is to do.
public struct LabOptions: Sendable {
    public var topology: Topology
    /// Absolute path of this executable, which is the core, the built-in nodes and the guard too.
    public var executable: String
    /// The scenarios to run, in this order, before the lab ends; nil: the lab stays until it is interrupted.
    public var scenarios: [Scenario]?
    /// Where the JUnit report of the scenarios goes.
    public var junitFile: String?
    /// The folder of the files `NAME.log`, one a node.
    public var logFolder: String?
    /// Gets the ready line too, atomically.
    public var readyFile: String?
    /// The certificate that the lab's nodes show and believe; nil: there is no TLS in the lab.
    public var security: LabSecurity?
    /// Arguments for every built-in node, such as `--log-level debug`.
    public var builtInArguments: [String] = []

    public init(topology: Topology, executable: String) {
        self.topology = topology
        self.executable = executable
    }
}

/// One run of a lab.
public struct LabRun: Sendable {
    private let options: LabOptions

    public init(_ options: LabOptions) { self.options = options }

    /// Starts every process of the topology, waits until each is ready, prints the lab's ready line, runs the scenarios or
    /// waits for SIGINT or SIGTERM, and ends all processes. No process is left when it returns.
    /// - Returns: the exit status: 0; 1 if a scenario failed or was interrupted, or the core ended by itself; 3 if a node
    ///   could not start.
    public func run() async -> Int32 {
        let (occurrences, occur) = AsyncStream.makeStream(of: Occurrence.self)
        let signals = InterruptSignals { occur.yield(.interrupted) }
        defer { signals.stop() }
        do throws(LabFailure) {
            let lab = try RunningLab(options, occur: { occur.yield($0) })
            return await lab.live(through: occurrences)
        } catch {
            complain(error.description)
            return error.status
        }
    }
}

/// What a lab reacts to.
enum Occurrence: Sendable {
    case started
    case startFailed(LabFailure)
    case interrupted
    case nodeEnded(Supervisor.UnexpectedEnd)
    case guardEnded
    case scenariosEnded(allPassed: Bool)
}

/// Why a lab did not start.
struct LabFailure: Error, CustomStringConvertible {
    let status: Int32
    let description: String
}

/// The guard, the nodes and the interface of one run.
private final class RunningLab: Sendable {
    private let options: LabOptions
    private let resolved: ResolvedTopology
    private let link: GuardLink
    private let scratch: String
    private let supervisor: Supervisor
    private let runner: ScenarioRunner
    private let occur: @Sendable (Occurrence) -> Void

    init(_ options: LabOptions, occur: @escaping @Sendable (Occurrence) -> Void) throws(LabFailure) {
        self.options = options
        self.occur = occur
        let scratch = try RunningLab.makeScratchFolder()
        self.scratch = scratch
        do {
            // The guard first: it starts while ports are chosen.
            link = try GuardLink(command: [options.executable, LabGuard.subcommand], scratch: scratch)
            resolved = try ResolvedTopology(options.topology)
            var builtIn = BuiltInOptions(executable: options.executable, arguments: options.builtInArguments, scratch: scratch)
            if let security = options.security { builtIn.tls = try TLSPaths(security, in: scratch) }
            let plans = try resolved.nodePlans(builtIn)
            supervisor = Supervisor(
                plans: plans, link: link, output: try NodeOutput(logFolder: options.logFolder),
                addressOfURI: { [resolved] in resolved.address(ofURI: $0) }, unexpectedEnd: { occur(.nodeEnded($0)) })
        } catch let failure as ResolvedTopology.PlanFailure {
            removeFolder(scratch)
            throw LabFailure(status: 1, description: failure.description)
        } catch {
            removeFolder(scratch)
            throw LabFailure(status: 3, description: "\(error)")
        }
        let core = CoreInterface(base: "http://\(resolved.coreHTTP)", token: options.topology.core.httpToken)
        runner = ScenarioRunner(resolved, supervisor: supervisor, core: core) { writeAll($0 + "\n", to: STDOUT_FILENO) }
    }

    /// What there is to end.
    private struct Life {
        var server: LabServer?
        var scenarios: Task<Void, Never>?
        var status: Int32 = 0
    }

    /// Lives until there is a reason to end, and ends everything.
    func live(through occurrences: AsyncStream<Occurrence>) async -> Int32 {
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
        await life.scenarios?.value
        await life.server?.stop()
        await supervisor.stopAll()
        hurrying.cancel()
        await link.end()
        await watching.value
        // The guard has done so already, unless it was killed.
        removeFolder(scratch)
        return life.status
    }

    private func goesOn(after occurrence: Occurrence, _ life: inout Life) async -> Bool {
        switch occurrence {
        case .started: return await serve(&life)
        case .startFailed(let failure):
            complain(failure.description)
            life.status = failure.status
            return false
        case .interrupted:
            await runner.interrupt(because: "the lab was interrupted", isLasting: true)
            life.status = options.scenarios == nil ? 0 : 1
            return false
        case .nodeEnded(let end):
            let report = "\(end.node) \(end.reason), without being asked to"
            complain(report)
            await runner.interrupt(because: report, isLasting: end.role == .core)
            // Scenarios come to their own end.
            if end.role != .core || life.scenarios != nil { return true }
            life.status = 1
            return false
        case .guardEnded:
            complain("the lab's guard ended, and all nodes with it")
            await runner.interrupt(because: "the lab's guard ended", isLasting: true)
            life.status = 1
            return false
        case .scenariosEnded(let allPassed):
            life.status = allPassed ? 0 : 1
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
            try await announce(life.server?.address)
        } catch {
            complain(error.description)
            life.status = error.status
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
            return try await LabServer.start(on: wanted) { [supervisor, resolved] address in
                LabInterface(
                    supervisor: supervisor, address: address, token: token, identity: { resolved.identities(of: $0).first })
            }
        } catch {
            throw LabFailure(status: 3, description: error.description)
        }
    }

    /// Prints the lab's ready line.
    private func announce(_ http: HostAndPort?) async throws(LabFailure) {
        let nodes = await supervisor.statuses().map { node in
            JSON.Member(name: node.name, value: node.readyLine ?? .members(["pid": node.pid.map { .integer(Int64($0)) }]))
        }
        let line = JSON.members([
            "event": .string("ready"), "role": .string("lab"), "pid": .integer(Int64(getpid())),
            "http": http.map { .string("http://\($0)") }, "nodes": .object(nodes),
        ]).description
        writeAll(line + "\n", to: STDOUT_FILENO)
        if let file = options.readyFile { try RunningLab.replace(file, with: line + "\n") }
    }

    // MARK: Scenarios

    private func run(_ scenarios: [Scenario]) async {
        var results: [ScenarioResult] = []
        for scenario in scenarios { results.append(await runner.run(scenario)) }
        let passed = results.count { $0.failure == nil }
        writeAll("\(passed) of \(results.count) scenarios passed\n", to: STDOUT_FILENO)
        var isReported = true
        if let file = options.junitFile {
            do throws(LabFailure) {
                try RunningLab.replace(file, with: JUnitReport.text(suite: options.topology.file, results: results))
            } catch {
                complain(error.description)
                isReported = false
            }
        }
        occur(.scenariosEnded(allPassed: passed == results.count && isReported))
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

    /// Writes a whole file in one move, so that nobody reads half of it.
    private static func replace(_ path: String, with text: String) throws(LabFailure) {
        let draft = "\(path).\(getpid())"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        let isWritten = descriptor >= 0 && writeAll(text, to: descriptor)
        if descriptor >= 0 { close(descriptor) }
        guard isWritten, rename(draft, path) == 0 else {
            let reason = String(cString: strerror(errno))
            unlink(draft)
            throw LabFailure(status: 3, description: "\(path): \(reason)")
        }
    }
}

private func complain(_ text: String) { writeAll("sipcore: \(text)\n", to: STDERR_FILENO) }

/// SIGINT and SIGTERM as calls, until stopped.
private struct InterruptSignals {
    private static let numbers = [SIGINT, SIGTERM]
    private let pipe: Pipe?

    init(_ interrupted: @escaping @Sendable () -> Void) {
        pipe = Pipe()
        guard let pipe else { return }
        setNonBlocking(pipe.writing)
        let reading = pipe.reading
        DispatchQueue(label: "sipcore.lab.signals").async {
            while let numbers = readSome(reading, limit: 1), !numbers.isEmpty { interrupted() }
            close(reading)
        }
        _ = cprocess_forward_signals(InterruptSignals.numbers, Int32(InterruptSignals.numbers.count), pipe.writing)
    }

    func stop() {
        guard let pipe else { return }
        _ = cprocess_forward_signals(InterruptSignals.numbers, Int32(InterruptSignals.numbers.count), -1)
        close(pipe.writing)
    }
}
