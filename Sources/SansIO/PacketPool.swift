// Octets that outlive a tick: requests kept for retransmission, last responses, bindings. Copied in once, found by
// number, given back at the end.

/// A stored run of octets.
public struct PacketID: BitwiseCopyable, Hashable, Sendable {
    var block: UInt32
    /// The number of octets.
    public var count: UInt32
    public static let none = PacketID(block: .max, count: 0)
    @inlinable public var isNone: Bool { count == 0 }
}

/// Blocks of a few sizes, cut from chunks of 64 KiB or more that are kept.
public struct PacketPool: ~Copyable, @unchecked Sendable {
    /// At least a quarter of a block is in use for what is over 64 octets long.
    static let sizes: [Int] = [
        64, 96, 128, 192, 256, 384, 512, 640, 768, 1024, 1536, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144,
    ]
    /// The largest run that can be stored.
    public static let maximumCount = 262_144

    private struct SizeClass {
        var size: Int
        var blocksPerChunk: Int
        var chunks: ContiguousArray<UnsafeMutableRawPointer> = []
        var free: ContiguousArray<UInt32> = []
        var used = 0
    }

    private var classes: ContiguousArray<SizeClass>
    /// Octets held in blocks in use, the blocks' whole size counted.
    public private(set) var bytesInUse = 0

    public init() {
        classes = ContiguousArray(PacketPool.sizes.map { SizeClass(size: $0, blocksPerChunk: max(1, 65_536 / $0)) })
    }

    deinit {
        for sizeClass in classes { for chunk in sizeClass.chunks { chunk.deallocate() } }
    }

    /// Copies octets in. An empty run needs no block.
    public mutating func store(_ bytes: RawSpan) -> PacketID {
        let count = bytes.byteCount
        guard count > 0 else { return .none }
        precondition(count <= PacketPool.maximumCount, "a packet over the pool's limit")
        var number = 0
        while classes[number].size < count { number += 1 }
        let block = takeBlock(of: number)
        bytes.withUnsafeBytes { address(number, block).copyMemory(from: $0.baseAddress!, byteCount: count) }
        return PacketID(block: UInt32(number) << 27 | block, count: UInt32(count))
    }

    /// Gives a run back; its number must not be used again.
    public mutating func release(_ id: PacketID) {
        guard id.count > 0 else { return }
        let number = Int(id.block >> 27)
        bytesInUse -= classes[number].size
        classes[number].free.append(id.block & 0x7FF_FFFF)
    }

    /// What is stored under a number.
    @_lifetime(borrow self)
    public borrowing func bytes(_ id: PacketID) -> RawSpan {
        guard id.count > 0 else { return _overrideLifetime(RawSpan(), borrowing: self) }
        let span = RawSpan(_unsafeStart: address(Int(id.block >> 27), id.block & 0x7FF_FFFF), byteCount: Int(id.count))
        return _overrideLifetime(span, borrowing: self)
    }

    private mutating func takeBlock(of number: Int) -> UInt32 {
        bytesInUse += classes[number].size
        if let block = classes[number].free.popLast() { return block }
        let block = classes[number].used
        precondition(block < 1 << 27, "too many packets")
        if block == classes[number].chunks.count * classes[number].blocksPerChunk {
            let size = classes[number].size * classes[number].blocksPerChunk
            classes[number].chunks.append(.allocate(byteCount: size, alignment: 16))
        }
        classes[number].used += 1
        return UInt32(block)
    }

    private func address(_ number: Int, _ block: UInt32) -> UnsafeMutableRawPointer {
        let perChunk = classes[number].blocksPerChunk
        return classes[number].chunks[Int(block) / perChunk] + Int(block) % perChunk * classes[number].size
    }
}
