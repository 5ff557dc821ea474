// From octets to an index, in one pass (RFC 3261 §7, §25). The scanner finds where things are; what they mean is read
// later, by those who ask. It allocates nothing once its table of fields has grown.

import SansIO

/// Owns the table of header fields that a scan fills, and gives out the message as a view of octets and table.
public struct MessageScanner: ~Copyable {
    private var table = FieldTable()
    private let names = HeaderNameIndex.shared
    private var shape = MessageShape()

    public init() {}

    /// What a scan came to.
    public enum Verdict: BitwiseCopyable, Sendable {
        /// A message whose start line and header lines are well formed.
        case message
        /// Only line ends: a keep-alive (RFC 5626 §3.5.1).
        case blank
        /// Not to be taken as it is; the fields up to the fault are indexed, so an answer may still find its way.
        case fault(MessageFault)
    }

    /// Scans one message. On a datagram the body ends with it; on a stream the octets are exactly one message.
    public mutating func scan(_ bytes: RawSpan) -> Verdict {
        table.removeAll()
        shape = MessageShape()
        var position = 0
        while position < bytes.byteCount, bytes[position] == 0x0D || bytes[position] == 0x0A { position += 1 }
        guard position < bytes.byteCount else { return .blank }
        let lineEnd = bytes.lineFeed(from: position)
        guard lineEnd < bytes.byteCount else { return .fault(MessageFault(400, nil, .startLine)) }
        let startFault = scanStartLine(bytes, from: position, to: bytes.contentEnd(position, lineEnd))
        shape.headerStart = UInt32(truncatingIfNeeded: lineEnd + 1)
        let headerFault = scanFields(bytes, from: lineEnd + 1)
        if bytes.byteCount > MessageLimit.message { return .fault(MessageFault(513, nil, .tooLarge)) }
        if let fault = startFault ?? headerFault { return .fault(fault) }
        if let fault = limitBody(bytes) { return .fault(fault) }
        return .message
    }

    /// The message last scanned.
    @_lifetime(copy bytes, borrow self)
    public borrowing func message(_ bytes: RawSpan) -> Message {
        Message(bytes: bytes, fields: table.fields, firstOfName: table.firstOfName, shape: shape)
    }

    // MARK: Start line

    private mutating func scanStartLine(_ bytes: RawSpan, from start: Int, to end: Int) -> MessageFault? {
        if end - start >= 4, bytes.part(start, 4).equalsIgnoringCase("sip/") {
            return scanStatusLine(bytes, from: start, to: end)
        }
        let fault = MessageFault(400, nil, .startLine)
        var i = start
        i = bytes.run(of: .token, from: i, to: end)
        guard i > start, i < end, bytes[i] == 0x20 else { return fault }
        shape.methodName = Slice(start, i)
        shape.method = Method(bytes[shape.methodName])
        // The version is behind the last space, so that white space within the URI is a fault of the URI.
        if end - i > 9, bytes[end - 8] == 0x20, bytes[Slice(end - 7, end)].equals("SIP/2.0") {
            shape.requestURI = Slice(i + 1, end - 8)
        } else if let versionFault = scanVersion(bytes, from: i, to: end) {
            return versionFault
        }
        let uri = shape.requestURI
        let plainEnd = bytes.run(of: .word, from: uri.lower, to: uri.upper)
        for j in plainEnd..<uri.upper where bytes[j] <= 0x20 || bytes[j] == 0x7F { return MessageFault(400, nil, .requestURI) }
        return nil
    }

    /// A version that is not written as it mostly is, and the Request-URI before it.
    private mutating func scanVersion(_ bytes: RawSpan, from space: Int, to end: Int) -> MessageFault? {
        let fault = MessageFault(400, nil, .startLine)
        var last = end - 1
        while last > space, bytes[last] != 0x20 { last -= 1 }
        guard last > space + 1, last + 1 < end else { return fault }
        shape.requestURI = Slice(space + 1, last)
        let version = bytes[Slice(last + 1, end)]
        guard version.byteCount >= 5, version.part(0, 4).equalsIgnoringCase("sip/") else { return fault }
        guard version.equalsIgnoringCase("sip/2.0") else { return MessageFault(505, nil, .version) }
        return nil
    }

    private mutating func scanStatusLine(_ bytes: RawSpan, from start: Int, to end: Int) -> MessageFault? {
        shape.isRequest = false
        let fault = MessageFault(400, nil, .startLine)
        guard end - start >= 11, bytes[Slice(start, start + 7)].equalsIgnoringCase("sip/2.0"), bytes[start + 7] == 0x20,
            let status = bytes.decimal(Slice(start + 8, start + 11)), (100...699).contains(status)
        else { return fault }
        guard end == start + 11 || bytes[start + 11] == 0x20 else { return fault }
        shape.status = UInt16(status)
        shape.reason = Slice(min(end, start + 12), end)
        return nil
    }

    // MARK: Header fields

    private mutating func scanFields(_ bytes: RawSpan, from start: Int) -> MessageFault? {
        var fault: MessageFault?
        var position = start
        let count = bytes.byteCount
        while position < count {
            let first = bytes[position]
            if first == 0x0A || (first == 0x0D && position + 1 < count && bytes[position + 1] == 0x0A) {
                shape.body = Slice(position + (first == 0x0A ? 1 : 2), count)
                return fault
            }
            var lineEnd = bytes.lineFeed(from: position)
            var isFolded = false
            while lineEnd + 1 < count, bytes[lineEnd + 1] == 0x20 || bytes[lineEnd + 1] == 0x09 {
                isFolded = true
                lineEnd = bytes.lineFeed(from: lineEnd + 1)
            }
            guard lineEnd < count else {
                // The last line of a datagram that ends without an empty line.
                shape.body = Slice(count, count)
                return fault ?? MessageFault(400, nil, .headerEnd)
            }
            if let found = scanField(bytes, from: position, lineEnd: lineEnd, isFolded: isFolded) { fault = fault ?? found }
            position = lineEnd + 1
        }
        shape.body = Slice(count, count)
        return fault ?? MessageFault(400, nil, .headerEnd)
    }

    @inline(__always)
    private mutating func scanField(_ bytes: RawSpan, from start: Int, lineEnd: Int, isFolded: Bool) -> MessageFault? {
        var colon = bytes.offset(of: 0x3A, from: start, to: lineEnd)
        var nameEnd = colon
        var name = HeaderName.other
        if colon > start, colon < lineEnd { name = HeaderName(bytes, Slice(start, colon), in: names) }
        if name == .other {
            // Only then its letters are looked at: those of a known name are right.
            nameEnd = bytes.run(of: .token, from: start, to: lineEnd)
            colon = nameEnd
            while bytes[colon] == 0x20 || bytes[colon] == 0x09 { colon += 1 }
            guard nameEnd > start, bytes[colon] == 0x3A else { return MessageFault(400, nil, .headerLine) }
            if colon > nameEnd { name = HeaderName(bytes, Slice(start, nameEnd), in: names) }
        }
        guard table.count < MessageLimit.fields else { return MessageFault(400, nil, .tooManyFields) }
        guard lineEnd - start <= MessageLimit.fieldLength else { return MessageFault(400, nil, .tooLong) }
        var valueStart = colon &+ 1
        while valueStart < lineEnd, bytes[valueStart].isLinearWhiteSpace { valueStart &+= 1 }
        var end = lineEnd
        while end > valueStart, bytes[end &- 1].isLinearWhiteSpace { end &-= 1 }
        table.append(
            HeaderField(
                name: name, isFolded: isFolded, line: Slice(start, lineEnd &+ 1), nameSlice: Slice(start, nameEnd),
                value: Slice(valueStart, end)))
        return nil
    }

    // MARK: Body

    /// Content-Length against what is there (RFC 3261 §18.3): what is over is cut off, less is a fault.
    private mutating func limitBody(_ bytes: RawSpan) -> MessageFault? {
        var index = table.firstIndex(of: .contentLength)
        guard index != HeaderField.none else { return nil }
        guard let length = bytes.decimal(table[index].value) else { return MessageFault(400, .contentLength, .contentLength) }
        while table[index].next != HeaderField.none {
            index = table[index].next
            if bytes.decimal(table[index].value) != length { return MessageFault(400, .contentLength, .repeated) }
        }
        guard length <= UInt64(shape.body.count) else { return MessageFault(400, .contentLength, .shortBody) }
        shape.body.count = UInt32(length)
        return nil
    }
}

extension RawSpan {
    /// The offset of the next line feed, or the count if there is none.
    @inline(__always)
    func lineFeed(from start: Int) -> Int { offset(of: 0x0A, from: start, to: byteCount) }

    /// The offset of the next octet of this value before `end`, or `end`: eight octets at a time.
    @inline(__always)
    func offset(of octet: UInt8, from start: Int, to end: Int) -> Int {
        precondition(start >= 0 && end <= byteCount, "octets outside of the message")
        let pattern = UInt64(octet) &* 0x0101_0101_0101_0101
        var i = start
        // Inside by the condition of the loop: no need to look again.
        while i &+ 8 <= end {
            let word = UInt64(littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: i, as: UInt64.self)) ^ pattern
            let zeros = (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
            if zeros != 0 { return i &+ zeros.trailingZeroBitCount &>> 3 }
            i &+= 8
        }
        while i < end, unsafeLoad(fromUncheckedByteOffset: i, as: UInt8.self) != octet { i &+= 1 }
        return i
    }

    /// Where a line's content ends: before CR LF, or before a bare LF.
    func contentEnd(_ start: Int, _ lineFeed: Int) -> Int {
        lineFeed > start && self[lineFeed - 1] == 0x0D ? lineFeed - 1 : lineFeed
    }
}
