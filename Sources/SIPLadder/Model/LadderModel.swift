// A whole trace as a ladder: what every view of it draws.

public import SIPTrace

/// The events of a trace, the messages behind them, and what each hop changed.
public struct LadderModel: Sendable {
    /// In the order of time.
    public private(set) var events: [LadderEvent] = []
    public let messages: [TracedMessage]
    /// By the number of the message that went out of a hop.
    public private(set) var hops: [UInt64: HopDifference] = [:]
    /// The lanes in a good order: clients, the node that recorded, and the servers that have names.
    public private(set) var nodes: [String] = []

    /// - Parameters:
    ///   - messages: in the order in which they were recorded.
    ///   - node: the lane of the node that recorded them.
    ///   - lanes: who is known to be where, beside what the messages tell.
    public init(_ messages: [TracedMessage], node: String = "core", lanes: LaneNames = LaneNames()) {
        var lanes = lanes
        for message in messages { lanes.learn(from: message) }
        let known = lanes
        self.init(messages, node: node) { known.name(of: $0) }
    }

    /// - Parameter otherEnd: the lane at the other end of a message.
    public init(_ messages: [TracedMessage], node: String = "core", otherEnd: (TracedMessage) -> String) {
        self.messages = messages
        let known = LadderModel.namedClients(messages)
        var reader = LadderReader(node: node, memory: messages.count)
        var clients: [String] = []
        var servers: [String] = []
        for message in messages {
            let lane = otherEnd(message)
            if !clients.contains(lane), !servers.contains(lane) {
                if message.peer.map({ known.contains($0) }) ?? true { clients.append(lane) } else { servers.append(lane) }
            }
            let step = reader.read(message, otherEnd: lane)
            events += step.events
            hops[message.sequence] = step.hop
        }
        nodes = clients + [node] + servers
    }

    /// Nodes with a name that are no servers: they register, or speak for the user whose name they have.
    private static func namedClients(_ messages: [TracedMessage]) -> Set<String> {
        var clients: Set<String> = []
        for message in messages {
            guard let peer = message.peer, message.direction == .incoming, !clients.contains(peer) else { continue }
            let parts = MessageParts(message.octets)
            guard parts.status == nil else { continue }
            let from = parts.value(of: "From").map { LaneNames.user(of: MessageParts.uri(inAddress: $0)) }
            if parts.method == "REGISTER" || from == peer { clients.insert(peer) }
        }
        return clients
    }
}
