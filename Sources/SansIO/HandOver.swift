// A node may be several cores, its shards, each on a thread of its own with a part of the state. What one of them has and
// another must work on is handed over: octets and a few trivial words, carried by the shell in batches, in order between
// any two shards and without loss.

/// Which of a node's shards a core is.
public struct ShardPlace: BitwiseCopyable, Hashable, Sendable {
    /// The most shards that a node may have: their numbers fit into the top bits of a slot's number.
    public static let maximumCount = 64
    /// The one shard of a node that is not parted.
    public static let only = ShardPlace(number: 0, count: 1)

    /// From 0.
    public var number: UInt8
    public var count: UInt8

    public init(number: Int, count: Int) {
        precondition(count >= 1 && count <= ShardPlace.maximumCount && number >= 0 && number < count, "no such shard")
        self.number = UInt8(number)
        self.count = UInt8(count)
    }

    /// Whether there are other shards.
    @inlinable public var hasOthers: Bool { count > 1 }

    /// The shard of a key that is not the network's to choose, such as the number of a subscriber.
    @inlinable public func shard(of key: UInt32) -> UInt8 {
        guard count > 1 else { return 0 }
        // The finisher of SplitMix64, so that a range of subscribers spreads evenly.
        var z = UInt64(key) &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return UInt8(truncatingIfNeeded: (z ^ (z >> 31)) % UInt64(count))
    }
}

/// Something that one shard hands to another.
public struct HandOver: BitwiseCopyable, Hashable, Sendable {
    public enum Purpose: UInt8, BitwiseCopyable, Hashable, Sendable {
        /// A message from the network that is another shard's.
        case arrival
        /// A request under way with which another shard goes on.
        case request
        /// A response to such a request.
        case response
        /// There will be no final response to such a request.
        case silence
        /// Such a request is cancelled.
        case cancel
        /// What does the other shard know, and what it knows.
        case question, answer
    }

    public var purpose: Purpose
    public var source: UInt8
    public var target: UInt8
    /// What `purpose` is about, in words of the core.
    public var token: UInt64
    public var note: UInt64
    public var detail: UInt32 = 0
    /// The way on which the message came from the network.
    public var flow: Flow
    /// Where its octets stand in `Wire.bytes`, or in the batch that carries it.
    public var start = 0
    public var count = 0

    public init(
        _ purpose: Purpose, from source: UInt8, to target: UInt8, token: UInt64 = 0, note: UInt64 = 0,
        flow: Flow = Flow(transport: .udp, listener: 0, remote: .none)
    ) {
        self.purpose = purpose
        self.source = source
        self.target = target
        self.token = token
        self.note = note
        self.flow = flow
    }
}

/// A slot's number with the number of its shard in the top seven bits: what the network sees, and what shards tell one
/// another. No slab has so many slots that the two could meet.
extension SlotID {
    @usableFromInline static let shardShift: UInt32 = 25

    /// With a shard's number, as it stands in a branch or a dialog identifier; that of shard 0 stays as it is.
    @inlinable public func marked(with shard: UInt8) -> SlotID {
        SlotID(index: index | UInt32(shard) << SlotID.shardShift, generation: generation)
    }
    /// The shard that `marked` was given.
    @inlinable public var shardMark: UInt8 { UInt8(truncatingIfNeeded: index >> SlotID.shardShift) }
    /// The slot without a shard.
    @inlinable public var unmarked: SlotID { SlotID(index: index & (1 << SlotID.shardShift - 1), generation: generation) }

    /// The name of a slot of another shard, whichever that is: never the number of a slot of one's own.
    @inlinable public func foreign(of shard: UInt8) -> SlotID { marked(with: shard + 1) }
    /// The shard that a foreign slot belongs to; nil: it is one's own, or none.
    @inlinable public var foreignShard: UInt8? { isNone || shardMark == 0 ? nil : shardMark - 1 }
}
