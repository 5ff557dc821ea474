// Octets that outlive a tick: requests kept for retransmission, last responses, bindings. Copied in once, found by
// number, given back at the end.

/// A stored run of octets.
public struct PacketID: BitwiseCopyable, Hashable, Sendable {
    /// The chunk, and where in it the block begins, in units of 32 octets: the count tells in which size class.
    var block: UInt32
    /// The number of octets.
    public var count: UInt32
    public static let none = PacketID(block: .max, count: 0)
    @inlinable public var isNone: Bool { count == 0 }
}

/// Blocks of a few sizes, cut from chunks of 64 KiB or more that are kept.
public struct PacketPool: ~Copyable, @unchecked Sendable {
    /// Steps of 32 octets to 256, of 64 to 1024, of 256 to 2048, and then steps that grow with what is kept: on the average
    /// not a tenth of a block is lost.
    static let sizes: [Int] =
        Array(stride(from: 32, through: 256, by: 32)) + Array(stride(from: 320, through: 1024, by: 64)) + [1280, 1536, 1792, 2048]
        + [3072, 4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144]
    /// The largest run that can be stored.
    public static let maximumCount = 262_144

    private static let chunkSize = 65_536
    private static let unit = 32
    /// 2048 units are a chunk of the usual size.
    private static let unitBits: UInt32 = 11

    private struct SizeClass {
        var size: Int
        var blocksPerChunk: Int
        var chunks: ContiguousArray<UnsafeMutableRawPointer> = []
        /// The first free block; each holds the number of the next one.
        var firstFree: UInt32 = .max
        /// Blocks of the last chunk that were given out.
        var used: Int
    }

    private var classes: ContiguousArray<SizeClass>
    /// Octets held in blocks in use, the blocks' whole size counted.
    public private(set) var bytesInUse = 0

    public init() {
        classes = ContiguousArray(
            PacketPool.sizes.map { size in
                let perChunk = max(1, PacketPool.chunkSize / size)
                return SizeClass(size: size, blocksPerChunk: perChunk, used: perChunk)
            })
    }

    deinit {
        for sizeClass in classes { for chunk in sizeClass.chunks { chunk.deallocate() } }
    }

    /// Octets of memory that the pool holds; it keeps what it once had.
    public var bytesAllocated: Int { classes.reduce(0) { $0 + $1.chunks.count * $1.size * $1.blocksPerChunk } }

    /// Copies octets in. An empty run needs no block.
    public mutating func store(_ bytes: RawSpan) -> PacketID {
        let count = bytes.byteCount
        guard count > 0 else { return .none }
        precondition(count <= PacketPool.maximumCount, "a packet over the pool's limit")
        let number = PacketPool.sizeClass(for: count)
        bytesInUse += classes[number].size
        let block = takeBlock(of: number)
        bytes.withUnsafeBytes { address(number, block).copyMemory(from: $0.baseAddress!, byteCount: count) }
        return PacketID(block: block, count: UInt32(count))
    }

    /// Gives a run back; its number must not be used again.
    public mutating func release(_ id: PacketID) {
        guard id.count > 0 else { return }
        let number = PacketPool.sizeClass(for: Int(id.count))
        bytesInUse -= classes[number].size
        address(number, id.block).storeBytes(of: classes[number].firstFree, as: UInt32.self)
        classes[number].firstFree = id.block
    }

    /// What is stored under a number.
    @_lifetime(borrow self)
    public borrowing func bytes(_ id: PacketID) -> RawSpan {
        guard id.count > 0 else { return _overrideLifetime(RawSpan(), borrowing: self) }
        let start = address(PacketPool.sizeClass(for: Int(id.count)), id.block)
        return _overrideLifetime(RawSpan(_unsafeStart: start, byteCount: Int(id.count)), borrowing: self)
    }

    /// The smallest class whose blocks hold so many octets.
    private static func sizeClass(for count: Int) -> Int {
        if count <= 256 { return (count - 1) >> 5 }
        if count <= 1024 { return 8 + (count - 257) >> 6 }
        if count <= 2048 { return 20 + (count - 1025) >> 8 }
        if count <= 3072 { return 24 }
        // 4096 and its doubles.
        return 25 + max(0, Int.bitWidth - (count - 1).leadingZeroBitCount - 12)
    }

    private mutating func takeBlock(of number: Int) -> UInt32 {
        let free = classes[number].firstFree
        if free != .max {
            classes[number].firstFree = address(number, free).load(as: UInt32.self)
            return free
        }
        let size = classes[number].size
        if classes[number].used == classes[number].blocksPerChunk {
            precondition(classes[number].chunks.count < 1 << (32 - PacketPool.unitBits), "too many packets")
            classes[number].chunks.append(.allocate(byteCount: size * classes[number].blocksPerChunk, alignment: 16))
            classes[number].used = 0
        }
        let offset = classes[number].used * size / PacketPool.unit
        classes[number].used += 1
        return UInt32(classes[number].chunks.count - 1) << PacketPool.unitBits | UInt32(offset)
    }

    private func address(_ number: Int, _ block: UInt32) -> UnsafeMutableRawPointer {
        let offset = Int(block & (1 << PacketPool.unitBits - 1)) * PacketPool.unit
        return classes[number].chunks[Int(block >> PacketPool.unitBits)] + offset
    }
}
