// Octets of a message: reading and comparing them, always within bounds.

extension RawSpan {
    /// The octet at an offset; the bounds are checked.
    @inlinable public subscript(_ offset: Int) -> UInt8 {
        @inline(__always) get { unsafeLoad(fromByteOffset: offset, as: UInt8.self) }
    }

    /// The eight octets from an offset on, the first lowest; the bounds are checked.
    @inlinable @inline(__always)
    public func word(at offset: Int) -> UInt64 { UInt64(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)) }

    /// The octets from an offset to `end`, eight at most, the first lowest, with zeros above: a short text as a number.
    /// One load where eight octets are there, since what is compared mostly stands in the middle of a message.
    @inlinable @inline(__always)
    public func shortWord(from start: Int, to end: Int) -> UInt64 {
        let count = end &- start
        if count >= 8 { return word(at: start) }
        if start &+ 8 <= byteCount { return word(at: start) & ((1 &<< UInt64(truncatingIfNeeded: count &* 8)) &- 1) }
        return tailWord(from: start, to: end)
    }

    /// As `shortWord` of less than eight octets at the very end: two loads that overlap.
    @inlinable @inline(__always)
    func tailWord(from start: Int, to end: Int) -> UInt64 {
        let count = end &- start
        if count >= 4 {
            let low = UInt64(UInt32(littleEndian: unsafeLoadUnaligned(fromByteOffset: start, as: UInt32.self)))
            let high = UInt64(UInt32(littleEndian: unsafeLoadUnaligned(fromByteOffset: end &- 4, as: UInt32.self)))
            return low | high &<< UInt64(truncatingIfNeeded: 8 &* (count &- 4))
        }
        if count <= 0 { return 0 }
        // The first, the middle and the last of one, two or three.
        let middle = UInt64(self[start &+ count / 2]) &<< UInt64(truncatingIfNeeded: 8 &* (count / 2))
        return UInt64(self[start]) | middle | UInt64(self[end &- 1]) &<< UInt64(truncatingIfNeeded: 8 &* (count &- 1))
    }

    /// Whether the octets are exactly these.
    @inlinable @inline(__always)
    public func equals(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        return byteCount == count && equals(RawSpan(_unsafeStart: text.utf8Start, byteCount: count))
    }

    /// Whether the octets are these, letters compared without case. `text` is lower case.
    ///
    /// Eight at a time: where the text has a letter, bit 5 does not count. For a literal all but the comparisons themselves
    /// is done by the compiler (half the instructions of a comparison octet by octet, of which an OPTIONS had forty).
    @inlinable @inline(__always)
    public func equalsIgnoringCase(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard byteCount == count else { return false }
        let expected = UnsafeRawPointer(text.utf8Start)
        var i = 0
        while i &+ 8 <= count {
            let wanted = UInt64(littleEndian: expected.loadUnaligned(fromByteOffset: i, as: UInt64.self))
            if word(at: i) | wanted.caseBits != wanted { return false }
            i &+= 8
        }
        if i &+ 4 <= count {
            let wanted = UInt64(UInt32(littleEndian: expected.loadUnaligned(fromByteOffset: i, as: UInt32.self)))
            let found = UInt64(UInt32(littleEndian: unsafeLoadUnaligned(fromByteOffset: i, as: UInt32.self)))
            if found | wanted.caseBits != wanted { return false }
            i &+= 4
        }
        while i < count {
            if self[i].asciiLowercased != expected.load(fromByteOffset: i, as: UInt8.self) { return false }
            i &+= 1
        }
        return true
    }

    @inlinable public func equals(_ other: RawSpan) -> Bool {
        let count = byteCount
        guard count == other.byteCount else { return false }
        if count < 8 { return shortWord(from: 0, to: count) == other.shortWord(from: 0, to: count) }
        var i = 0
        while i &+ 8 <= count {
            if word(at: i) != other.word(at: i) { return false }
            i &+= 8
        }
        // The last eight, some of them once more.
        return word(at: count &- 8) == other.word(at: count &- 8)
    }

    @inlinable public func equals(_ other: [UInt8]) -> Bool { equals(other.span.bytes) }

    @inlinable public func equalsIgnoringCase(_ other: RawSpan) -> Bool {
        let count = byteCount
        guard count == other.byteCount else { return false }
        if count < 8 {
            return shortWord(from: 0, to: count).asciiLowercased == other.shortWord(from: 0, to: count).asciiLowercased
        }
        var i = 0
        while i &+ 8 <= count {
            if word(at: i).asciiLowercased != other.word(at: i).asciiLowercased { return false }
            i &+= 8
        }
        return word(at: count &- 8).asciiLowercased == other.word(at: count &- 8).asciiLowercased
    }

    /// The offset of the first such octet at or after `start`.
    @inlinable public func firstOffset(of octet: UInt8, from start: Int = 0) -> Int? {
        var i = start
        while i < byteCount {
            if self[i] == octet { return i }
            i += 1
        }
        return nil
    }

    /// Eight hexadecimal digits of either case as a number; nil for anything else.
    ///
    /// All at once, and proved by writing them again: a third of the instructions of eight digits one by one, of which
    /// each branch that comes back to us has twenty-four.
    @inlinable @inline(__always)
    public func hexadecimalWord(at offset: Int) -> UInt32? {
        let digits = word(at: offset).asciiLowercased.byteSwapped
        let nibbles = (digits & 0x0F0F_0F0F_0F0F_0F0F) &+ ((digits >> 6) & 0x0101_0101_0101_0101) &* 9
        var value = (nibbles | nibbles >> 4) & 0x00FF_00FF_00FF_00FF
        value = (value | value >> 8) & 0x0000_FFFF_0000_FFFF
        value = (value | value >> 16) & 0xFFFF_FFFF
        return OctetBuffer.hexDigits(of: value) == digits ? UInt32(truncatingIfNeeded: value) : nil
    }

    /// The part from `start` on, `count` long.
    @inlinable @_lifetime(copy self)
    public func part(_ start: Int, _ count: Int) -> RawSpan { extracting(start..<(start + count)) }
}

extension UInt8 {
    /// An ASCII capital as its small letter, every other octet as it is.
    @inlinable public var asciiLowercased: UInt8 {
        @inline(__always) get { self &- 0x41 < 26 ? self | 0x20 : self }
    }
    @inlinable public var isASCIIDigit: Bool { @inline(__always) get { self &- 0x30 < 10 } }
    /// The value of a hexadecimal digit, or nil.
    @inlinable public var hexDigitValue: UInt8? {
        let lower = asciiLowercased
        if lower &- 0x30 < 10 { return lower &- 0x30 }
        if lower &- 0x61 < 6 { return lower &- 0x57 }
        return nil
    }
}

extension UInt64 {
    /// Eight octets at once: those in A...Z as small letters.
    @inlinable public var asciiLowercased: UInt64 {
        @inline(__always) get {
            let ones: UInt64 = 0x0101_0101_0101_0101
            let low7 = self & (ones &* 0x7F)
            let aboveZ = low7 &+ (ones &* (0x7F - 0x5A))
            let fromA = low7 &+ (ones &* (0x80 - 0x41))
            let capitals = (fromA & ~aboveZ) & ~self & (ones &* 0x80)
            return self | (capitals >> 2)
        }
    }

    /// Bit 5 of each of the eight octets that is in a...z.
    @inlinable var caseBits: UInt64 {
        @inline(__always) get {
            let ones: UInt64 = 0x0101_0101_0101_0101
            let low7 = self & (ones &* 0x7F)
            let aboveZ = low7 &+ (ones &* (0x7F - 0x7A))
            let fromA = low7 &+ (ones &* (0x80 - 0x61))
            return ((fromA & ~aboveZ) & ~self & (ones &* 0x80)) >> 2
        }
    }
}

extension String {
    /// The octets as UTF-8 text, repaired where they are not: for logs and the edges, never in a core's decisions.
    public init(octets: RawSpan) {
        self = octets.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
