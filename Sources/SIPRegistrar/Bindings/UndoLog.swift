// Changes that may have to be taken back, because storing them failed. Each keeps a copy of the subscriber's bindings as
// they were.

import SansIO

/// The number of a change to confirm or undo.
public struct ChangeToken: BitwiseCopyable, Hashable, Sendable {
    var slot: SlotID
    /// A change that cannot be undone; confirming it does nothing.
    public static let none = ChangeToken(slot: .none)
    public var isNone: Bool { slot.isNone }
}

struct UndoLog: ~Copyable {
    struct Change: BitwiseCopyable {
        var subscriber: UInt32
        /// Its place in the order of all changes.
        var order: UInt64
        /// The first of its saved bindings, which are a list as those of the subscriber are; `.max`: there was none.
        var firstSaved: UInt32 = .max
    }

    var changes = Slab<Change>()
    /// Their octets are copies of their own.
    var saved = Slab<Binding>()
    private var order: UInt64 = 0
    private var scratch = OctetBuffer(capacity: 256)

    init() {}

    var bytesAllocated: Int { changes.bytesAllocated + saved.bytesAllocated }

    mutating func begin(_ subscriber: UInt32) -> SlotID {
        order += 1
        return changes.insert(Change(subscriber: subscriber, order: order))
    }

    mutating func copy(_ octets: PacketID, in pool: inout PacketPool) -> PacketID {
        scratch.removeAll()
        scratch.append(pool.bytes(octets))
        return pool.store(scratch.bytes)
    }

    /// The next change of the same subscriber that is not yet confirmed.
    func successor(of change: UInt32) -> UInt32? {
        let own = changes[change]
        var best: UInt32?
        for i in 0..<changes.endIndex where changes.isInUse(i) && changes[i].subscriber == own.subscriber && changes[i].order > own.order {
            if best.map({ changes[i].order < changes[$0].order }) ?? true { best = i }
        }
        return best
    }
}

extension Registrar {
    /// Changes that are neither confirmed nor undone.
    public var unconfirmedCount: Int { undo.changes.count }

    /// Makes a change final.
    public mutating func confirm(_ token: ChangeToken) {
        guard undo.changes.contains(token.slot) else { return }
        discardSaved(of: token.slot.index)
        undo.changes.remove(token.slot.index)
    }

    /// Takes a change back: the subscriber's bindings are again what they were before it, those whose time is over by now
    /// included, so that `advance` reports them.
    ///
    /// While a later change of the same subscriber is not confirmed, that one stands, and undoing it goes back to before
    /// both: so changes that failed together may be undone in any order.
    public mutating func undo(_ token: ChangeToken) {
        guard undo.changes.contains(token.slot) else { return }
        let change = undo.changes[token.slot.index]
        if let later = undo.successor(of: token.slot.index) {
            discardSaved(of: later)
            undo.changes[later].firstSaved = change.firstSaved
        } else {
            removeList(of: change.subscriber)
            var i = change.firstSaved
            while i != .max {
                let binding = undo.saved[i]
                undo.saved.remove(i)
                insert(binding)
                i = binding.next
            }
        }
        undo.changes.remove(token.slot.index)
    }

    /// Keeps a copy of the bindings as they are, if changes can be undone.
    mutating func beginChange(of subscriber: UInt32) -> ChangeToken {
        guard keepsUndo else { return .none }
        let change = undo.begin(subscriber)
        var last: UInt32 = .max
        var index = first[subscriber]
        while index != .max {
            var copy = bindings[index]
            index = copy.next
            copy.next = .max
            copy.octets = undo.copy(copy.octets, in: &pool)
            let saved = undo.saved.insert(copy).index
            if last == .max { undo.changes[change.index].firstSaved = saved } else { undo.saved[last].next = saved }
            last = saved
        }
        return ChangeToken(slot: change)
    }

    private mutating func discardSaved(of change: UInt32) {
        var i = undo.changes[change].firstSaved
        while i != .max {
            let binding = undo.saved[i]
            pool.release(binding.octets)
            undo.saved.remove(i)
            i = binding.next
        }
    }
}
