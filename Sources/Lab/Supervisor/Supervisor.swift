// Starts, watches, drives and stops the nodes of a lab, through its guard.

import Glibc
import JSONText
import Topology

/// Why a node did not start.
struct NodeFailure: Error, Equatable, CustomStringConvertible {
    let node: String
    let reason: String
    var description: String { "\(node): \(reason)" }
}

/// What came of a verb.
enum VerbOutcome: Sendable, Equatable {
    case done(JSON)
    case refused(JSON)
    /// No event in time. A client that never printed one does not speak the lines.
    case silent(speaksLines: Bool)
    /// The client does not run, or it ended before it answered.
    case notRunning(reason: String)
}

/// What came of a command.
struct CommandOutcome: Sendable, Equatable {
    enum End: Sendable, Equatable {
        case ended(EndCause)
        case notStarted(String)
        case timedOut
        /// The scenario was ended before.
        case givenUp
    }
    var end: End
    /// Standard output.
    var output: String
}

/// A node as others see it.
struct NodeStatus: Sendable {
    var name: String
    var role: NodeRole
    var state: String
    var pid: Int32?
    var readyLine: JSON?
}

/// All nodes of a lab.
actor Supervisor {
    /// A node that ended without being asked to; its name and how.
    typealias UnexpectedEnd = (node: String, role: NodeRole, reason: String)

    private var nodes: [String: SupervisedNode]
    /// Core, servers, clients: the order of starting.
    private let order: [String]
    private let link: GuardLink
    private var output: NodeOutput
    private let addressOfURI: @Sendable (String) -> HostAndPort?
    private let unexpectedEnd: @Sendable (UnexpectedEnd) -> Void
    private var waiting: [Int: (condition: (isolated Supervisor) -> Bool, resume: CheckedContinuation<Bool, Never>)] = [:]
    private var nextWaiting = 0
    private var commandCount = 0

    /// How long a node may take to end by itself.
    static let graceMilliseconds = 5000

    init(
        plans: [NodePlan], link: GuardLink, output: consuming NodeOutput,
        addressOfURI: @escaping @Sendable (String) -> HostAndPort?,
        unexpectedEnd: @escaping @Sendable (UnexpectedEnd) -> Void
    ) {
        nodes = Dictionary(uniqueKeysWithValues: plans.map { ($0.name, SupervisedNode(plan: $0)) })
        order = plans.map(\.name)
        self.link = link
        self.output = output
        self.addressOfURI = addressOfURI
        self.unexpectedEnd = unexpectedEnd
    }

    /// Takes what the guard tells, until it has ended.
    func watch() async {
        for await event in link.events {
            apply(event)
            wakeWaiting()
        }
        for name in order where nodes[name]?.pid != nil { nodeEnded(name, reason: "ended with the lab's guard") }
        wakeWaiting()
    }

    // MARK: Starting

    /// Starts all nodes and returns when all are ready. What is built in needs no other to start, unless the core's clock is
    /// its own; the user's own servers wait for the core, the user's own clients for all others. The first failure ends the
    /// waiting.
    func startAll() async throws {
        let afterCore = order.filter { nodes[$0]?.plan.hasVirtualClock == true } + names(.server, isBuiltIn: false)
        try await withThrowingTaskGroup(of: NodeRole?.self) { group in
            for name in order where nodes[name]?.plan.isBuiltIn == true && !afterCore.contains(name) {
                group.addTask {
                    try await self.start(name)
                    return await self.role(of: name)
                }
            }
            for try await role in group where role == .core {
                for name in afterCore {
                    group.addTask {
                        try await self.start(name)
                        return nil
                    }
                }
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for name in names(.client, isBuiltIn: false) { group.addTask { try await self.start(name) } }
            try await group.waitForAll()
        }
    }

    private func names(_ role: NodeRole, isBuiltIn: Bool) -> [String] {
        order.filter { nodes[$0]?.plan.role == role && nodes[$0]?.plan.isBuiltIn == isBuiltIn }
    }

    /// Starts a node that does not run, and returns when it is ready.
    func start(_ name: String) async throws(NodeFailure) {
        guard let node = nodes[name] else { throw NodeFailure(node: name, reason: "the lab starts no such node") }
        guard node.pid == nil, !node.isStarting else { throw NodeFailure(node: name, reason: "it runs already; stop it first") }
        nodes[name]?.beginStart()
        link.send(.start(node.plan.process))
        let patience = node.plan.readiness.patienceMilliseconds
        // An answer from before the process runs would be another's.
        _ = await wait(milliseconds: patience) { $0.nodes[name]?.pid != nil || $0.nodes[name]?.failure != nil }
        let probe = probeTask(node.plan)
        defer { probe?.cancel() }
        _ = await wait(milliseconds: patience) { $0.nodes[name]?.hasBeenReady != false || $0.nodes[name]?.failure != nil }
        nodes[name]?.isStarting = false
        if nodes[name]?.hasBeenReady == true { return }
        if let failure = nodes[name]?.failure { throw NodeFailure(node: name, reason: failure) }
        let reason = Task.isCancelled ? "given up" : "\(node.plan.readiness.missing) within \(patience / 1000) s"
        try? await stop(name)
        throw NodeFailure(node: name, reason: reason)
    }

    private func probeTask(_ plan: NodePlan) -> Task<Void, Never>? {
        guard case .readyLineOrAnswer(let uri) = plan.readiness, let address = addressOfURI(uri) else { return nil }
        let isStream = ServerAddress(uri: uri).map { $0.transport != .udp } ?? false
        let probe = OptionsProbe(uri: uri, address: address, isStream: isStream)
        return Task {
            if await probe.isAnswered(within: plan.readiness.patienceMilliseconds) { answeredOptions(plan.name) }
        }
    }

    private func answeredOptions(_ name: String) {
        guard nodes[name]?.pid != nil else { return }
        nodes[name]?.isReady = true
        wakeWaiting()
    }

    // MARK: Stopping

    /// Ends a node's process, and what it started, and returns when it is gone.
    func stop(_ name: String) async throws(NodeFailure) {
        guard let node = nodes[name] else { throw NodeFailure(node: name, reason: "the lab starts no such node") }
        guard node.pid != nil else { throw NodeFailure(node: name, reason: "it does not run; start it first") }
        nodes[name]?.endIsExpected = true
        link.send(.stop(node: name, graceMilliseconds: Int32(Supervisor.graceMilliseconds)))
        // The guard's SIGKILL and its last look at what was left behind come within the second after.
        let hasEnded = await wait(milliseconds: Supervisor.graceMilliseconds + 3000) { $0.nodes[name]?.pid == nil }
        if !hasEnded { throw NodeFailure(node: name, reason: "did not end") }
    }

    /// Ends all nodes: the clients, then the servers, then the core.
    func stopAll() async {
        for role in [NodeRole.client, .server, .core] {
            let running = order.filter { nodes[$0]?.plan.role == role && (nodes[$0]?.pid != nil || nodes[$0]?.isStarting == true) }
            await withTaskGroup { group in
                for name in running { group.addTask { try? await self.stop(name) } }
            }
        }
    }

    // MARK: Driving

    /// Gives a client a command and waits for the event that answers it.
    func perform(_ verb: ClientVerb, on name: String, milliseconds: Int = 5000) async -> VerbOutcome {
        guard let node = nodes[name] else { return .notRunning(reason: "the lab starts no such node") }
        guard node.pid != nil else { return .notRunning(reason: node.failure ?? "it does not run") }
        if let pause = verb.waitMilliseconds {
            if node.plan.hasVirtualClock {
                // What it is asked next comes after that.
                link.send(.write(node: name, bytes: Array((verb.line + "\n").utf8)))
            } else {
                try? await Task.sleep(for: .milliseconds(pause))
            }
            return .done(.members(["event": .text("waited")]))
        }
        let first = node.nextEvent
        if verb.isQuit { nodes[name]?.endIsExpected = true }
        link.send(.write(node: name, bytes: Array((verb.line + "\n").utf8)))
        _ = await wait(milliseconds: milliseconds) { supervisor in
            supervisor.nodes[name]?.pid == nil || supervisor.nodes[name]?.answer(to: verb, from: first) != nil
        }
        return outcome(of: verb, on: name, from: first)
    }

    private func outcome(of verb: ClientVerb, on name: String, from first: Int) -> VerbOutcome {
        guard let node = nodes[name] else { return .notRunning(reason: "the lab starts no such node") }
        if let number = node.answer(to: verb, from: first), let event = nodes[name]?.claimEvent(number) {
            return verb.meaning(of: event) == .refused ? .refused(event) : .done(event)
        }
        if node.pid == nil {
            return verb.isQuit ? .done(.members(["event": .text("ended")])) : .notRunning(reason: node.failure ?? "it has ended")
        }
        return .silent(speaksLines: node.speaksLines)
    }

    // MARK: Commands

    /// Runs a command to its end, or to its time-out: then it is ended with all that it has started.
    func run(_ process: ProcessSpec, milliseconds: Int) async -> CommandOutcome {
        commandCount += 1
        var process = process
        process.node = "run \(commandCount)"
        process.takesInput = false
        let name = process.node
        var node = SupervisedNode(
            plan: NodePlan(name: name, role: .command, process: process, readiness: .running, isBuiltIn: false))
        node.endIsExpected = true
        nodes[name] = node
        defer { nodes[name] = nil }
        link.send(.start(process))
        let hasEnded = await wait(milliseconds: milliseconds) { $0.nodes[name]?.failure != nil }
        if !hasEnded {
            link.send(.stop(node: name, graceMilliseconds: Int32(Supervisor.commandGraceMilliseconds)))
            _ = await wait(milliseconds: Supervisor.commandGraceMilliseconds + 3000) { $0.nodes[name]?.failure != nil }
        }
        let lines = nodes[name]?.output ?? []
        let output = lines.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
        if !hasEnded { return CommandOutcome(end: Task.isCancelled ? .givenUp : .timedOut, output: output) }
        if let cause = nodes[name]?.end { return CommandOutcome(end: .ended(cause), output: output) }
        return CommandOutcome(end: .notStarted(nodes[name]?.failure ?? ""), output: output)
    }

    private static let commandGraceMilliseconds = 500

    // MARK: Looking

    /// What each node printed last, if that is kept.
    func logs() -> [(node: String, lines: [String])] { order.map { ($0, output.lines(of: $0)) } }

    func status(of name: String) -> NodeStatus? { nodes[name]?.status }
    func statuses() -> [NodeStatus] { order.compactMap { nodes[$0]?.status } }
    func role(of name: String) -> NodeRole? { nodes[name]?.plan.role }

    /// The addresses in the ready lines of the nodes: where they listen for SIP.
    func listenAddresses() -> [String: [HostAndPort]] {
        nodes.compactMapValues { node in
            node.readyLine?["sip"]?.list?.compactMap { address in
                address.text.flatMap { text in text.firstRange(of: "://").flatMap { HostAndPort(text[$0.upperBound...]) } }
            }
        }
    }

    // MARK: What the guard tells

    private func apply(_ event: GuardEvent) {
        switch event {
        case .started(let name, let pid): nodes[name]?.began(pid: pid)
        case .startFailed(let name, let code):
            let program = nodes[name]?.plan.process.arguments.first ?? ""
            nodes[name]?.failure = "cannot start \(program): \(String(cString: strerror(code)))"
        case .output(let name, let stream, let bytes):
            for line in nodes[name]?.lines(of: stream, bytes) ?? [] { take(line, of: name, stream) }
        case .ended(let name, let cause):
            for stream in [OutputStream.standard, .error] {
                if let line = nodes[name]?.lastLine(of: stream), !line.isEmpty { take(line, of: name, stream) }
            }
            nodeEnded(name, reason: cause.description, cause)
        }
    }

    private func take(_ line: [UInt8], of name: String, _ stream: OutputStream) {
        output.print(line, of: name)
        nodes[name]?.printed(line, on: stream)
    }

    private func nodeEnded(_ name: String, reason: String, _ cause: EndCause? = nil) {
        guard let node = nodes[name] else { return }
        nodes[name]?.ended(reason: reason, cause: cause)
        // An end before it was ready is told by `start`.
        if !node.endIsExpected, node.hasBeenReady { unexpectedEnd((name, node.plan.role, reason)) }
    }

    // MARK: Waiting

    /// Waits until a condition holds; false when the time was over or the task cancelled before.
    private func wait(milliseconds: Int, until condition: @escaping (isolated Supervisor) -> Bool) async -> Bool {
        if condition(self) { return true }
        let id = nextWaiting
        nextWaiting += 1
        let timer = Task {
            try? await Task.sleep(for: .milliseconds(milliseconds))
            giveUpWaiting(id)
        }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { resume in
                if Task.isCancelled { resume.resume(returning: false) } else { waiting[id] = (condition, resume) }
            }
        } onCancel: {
            Task { await self.giveUpWaiting(id) }
        }
    }

    private func wakeWaiting() {
        for (id, entry) in waiting where entry.condition(self) {
            waiting[id] = nil
            entry.resume.resume(returning: true)
        }
    }

    private func giveUpWaiting(_ id: Int) {
        waiting.removeValue(forKey: id)?.resume.resume(returning: false)
    }
}
