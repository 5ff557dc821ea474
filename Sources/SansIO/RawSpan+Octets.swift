// Octets of a message: reading and comparing them, always within bounds.

extension RawSpan {
    /// The octet at an offset; the bounds are checked.
    @inlinable public subscript(_ offset: Int) -> UInt8 {
        @inline(__always) get { unsafeLoad(fromByteOffset: offset, as: UInt8.self) }
    }

    /// Whether the octets are exactly these.
    @inlinable public func equals(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard byteCount == count else { return false }
        let expected = UnsafeRawBufferPointer(start: text.utf8Start, count: count)
        for i in 0..<count where self[i] != expected[i] { return false }
        return true
    }

    /// Whether the octets are these, letters compared without case. `text` is lower case.
    @inlinable public func equalsIgnoringCase(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard byteCount == count else { return false }
        let expected = UnsafeRawBufferPointer(start: text.utf8Start, count: count)
        for i in 0..<count where self[i].asciiLowercased != expected[i] { return false }
        return true
    }

    @inlinable public func equals(_ other: RawSpan) -> Bool {
        guard byteCount == other.byteCount else { return false }
        for i in 0..<byteCount where self[i] != other[i] { return false }
        return true
    }

    @inlinable public func equals(_ other: [UInt8]) -> Bool { equals(other.span.bytes) }

    @inlinable public func equalsIgnoringCase(_ other: RawSpan) -> Bool {
        guard byteCount == other.byteCount else { return false }
        for i in 0..<byteCount where self[i].asciiLowercased != other[i].asciiLowercased { return false }
        return true
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

extension String {
    /// The octets as UTF-8 text, repaired where they are not: for logs and the edges, never in a core's decisions.
    public init(octets: RawSpan) {
        self = octets.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
