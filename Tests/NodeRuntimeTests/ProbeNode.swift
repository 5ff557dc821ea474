import Logging
import SansIO

@testable import NodeRuntime

/// A core that does what its messages say, and remembers what happened to it. A message is a header, a blank line and
/// words: `echo TEXT` is answered with TEXT, `close` closes the stream, `alias PORT HOST` has the peer reached by it, `stay` keeps it
/// though it is silent, `stay a while` does so for a second, other words are only remembered.
struct ProbeNode: SansIONode, ~Copyable {
    enum Event: Hashable, Sendable {
        case received(String, Flow)
        case closed(Flow)
        case failed(UInt64, Flow)
        case committed(UInt64, Bool)
        case advanced
        /// A question of names: its number, the records, whether somebody answered.
        case named(UInt64, [NameRecord], Bool)
    }

    var events: [Event] = []
    var deadline: Instant?
    var needed: Set<UInt32> = []
    /// Streams that may be silent for a second.
    var limited: Set<UInt32> = []

    mutating func receive(_ octets: RawSpan, over flow: Flow, at now: Now, into effects: inout Effects) {
        let text = String(octets: octets)
        events.append(.received(text, flow))
        let command = text.split(separator: "\r\n\r\n").last ?? ""
        if command.hasPrefix("echo ") { send(String(command.dropFirst(5)), over: flow, into: &effects) }
        if command == "close" { effects.wire.close(connection: flow.connection) }
        if command == "stay" { needed.insert(flow.connection) }
        if command == "stay a while" { limited.insert(flow.connection) }
        let words = command.split(separator: " ")
        if words.count == 3, words[0] == "alias", let port = UInt16(words[1]) {
            effects.wire.alias(flow, port: port, host: Array(words[2].utf8).span.bytes)
        }
        if text.contains("Refuse") { send(Self.message("refused"), over: flow, into: &effects) }
    }

    mutating func send(_ text: String, over flow: Flow, transaction: UInt64 = 0, into effects: inout Effects) {
        let start = effects.wire.bytes.count
        effects.wire.bytes.append(Array(text.utf8))
        effects.wire.transmit(from: start, over: flow, transaction: transaction, method: 3)
    }

    func patience(with flow: Flow) -> TimeSpan? {
        if needed.contains(flow.connection) { return .forever }
        return limited.contains(flow.connection) ? .seconds(1) : nil
    }

    mutating func flowClosed(_ flow: Flow, at now: Now, into effects: inout Effects) { events.append(.closed(flow)) }

    mutating func transmissionFailed(_ transaction: UInt64, over flow: Flow, at now: Now, into effects: inout Effects) {
        events.append(.failed(transaction, flow))
    }

    mutating func committed(upTo ticket: UInt64, succeeded: Bool, at now: Now, into effects: inout Effects) {
        events.append(.committed(ticket, succeeded))
    }

    mutating func nameAnswered(_ question: UInt64, _ answer: NameAnswer, at now: Now, into effects: inout Effects) {
        events.append(.named(question, answer.records, answer.isConclusive))
    }

    mutating func advance(to now: Now, into effects: inout Effects) {
        deadline = nil
        events.append(.advanced)
    }

    var nextDeadline: Instant? { deadline }

    /// A message of a stream.
    static func message(_ body: String) -> String { "MESSAGE sip:h SIP/2.0\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)" }
}

extension ShardConfiguration {
    static var quiet: ShardConfiguration { ShardConfiguration(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) }
}

/// A started shard with a probe on loopback.
func startProbe(
    _ transports: [Transport] = [.udp], at address: IPAddress = .loopback, _ configuration: ShardConfiguration = .quiet,
    store: StoreSink? = nil
) throws -> Shard<ProbeNode> {
    let addresses = transports.map { ListenAddress(transport: $0, endpoint: Endpoint(address: address, port: 0)) }
    let shard = try Shard(ProbeNode(), on: BoundListeners(binding: addresses), configuration)
    try shard.start(store: store)
    return shard
}

extension Shard where Node == ProbeNode {
    func events() async -> [ProbeNode.Event] { await perform { node, _, _ in node.events } }

    /// Asks until the answer is yes; a test's own time limit ends a wait in vain.
    func until(_ isTrue: @Sendable @escaping ([ProbeNode.Event], RuntimeCounters) -> Bool) async throws -> [ProbeNode.Event] {
        while true {
            let events = await events()
            if isTrue(events, await counters()) { return events }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    func send(_ text: String, over flow: Flow, transaction: UInt64 = 0) {
        post { node, _, effects in node.send(text, over: flow, transaction: transaction, into: &effects) }
    }
}
