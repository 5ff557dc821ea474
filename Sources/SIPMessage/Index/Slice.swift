// Where something stands in a message: an offset and a length, so that nothing of a message is copied to talk about it.

public import SansIO

/// A run of octets in a message or in a stored value.
public struct Slice: BitwiseCopyable, Hashable, Sendable {
    public var start: UInt32
    public var count: UInt32

    @inlinable public init(start: UInt32, count: UInt32) {
        self.start = start
        self.count = count
    }
    @inlinable public init(_ start: Int, _ end: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        count = UInt32(truncatingIfNeeded: end &- start)
    }
    public static let empty = Slice(start: 0, count: 0)
    @inlinable public var isEmpty: Bool { count == 0 }
    /// The offset of the first octet, and one past the last.
    @inlinable public var lower: Int { Int(start) }
    @inlinable public var upper: Int { Int(start) + Int(count) }
}

extension RawSpan {
    /// The octets of a slice; the bounds are checked.
    @inlinable public subscript(_ slice: Slice) -> RawSpan {
        @_lifetime(copy self)
        get { extracting(slice.lower..<slice.upper) }
    }

    /// The slice without white space (folds included) at either end.
    @inlinable public func trimmed(_ slice: Slice) -> Slice {
        var lower = slice.lower
        var upper = slice.upper
        while lower < upper, self[lower].isLinearWhiteSpace { lower += 1 }
        while upper > lower, self[upper - 1].isLinearWhiteSpace { upper -= 1 }
        return Slice(lower, upper)
    }
}

extension UInt8 {
    /// Space, tab, and the CR and LF of a folded line (RFC 3261 §25.1, LWS).
    @inlinable public var isLinearWhiteSpace: Bool {
        @inline(__always) get { self == 0x20 || self == 0x09 || self == 0x0D || self == 0x0A }
    }
    /// The characters of `token` (RFC 3261 §25.1).
    @inlinable public var isTokenCharacter: Bool {
        @inline(__always) get {
            switch self {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            // - . ! % * _ + ` ' ~
            case 0x2D, 0x2E, 0x21, 0x25, 0x2A, 0x5F, 0x2B, 0x60, 0x27, 0x7E: true
            default: false
            }
        }
    }
}
