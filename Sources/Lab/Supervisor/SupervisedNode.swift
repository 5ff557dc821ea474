// What the supervisor knows of one node.

import JSONText
import Topology

struct SupervisedNode {
    let plan: NodePlan
    private(set) var pid: Int32?
    var isStarting = false
    var isReady = false { didSet { hasBeenReady = hasBeenReady || isReady } }
    /// Set while the lab stops the node, or has asked it to quit.
    var endIsExpected = false
    /// Why it does not run, after it was started.
    var failure: String?
    /// How its process ended.
    private(set) var end: EndCause?
    /// Of a command: what it printed on standard output.
    private(set) var output: [[UInt8]] = []
    private var outputSize = 0
    private static let longestOutput = 4 << 20
    private(set) var readyLine: JSON?
    /// The latest JSON Lines that it printed, without the ready line; nil for one that answered a verb, so that no other
    /// verb takes it for its own.
    private var events: [JSON?] = []
    /// How many came before those.
    private var forgottenEvents = 0
    /// Whether it was ready since it was started last.
    private(set) var hasBeenReady = false
    private(set) var speaksLines = false
    private var splitters: [OutputStream: LineSplitter] = [:]
    private var lastErrorLine = ""
    private let pattern: PosixExpression?
    private static let keptEvents = 1024

    init(plan: NodePlan) {
        self.plan = plan
        if case .output(let text) = plan.readiness { pattern = PosixExpression(text) } else { pattern = nil }
    }

    mutating func beginStart() {
        self = SupervisedNode(plan: plan)
        isStarting = true
        if case .output(let text) = plan.readiness, pattern == nil { failure = "ready: \(text) is no regular expression" }
    }

    mutating func began(pid: Int32) {
        self.pid = pid
        if plan.readiness == .running { isReady = true }
    }

    mutating func ended(reason: String, cause: EndCause? = nil) {
        pid = nil
        end = cause
        isReady = false
        failure = reason
        if !hasBeenReady, !lastErrorLine.isEmpty { failure = "\(reason) before it was ready: \(lastErrorLine)" }
    }

    mutating func lines(of stream: OutputStream, _ bytes: [UInt8]) -> [[UInt8]] {
        splitters[stream, default: LineSplitter()].append(bytes)
    }

    mutating func lastLine(of stream: OutputStream) -> [UInt8] { splitters[stream]?.flush() ?? [] }

    mutating func printed(_ line: [UInt8], on stream: OutputStream) {
        let text = String(decoding: line, as: UTF8.self)
        if stream == .error, !text.trimmed.isEmpty { lastErrorLine = text }
        if let pattern, pattern.matches(in: text) { isReady = true }
        if plan.role == .command { return keep(line, of: stream) }
        guard stream == .standard, line.first == UInt8(ascii: "{"), let event = JSON(line), let name = event["event"]?.text
        else { return }
        speaksLines = true
        guard name == "ready" else {
            events.append(event)
            if events.count > SupervisedNode.keptEvents {
                forgottenEvents += events.count / 2
                events.removeFirst(events.count / 2)
            }
            return
        }
        readyLine = event
        if pattern == nil { isReady = true }
    }

    private mutating func keep(_ line: [UInt8], of stream: OutputStream) {
        guard stream == .standard, outputSize < SupervisedNode.longestOutput else { return }
        outputSize += line.count + 1
        output.append(line)
    }

    /// The number that the next event will have.
    var nextEvent: Int { forgottenEvents + events.count }

    /// The number of the first event from this one on that answers the verb.
    func answer(to verb: ClientVerb, from first: Int) -> Int? {
        events.indices.dropFirst(max(first - forgottenEvents, 0)).first { index in
            events[index].map { verb.meaning(of: $0) != .nothing } ?? false
        }.map { $0 + forgottenEvents }
    }

    /// Takes an event away.
    mutating func claimEvent(_ number: Int) -> JSON? {
        let index = number - forgottenEvents
        guard events.indices.contains(index) else { return nil }
        defer { events[index] = nil }
        return events[index]
    }

    var status: NodeStatus {
        let state = pid == nil ? (isStarting ? "starting" : "stopped") : (isReady ? "ready" : "starting")
        return NodeStatus(name: plan.name, role: plan.role, state: state, pid: pid, readyLine: pid == nil ? nil : readyLine)
    }
}
