// Where messages are written: one growing run of octets, emptied and used again at each tick.

/// A growing buffer of octets with one owner. Appending never fails; the memory is kept when it is emptied.
public struct OctetBuffer: ~Copyable, @unchecked Sendable {
    @usableFromInline var base: UnsafeMutableRawPointer
    @usableFromInline var capacity: Int
    /// The octets written so far.
    public private(set) var count: Int

    public init(capacity: Int = 512) {
        self.capacity = max(capacity, 64)
        base = .allocate(byteCount: self.capacity, alignment: 16)
        count = 0
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
    public mutating func removeAll() { count = 0 }

    /// Takes back all that was written after `length`.
    public mutating func truncate(to length: Int) {
        precondition(length >= 0 && length <= count)
        count = length
    }

    public mutating func append(_ bytes: RawSpan) {
        let length = bytes.byteCount
        guard length > 0 else { return }
        reserve(length)
        bytes.withUnsafeBytes { (base + count).copyMemory(from: $0.baseAddress!, byteCount: length) }
        count += length
    }

    public mutating func append(_ text: StaticString) {
        let length = text.utf8CodeUnitCount
        reserve(length)
        (base + count).copyMemory(from: text.utf8Start, byteCount: length)
        count += length
    }

    public mutating func append(_ array: [UInt8]) { append(array.span.bytes) }

    public mutating func append(byte: UInt8) {
        reserve(1)
        base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    /// Appends a part of itself: the bounds are checked, and growth in between does no harm.
    public mutating func appendCopy(from start: Int, count length: Int) {
        precondition(start >= 0 && length >= 0 && start <= count && length <= count - start, "octets outside of the buffer")
        reserve(length)
        (base + count).copyMemory(from: base + start, byteCount: length)
        count += length
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
            base.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 + rest % 10), toByteOffset: position, as: UInt8.self)
            rest /= 10
        }
        count += length
    }

    /// The low `digits` hexadecimal digits of a number, lower case.
    public mutating func appendHex(_ value: UInt64, digits: Int = 16) {
        reserve(digits)
        var shift = digits * 4
        while shift > 0 {
            shift -= 4
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(shift)) & 15
            base.storeBytes(of: digit < 10 ? 0x30 + digit : 0x57 + digit, toByteOffset: count, as: UInt8.self)
            count += 1
        }
    }

    @inline(__always)
    private mutating func reserve(_ extra: Int) {
        if capacity - count < extra { grow(extra) }
    }

    @inline(never)
    private mutating func grow(_ extra: Int) {
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
