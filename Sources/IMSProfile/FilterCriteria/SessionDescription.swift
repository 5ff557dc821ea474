// The session description in a body: all of it, or the first part of a multipart body that is one (RFC 2046 §5.1).

import SIPMessage
import SansIO

extension Message {
    /// The octets of the first `application/sdp` body or body part; nil: there is none.
    var sessionDescription: Slice? {
        guard let contentType = value(.contentType) else { return nil }
        return bytes.sessionDescription(in: shape.body, contentType: contentType, depth: 0)
    }
}

extension RawSpan {
    /// Deepest nesting of multipart bodies that is looked into.
    private static var deepestPart: Int { 4 }

    fileprivate func sessionDescription(in body: Slice, contentType: Slice, depth: Int) -> Slice? {
        let semicolon = self[contentType].firstOffset(of: UInt8(ascii: ";")) ?? Int(contentType.count)
        let mediaType = trimmed(Slice(contentType.lower, contentType.lower + semicolon))
        let parameters = Slice(contentType.lower + semicolon, contentType.upper)
        if isMediaType(mediaType, "application", "sdp") { return body }
        guard depth < RawSpan.deepestPart, isMediaType(mediaType, "multipart", nil),
            let boundary = parameter("boundary", in: parameters).map({ unquoted($0) }), !boundary.isEmpty
        else { return nil }
        return firstPart(of: body, boundary) { sessionDescription(inPart: $0, depth: depth + 1) }
    }

    /// What the first part for which `body` finds something gives. Parts stand between lines that begin with two hyphens and
    /// the boundary; one that is not closed goes to the end.
    private func firstPart(of multipart: Slice, _ boundary: Slice, _ body: (Slice) -> Slice?) -> Slice? {
        var rest = multipart
        var start: Int?
        while !rest.isEmpty {
            let line = nextLine(&rest)
            guard isDelimiter(line, boundary) else { continue }
            if let start, let found = body(Slice(start, endOfPart(from: start, before: line.lower))) { return found }
            if isClosing(line, boundary) { return nil }
            start = rest.lower
        }
        return start.flatMap { body(Slice($0, multipart.upper)) }
    }

    /// The line end before a delimiter belongs to the delimiter.
    private func endOfPart(from start: Int, before delimiter: Int) -> Int {
        var end = delimiter
        if end > start && self[end - 1] == 0x0A { end -= 1 }
        if end > start && self[end - 1] == 0x0D { end -= 1 }
        return end
    }

    private func isDelimiter(_ line: Slice, _ boundary: Slice) -> Bool {
        let marks = Int(boundary.count) + 2
        guard line.count >= marks, self[line.lower] == 0x2D, self[line.lower + 1] == 0x2D,
            self[Slice(line.lower + 2, line.lower + marks)].equals(self[boundary])
        else { return false }
        let tail = trimmed(Slice(line.lower + marks, line.upper))
        return tail.isEmpty || self[tail].equals("--")
    }

    private func isClosing(_ line: Slice, _ boundary: Slice) -> Bool {
        !trimmed(Slice(line.lower + Int(boundary.count) + 2, line.upper)).isEmpty
    }

    /// A part is header lines, an empty line and a body; without Content-Type it is plain text.
    private func sessionDescription(inPart part: Slice, depth: Int) -> Slice? {
        var rest = part
        var contentType: Slice?
        var isInContentType = false
        while !rest.isEmpty {
            let line = nextLine(&rest)
            if line.isEmpty { return contentType.flatMap { sessionDescription(in: rest, contentType: $0, depth: depth) } }
            if self[line.lower].isLinearWhiteSpace {
                if isInContentType { contentType = contentType.map { Slice($0.lower, line.upper) } }
                continue
            }
            let colon = self[line].firstOffset(of: UInt8(ascii: ":")) ?? 0
            isInContentType = HeaderName(self[trimmed(Slice(line.lower, line.lower + colon))]) == .contentType
            if isInContentType { contentType = trimmed(Slice(line.lower + colon + 1, line.upper)) }
        }
        return nil
    }

    /// Compares `type/subtype` without case; no subtype: any.
    private func isMediaType(_ slice: Slice, _ type: StaticString, _ subtype: StaticString?) -> Bool {
        guard let slash = self[slice].firstOffset(of: UInt8(ascii: "/")) else { return false }
        guard self[trimmed(Slice(slice.lower, slice.lower + slash))].equalsIgnoringCase(type) else { return false }
        return subtype.map { self[trimmed(Slice(slice.lower + slash + 1, slice.upper))].equalsIgnoringCase($0) } ?? true
    }

    /// Takes a line off the front, and its end with it: CR LF, or LF alone.
    func nextLine(_ rest: inout Slice) -> Slice {
        var end = rest.lower
        while end < rest.upper && self[end] != 0x0A { end += 1 }
        let line = Slice(rest.lower, end > rest.lower && self[end - 1] == 0x0D ? end - 1 : end)
        rest = Slice(min(end + 1, rest.upper), rest.upper)
        return line
    }
}
