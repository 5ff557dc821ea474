// Who is registered on a flow: asked for each request, and as quick with ten thousand subscribers behind one address.

import SansIO

/// For each flow, how many subscribers have a binding on it, and who it is if it is one.
struct FlowIndex: ~Copyable {
    struct Use: BitwiseCopyable {
        var subscribers: UInt32
        /// The numbers of all these subscribers, combined by exclusive or: of one alone, its number.
        var combined: UInt32
    }

    private var keys = KeyTable()
    private var uses = Slab<Use>()
    private let secret: HashSecret

    init(secret: HashSecret) { self.secret = secret }

    var bytesAllocated: Int { keys.bytesAllocated + uses.bytesAllocated }

    func use(of flow: Flow) -> Use {
        guard flow.isIdentifiable, let slot = keys[key(of: flow)] else { return Use(subscribers: 0, combined: 0) }
        return uses[slot]
    }

    /// A subscriber's first binding on the flow was made.
    mutating func insert(_ subscriber: UInt32, on flow: Flow) {
        guard flow.isIdentifiable else { return }
        let key = key(of: flow)
        if let slot = keys[key] {
            uses[slot].subscribers += 1
            uses[slot].combined ^= subscriber
        } else {
            keys.set(key, to: uses.insert(Use(subscribers: 1, combined: subscriber)).index)
        }
    }

    /// A subscriber's last binding on the flow is gone.
    mutating func remove(_ subscriber: UInt32, from flow: Flow) {
        guard flow.isIdentifiable else { return }
        let key = key(of: flow)
        guard let slot = keys[key] else { return }
        if uses[slot].subscribers > 1 {
            uses[slot].subscribers -= 1
            uses[slot].combined ^= subscriber
        } else {
            uses.remove(slot)
            keys.remove(key)
        }
    }

    mutating func removeAll() {
        keys = KeyTable()
        uses = Slab()
    }

    /// Two flows have the same key when `Flow.isSame` holds.
    private func key(of flow: Flow) -> KeyHash {
        var hasher = KeyHasher(secret)
        if flow.transport == .udp {
            let family: UInt64 = flow.remote.address.isIPv6 ? 1 << 24 : 0
            hasher.combine(family | UInt64(flow.listener) << 16 | UInt64(flow.remote.port))
            hasher.combine(flow.remote.address.high)
            hasher.combine(flow.remote.address.low)
        } else {
            hasher.combine(UInt64(flow.transport.rawValue) << 32 | UInt64(flow.connection))
        }
        return hasher.finish()
    }
}

extension Flow {
    /// Whether another message can be known to come the same way: not on a stream that is yet to be opened.
    fileprivate var isIdentifiable: Bool { transport == .udp || connection != 0 }
}
