// Where messages are written: one growing run of octets, emptied and used again at each tick.

/// A growing buffer of octets with one owner. Appending never fails; the memory is kept when it is emptied.
public struct OctetBuffer: ~Copyable, @unchecked Sendable {
    @usableFromInline var base: UnsafeMutableRawPointer
    @usableFromInline var capacity: Int
    @usableFromInline var filled: Int
    /// The octets written so far.
    @inlinable public var count: Int { filled }

    public init(capacity: Int = 512) {
        self.capacity = max(capacity, 64)
        base = .allocate(byteCount: self.capacity, alignment: 16)
        filled = 0
    }

    deinit { base.deallocate() }

    /// All that was written.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        borrowing get { span(0, count) }
    }

    /// A part of what was written; both bounds are checked.
    @_lifetime(borrow self)
    public borrowing func bytes(from start: Int, count length: Int) -> RawSpan {
        precondition(start >= 0 && length >= 0 && start <= count && length <= count - start, "octets outside of the buffer")
        return span(start, length)
    }

    @_lifetime(borrow self)
    private borrowing func span(_ start: Int, _ length: Int) -> RawSpan {
        let span = RawSpan(_unsafeStart: UnsafeRawPointer(base) + start, byteCount: length)
        return _overrideLifetime(span, borrowing: self)
    }

    /// Forgets what was written and keeps the memory.
    public mutating func removeAll() { filled = 0 }

    /// Takes back all that was written after `length`.
    public mutating func truncate(to length: Int) {
        precondition(length >= 0 && length <= count)
        filled = length
    }

    @inlinable public mutating func append(_ bytes: RawSpan) {
        let length = bytes.byteCount
        guard length > 0 else { return }
        reserve(length)
        bytes.withUnsafeBytes { (base + count).copyMemory(from: $0.baseAddress!, byteCount: length) }
        filled += length
    }

    /// Of a literal: the compiler makes one or two stores of it.
    @inlinable @inline(__always)
    public mutating func append(_ text: StaticString) {
        let length = text.utf8CodeUnitCount
        reserve(length)
        (base + count).copyMemory(from: text.utf8Start, byteCount: length)
        filled += length
    }

    public mutating func append(_ array: [UInt8]) { append(array.span.bytes) }

    @inlinable public mutating func append(byte: UInt8) {
        reserve(1)
        base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        filled += 1
    }

    /// Eight octets, the lowest first.
    @inlinable public mutating func append(word: UInt64) {
        reserve(8)
        base.storeBytes(of: word.littleEndian, toByteOffset: count, as: UInt64.self)
        filled += 8
    }

    /// Appends a part of itself: the bounds are checked, and growth in between does no harm.
    public mutating func appendCopy(from start: Int, count length: Int) {
        precondition(start >= 0 && length >= 0 && start <= count && length <= count - start, "octets outside of the buffer")
        reserve(length)
        (base + count).copyMemory(from: base + start, byteCount: length)
        filled += length
    }

    /// Writes over octets that were written before.
    public mutating func overwrite(at start: Int, with bytes: RawSpan) {
        precondition(start >= 0 && start <= count && bytes.byteCount <= count - start, "octets outside of the buffer")
        guard bytes.byteCount > 0 else { return }
        bytes.withUnsafeBytes { (base + start).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    }

    /// A number in decimal, with at least `digits` digits.
    public mutating func appendDecimal(_ value: UInt64, digits: Int = 1) {
        reserve(20 + digits)
        if value < 10, digits <= 1 {
            base.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 + value), toByteOffset: count, as: UInt8.self)
            filled += 1
            return
        }
        var length = 1
        var power: UInt64 = 10
        while length < 20, value >= power {
            length += 1
            let (next, overflow) = power.multipliedReportingOverflow(by: 10)
            if overflow { break }
            power = next
        }
        if length < digits { length = digits }
        var rest = value
        var position = count + length
        while position > count {
            position -= 1
            let tenth = rest / 10
            base.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 + (rest - tenth * 10)), toByteOffset: position, as: UInt8.self)
            rest = tenth
        }
        filled += length
    }

    /// The low `digits` hexadecimal digits of a number, lower case.
    public mutating func appendHex(_ value: UInt64, digits: Int = 16) {
        guard digits == 16 else {
            for i in 0..<digits {
                let digit = UInt8(truncatingIfNeeded: value >> UInt64(4 * (digits - 1 - i))) & 15
                append(byte: digit < 10 ? 0x30 + digit : 0x57 + digit)
            }
            return
        }
        reserve(16)
        base.storeBytes(of: OctetBuffer.hexDigits(of: value >> 32).bigEndian, toByteOffset: count, as: UInt64.self)
        base.storeBytes(of: OctetBuffer.hexDigits(of: value & 0xFFFF_FFFF).bigEndian, toByteOffset: count + 8, as: UInt64.self)
        filled += 16
    }

    /// Eight digits of 32 bits, the first in the highest octet: the half octets are spread out, and all made letters at once
    /// (a tenth of the instructions of sixteen digits one by one, of which each message has two or three).
    @inlinable @inline(__always)
    static func hexDigits(of value: UInt64) -> UInt64 {
        var spread = (value | value << 16) & 0x0000_FFFF_0000_FFFF
        spread = (spread | spread << 8) & 0x00FF_00FF_00FF_00FF
        spread = (spread | spread << 4) & 0x0F0F_0F0F_0F0F_0F0F
        let fromTen = ((spread &+ 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
        return spread &+ 0x3030_3030_3030_3030 &+ fromTen &* 0x27
    }

    /// Makes room for what is about to be written.
    @inlinable @inline(__always)
    mutating func reserve(_ extra: Int) {
        if capacity - count < extra { grow(extra) }
    }

    @usableFromInline @inline(never)
    mutating func grow(_ extra: Int) {
        let wanted = max(capacity * 2, count + extra)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: 16)
        larger.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = larger
        capacity = wanted
    }
}

extension [UInt8] {
    /// A copy of the octets, for what outlives them.
    public init(_ bytes: RawSpan) {
        self = bytes.withUnsafeBytes { [UInt8]($0) }
    }
}
