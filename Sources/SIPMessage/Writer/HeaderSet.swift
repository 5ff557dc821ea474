// A set of header names in two words: what a copy leaves out.

public import SansIO

public struct HeaderSet: BitwiseCopyable, Hashable, Sendable, ExpressibleByArrayLiteral {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    public init(arrayLiteral names: HeaderName...) { for name in names { insert(name) } }

    public mutating func insert(_ name: HeaderName) {
        if name.rawValue < 64 { low |= 1 << UInt64(name.rawValue) } else { high |= 1 << UInt64(name.rawValue - 64) }
    }

    @inline(__always)
    public func contains(_ name: HeaderName) -> Bool {
        name.rawValue < 64 ? low >> UInt64(name.rawValue) & 1 == 1 : high >> UInt64(name.rawValue - 64) & 1 == 1
    }

    public func union(_ other: HeaderSet) -> HeaderSet {
        var result = self
        result.low |= other.low
        result.high |= other.high
        return result
    }
}

extension OctetBuffer {
    /// All header fields of a message but those left out, as they stand and in their order: neighbours in one copy.
    public mutating func appendFields(of message: borrowing Message, except leftOut: HeaderSet) {
        var runStart = -1
        var runEnd = -1
        for i in 0..<message.fields.count {
            let field = message.fields[i]
            if leftOut.contains(field.name) {
                if runStart >= 0 { append(message[Slice(runStart, runEnd)]) }
                runStart = -1
                continue
            }
            let upper = field.line.upper
            guard !field.isFolded, field.line.count >= 2, message.bytes[upper - 2] == 0x0D else {
                // A bare line feed is mended on the way (§7.3.1 wants CR LF); a folded field may hold one.
                if runStart >= 0 { append(message[Slice(runStart, runEnd)]) }
                runStart = -1
                append(field, of: message)
                continue
            }
            if runStart < 0 { runStart = field.line.lower }
            runEnd = upper
        }
        if runStart >= 0 { append(message[Slice(runStart, runEnd)]) }
    }
}
