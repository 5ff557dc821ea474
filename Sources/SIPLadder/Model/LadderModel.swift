// A whole trace as a ladder: what every view of it draws.

public import SIPTrace

/// The events of a trace, the messages behind them, and what each hop changed.
public struct LadderModel: Sendable {
    /// In the order of time.
    public private(set) var events: [LadderEvent] = []
    public let messages: [TracedMessage]
    /// By the number of the message that went out of a hop.
    public private(set) var hops: [UInt64: HopDifference] = [:]

    /// - Parameters:
    ///   - messages: in the order in which they were recorded.
    ///   - node: the lane of the node that recorded them.
    ///   - otherEnd: the lane at the other end of a message; left out: the name of the peer, who registered from there, or
    ///     the address.
    public init(_ messages: [TracedMessage], node: String = "core", otherEnd: ((TracedMessage) -> String)? = nil) {
        self.messages = messages
        var lanes = LaneNames()
        if otherEnd == nil { for message in messages { lanes.learn(from: message) } }
        var reader = LadderReader(node: node, memory: messages.count)
        for message in messages {
            let step = reader.read(message, otherEnd: otherEnd?(message) ?? lanes.name(of: message))
            events += step.events
            hops[message.sequence] = step.hop
        }
    }
}
