// Messages out of a stream of octets (RFC 3261 §18.3): empty lines before a message are skipped, the header ends with
// the first blank line, the body has as many octets as Content-Length says. A stream that breaks these rules cannot be
// read on: nobody knows where its next message begins.

import SansIO

/// The framing of one stream. Octets go in as they arrive, whole messages come out; no octet is looked at twice.
///
/// Line ends without CR are taken as such: whether a message may have them is for its reader to say. Keep-alives, two
/// empty lines between messages (RFC 5626 §4.4.1), come out as pings.
struct StreamFramer: ~Copyable {
    /// What was found, valid until octets are next appended; offsets are for `octets(from:count:)`.
    enum Frame: Hashable {
        case message(start: Int, count: Int)
        /// As many keep-alives in a row, each to be answered with an empty line.
        case pings(Int)
        /// The stream cannot be read on. If the header is whole, it stands there for an answer; else the count is 0.
        case broken(StreamEnding, start: Int, count: Int)
    }

    /// The most octets of a message, as many as a datagram could have. A header may not have more either.
    static let messageLimit = 65_535

    private enum Phase {
        case between, header, body, broken
    }

    private var buffer = OctetBuffer(capacity: 64)
    private var phase = Phase.between
    /// Octets before it were given out.
    private var start = 0
    /// Octets before it were looked at.
    private var scanned = 0
    /// How much of a keep-alive, CR LF CR LF, stands before `scanned`.
    private var pingProgress = 0
    private var lineStart = 0
    /// Where the header field that `lineStart` may continue begins; -1: none does.
    private var fieldStart = -1
    private var contentLength: Int?
    private var fault: StreamEnding?
    private var messageEnd = 0

    /// Whether a message was begun that is not complete.
    var holdsPart: Bool { phase == .header || phase == .body }

    /// Adds what was received. What follows a fault is thrown away.
    mutating func append(_ octets: RawSpan) {
        guard phase != .broken else { return }
        dropGivenOut()
        buffer.append(octets)
    }

    /// What comes next; nil: octets are missing.
    mutating func next() -> Frame? {
        if phase == .between, let pings = skipEmptyLines() { return .pings(pings) }
        if phase == .header, let frame = readHeader() { return frame }
        guard phase == .body, buffer.count >= messageEnd else { return nil }
        defer { beginBetween(at: messageEnd) }
        return .message(start: start, count: messageEnd - start)
    }

    /// The octets of a frame.
    @_lifetime(borrow self)
    borrowing func octets(from start: Int, count: Int) -> RawSpan { buffer.bytes(from: start, count: count) }

    // MARK: Between messages

    private mutating func beginBetween(at position: Int) {
        phase = .between
        start = position
        scanned = position
        pingProgress = 0
    }

    /// Skips CR and LF. Tells of the keep-alives among them; nil: there is none.
    private mutating func skipEmptyLines() -> Int? {
        var pings = 0
        while scanned < buffer.count {
            let octet = buffer.bytes[scanned]
            guard octet == 0x0D || octet == 0x0A else {
                beginMessage()
                break
            }
            let isExpected = octet == (pingProgress & 1 == 0 ? 0x0D : 0x0A)
            pingProgress = isExpected ? pingProgress + 1 : octet == 0x0D ? 1 : 0
            if pingProgress == 4 {
                pings += 1
                pingProgress = 0
            }
            scanned += 1
        }
        if phase == .between { start = scanned }
        return pings > 0 ? pings : nil
    }

    private mutating func beginMessage() {
        phase = .header
        start = scanned
        lineStart = scanned
        fieldStart = -1
        contentLength = nil
        fault = nil
    }

    // MARK: The header

    /// Reads on to the blank line. A frame comes back only if the stream is broken.
    private mutating func readHeader() -> Frame? {
        while let lineFeed = buffer.bytes.firstOffset(of: 0x0A, from: scanned) {
            scanned = lineFeed + 1
            guard scanned - start <= StreamFramer.messageLimit else { break }
            let first = buffer.bytes[lineStart]
            if lineFeed == lineStart || (first == 0x0D && lineFeed == lineStart + 1) {
                finishField()
                return finishHeader()
            }
            if first != 0x20, first != 0x09 {
                finishField()
                fieldStart = lineStart == start ? -1 : lineStart
            }
            lineStart = scanned
        }
        scanned = max(scanned, buffer.count)
        guard scanned - start > StreamFramer.messageLimit else { return nil }
        return breakOff(.headerTooLarge, headerCount: 0)
    }

    /// The header is whole: the length of the body is known, or the stream is broken.
    private mutating func finishHeader() -> Frame? {
        let count = scanned - start
        if let fault { return breakOff(fault, headerCount: count) }
        guard let contentLength else { return breakOff(.contentLengthMissing, headerCount: count) }
        guard contentLength <= StreamFramer.messageLimit - count else { return breakOff(.messageTooLarge, headerCount: count) }
        messageEnd = scanned + contentLength
        phase = .body
        return nil
    }

    private mutating func breakOff(_ fault: StreamEnding, headerCount: Int) -> Frame {
        phase = .broken
        return .broken(fault, start: start, count: headerCount)
    }

    private enum LengthField {
        case absent, invalid
        case octets(Int)
    }

    /// The field from `fieldStart` to `lineStart` is whole, with its continuation lines (RFC 3261 §7.3.1).
    private mutating func finishField() {
        guard fieldStart >= 0 else { return }
        switch lengthField() {
        case .absent: break
        case .invalid: fault = fault ?? .contentLengthInvalid
        case .octets(let count):
            if let contentLength, contentLength != count { fault = fault ?? .contentLengthConflict }
            contentLength = count
        }
    }

    private borrowing func lengthField() -> LengthField {
        let field = buffer.bytes(from: fieldStart, count: lineStart - fieldStart)
        guard let colon = StreamFramer.colonOfContentLength(field) else { return .absent }
        let value = StreamFramer.number(field.part(colon + 1, field.byteCount - colon - 1))
        return value.map { .octets($0) } ?? .invalid
    }

    /// Where the colon stands in a field named Content-Length or `l`; nil: the field has another name.
    private static func colonOfContentLength(_ field: RawSpan) -> Int? {
        let first = field[0].asciiLowercased
        guard first == 0x63 || first == 0x6C, let colon = field.firstOffset(of: 0x3A) else { return nil }
        var end = colon
        while end > 0, field[end - 1] == 0x20 || field[end - 1] == 0x09 { end -= 1 }
        let name = field.part(0, end)
        return name.equalsIgnoringCase("content-length") || name.equalsIgnoringCase("l") ? colon : nil
    }

    /// A decimal number among white space; one that no message can have is as good as any other such.
    private static func number(_ text: RawSpan) -> Int? {
        func isSpace(_ octet: UInt8) -> Bool { octet == 0x20 || octet == 0x09 || octet == 0x0D || octet == 0x0A }
        var i = 0
        while i < text.byteCount, isSpace(text[i]) { i += 1 }
        var value = 0
        let firstDigit = i
        while i < text.byteCount, text[i].isASCIIDigit {
            value = min(value * 10 + Int(text[i] - 0x30), messageLimit + 1)
            i += 1
        }
        guard i > firstDigit else { return nil }
        while i < text.byteCount, isSpace(text[i]) { i += 1 }
        return i == text.byteCount ? value : nil
    }

    // MARK: Memory

    /// Forgets octets that were given out. A stream at rest keeps little memory.
    private mutating func dropGivenOut() {
        guard start > 0 else { return }
        let rest = buffer.count - start
        if rest == 0, buffer.count <= 4096 {
            buffer.removeAll()
        } else {
            var remaining = OctetBuffer(capacity: rest)
            remaining.append(buffer.bytes(from: start, count: rest))
            swap(&buffer, &remaining)
        }
        scanned -= start
        lineStart -= start
        fieldStart = fieldStart < 0 ? -1 : fieldStart - start
        messageEnd -= start
        start = 0
    }
}
