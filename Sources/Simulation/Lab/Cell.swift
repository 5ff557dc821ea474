// A core at work: the node and what it wants done. A node of the lab is one of these, or several, its shards.

import SansIO

/// A core of any kind.
class Cell {
    final var effects = Effects()

    /// Looks at what is wanted.
    final func examine(_ body: (borrowing Effects) -> Void) { body(effects) }

    var nextDeadline: Instant? { nil }
    func receive(_ octets: RawSpan, over flow: Flow, at now: Now) {}
    func transmissionFailed(_ transaction: UInt64, over flow: Flow, at now: Now) {}
    func committed(upTo ticket: UInt64, succeeded: Bool, at now: Now) {}
    func handedOver(_ handOver: HandOver, _ octets: RawSpan, at now: Now) {}
    func nameAnswered(_ question: UInt64, _ answer: NameAnswer, at now: Now) {}
    func advance(to now: Now) {}
}

/// A core of one kind.
final class NodeCell<Node: SansIONode & ~Copyable>: Cell {
    var node: Node

    init(_ node: consuming Node) { self.node = node }

    override var nextDeadline: Instant? { node.nextDeadline }

    override func receive(_ octets: RawSpan, over flow: Flow, at now: Now) { node.receive(octets, over: flow, at: now, into: &effects) }

    override func transmissionFailed(_ transaction: UInt64, over flow: Flow, at now: Now) {
        node.transmissionFailed(transaction, over: flow, at: now, into: &effects)
    }

    override func committed(upTo ticket: UInt64, succeeded: Bool, at now: Now) {
        node.committed(upTo: ticket, succeeded: succeeded, at: now, into: &effects)
    }

    override func handedOver(_ handOver: HandOver, _ octets: RawSpan, at now: Now) {
        node.handedOver(handOver, octets, at: now, into: &effects)
    }

    override func nameAnswered(_ question: UInt64, _ answer: NameAnswer, at now: Now) {
        node.nameAnswered(question, answer, at: now, into: &effects)
    }

    override func advance(to now: Now) { node.advance(to: now, into: &effects) }
}
