// Objects of a core by number: slots in chunks that never move, each with a generation that tells an old number from a
// new one.

/// A slot and its generation: what timers, branches and other layers keep to find an object again.
public struct SlotID: BitwiseCopyable, Hashable, Sendable {
    public var index: UInt32
    public var generation: UInt32
    @inlinable public init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
    @inlinable public init(rawValue: UInt64) {
        index = UInt32(truncatingIfNeeded: rawValue)
        generation = UInt32(truncatingIfNeeded: rawValue >> 32)
    }
    @inlinable public var rawValue: UInt64 { UInt64(generation) << 32 | UInt64(index) }
    public static let none = SlotID(index: .max, generation: 0)
    @inlinable public var isNone: Bool { index == .max }
}

/// Storage for trivial values. A value stays where it is until it is removed; adding one never moves another.
public struct Slab<Value: BitwiseCopyable>: ~Copyable, @unchecked Sendable {
    @usableFromInline struct Slot: BitwiseCopyable {
        @usableFromInline var value: Value
        /// Odd while in use.
        @usableFromInline var generation: UInt32
        @usableFromInline var nextFree: UInt32

        @inlinable init(value: Value, generation: UInt32, nextFree: UInt32) {
            self.value = value
            self.generation = generation
            self.nextFree = nextFree
        }
    }

    @usableFromInline var chunks: ContiguousArray<UnsafeMutablePointer<Slot>> = []
    @usableFromInline var firstFree: UInt32 = .max
    @usableFromInline var used = 0
    @usableFromInline var inUse = 0
    /// Values in it.
    @inlinable public var count: Int { inUse }

    @inlinable public init() {}

    @inlinable deinit {
        for chunk in chunks { chunk.deallocate() }
    }

    /// Octets of memory that the slab holds; it keeps what it once had.
    public var bytesAllocated: Int { chunks.count << 10 * MemoryLayout<Slot>.stride }

    /// Whether the slot still holds what it held when the number was given out.
    @inlinable public func contains(_ id: SlotID) -> Bool {
        Int(id.index) < used && pointer(id.index).pointee.generation == id.generation
    }

    /// The value in a slot; the slot must be one that was used.
    @inlinable public subscript(_ index: UInt32) -> Value {
        @inline(__always) _read {
            precondition(Int(index) < used, "no such slot")
            yield pointer(index).pointee.value
        }
        @inline(__always) _modify {
            precondition(Int(index) < used, "no such slot")
            yield &pointer(index).pointee.value
        }
    }

    @inlinable public func id(of index: UInt32) -> SlotID {
        precondition(Int(index) < used, "no such slot")
        return SlotID(index: index, generation: pointer(index).pointee.generation)
    }

    /// Whether a slot is in use now: for walks over all slots.
    @inlinable public func isInUse(_ index: UInt32) -> Bool {
        Int(index) < used && pointer(index).pointee.generation & 1 == 1
    }

    /// One past the highest slot ever used.
    @inlinable public var endIndex: UInt32 { UInt32(used) }

    @inlinable public mutating func insert(_ value: Value) -> SlotID {
        inUse += 1
        if firstFree != .max {
            let index = firstFree
            let slot = pointer(index)
            firstFree = slot.pointee.nextFree
            slot.pointee.value = value
            slot.pointee.generation &+= 1
            return SlotID(index: index, generation: slot.pointee.generation)
        }
        if used == chunks.count << 10 { chunks.append(.allocate(capacity: 1024)) }
        let index = UInt32(used)
        used += 1
        pointer(index).initialize(to: Slot(value: value, generation: 1, nextFree: .max))
        return SlotID(index: index, generation: 1)
    }

    @inlinable public mutating func remove(_ index: UInt32) {
        precondition(isInUse(index), "slot is not in use")
        let slot = pointer(index)
        slot.pointee.generation &+= 1
        slot.pointee.nextFree = firstFree
        firstFree = index
        inUse -= 1
    }

    @usableFromInline @inline(__always)
    func pointer(_ index: UInt32) -> UnsafeMutablePointer<Slot> { chunks[Int(index >> 10)] + Int(index & 1023) }
}
