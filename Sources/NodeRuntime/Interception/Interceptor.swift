// Whoever stands between a core and its sockets, to have messages go astray.

public import FaultRules
public import SIPTrace
public import SansIO
import Synchronization

/// The fault rules of a node, for all its shards. While there are none, a batch of messages asks once whether there are.
public final class Interceptor: Sendable {
    /// The name of the node at the other end of a message; nil: none is known there.
    public typealias PeerName = @Sendable (_ message: RawSpan, _ direction: TraceDirection, _ flow: Flow) -> String?

    private let table: Mutex<FaultTable>
    private let active = Atomic(false)
    private let peerName: PeerName

    /// - Parameters:
    ///   - seed: what chance draws from.
    ///   - peerName: is called on the threads of the shards.
    public init(seed: UInt64, peerName: @escaping PeerName) {
        table = Mutex(FaultTable(seed: seed))
        self.peerName = peerName
    }

    /// Whether there are rules.
    var isActive: Bool { active.load(ordering: .relaxed) }

    /// Looks at the rules, or changes them.
    public func withTable<R>(_ body: (inout FaultTable) -> sending R) -> sending R {
        table.withLock { table in
            defer { active.store(!table.isEmpty, ordering: .relaxed) }
            return body(&table)
        }
    }

    func judge(_ message: RawSpan, _ direction: TraceDirection, over flow: Flow, local: Endpoint, at now: Now) -> Interception {
        let peer = peerName(message, direction, flow)
        let octets = message.withUnsafeBytes { Array($0) }
        return table.withLock { $0.judge(octets.span.bytes, direction, over: flow, local: local, at: now) { $0 == peer } }
    }
}
