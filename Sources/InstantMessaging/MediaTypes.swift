// Content types and the parts of a multipart body (RFC 2045 §5.1, RFC 2046 §5.1), by offsets.

import SIPMessage
import SansIO

/// A part of a body.
struct BodyPart: BitwiseCopyable {
    /// The value of its Content-Type; empty: none.
    var contentType: Slice
    var content: Slice
}

extension RawSpan {
    /// Whether a Content-Type value is of this type; its parameters do not count. `type` is lower case.
    func isMediaType(_ type: StaticString, _ value: Slice) -> Bool {
        var end = value.lower
        while end < value.upper, self[end] != 0x3B { end += 1 }
        return self[trimmed(Slice(value.lower, end))].equalsIgnoringCase(type)
    }

    /// The parts of a multipart body; nil: there is no boundary, or no part.
    func bodyParts(of body: Slice, contentType: Slice) -> [BodyPart]? {
        var semicolon = contentType.lower
        while semicolon < contentType.upper, self[semicolon] != 0x3B { semicolon += 1 }
        guard let value = parameter("boundary", in: Slice(semicolon, contentType.upper)) else { return nil }
        let boundary = unquoted(value)
        guard (1...70).contains(boundary.count) else { return nil }
        var parts: [BodyPart] = []
        var partStart: Int?
        var line = body.lower
        while line < body.upper {
            let end = lineEnd(from: line, to: body.upper)
            if let isLast = delimiter(Slice(line, end), boundary) {
                if let start = partStart { parts.append(bodyPart(Slice(start, beforeLineEnd(line, from: start)))) }
                partStart = isLast ? nil : min(end + 1, body.upper)
                if isLast || parts.count == 16 { break }
            }
            line = end + 1
        }
        return parts.isEmpty ? nil : parts
    }

    /// Whether a line is `--boundary`, or `--boundary--`, which ends the last part; white space may follow, but not precede
    /// (RFC 2046 §5.1.1).
    private func delimiter(_ line: Slice, _ boundary: Slice) -> Bool? {
        let marks = Int(boundary.count) + 2
        guard line.count >= marks, self[line.lower] == 0x2D, self[line.lower + 1] == 0x2D,
            self[Slice(line.lower + 2, line.lower + marks)].equals(self[boundary])
        else { return nil }
        let rest = self[trimmed(Slice(line.lower + marks, line.upper))]
        if rest.byteCount == 0 { return false }
        return rest.equals("--") ? true : nil
    }

    /// The line end before a delimiter belongs to the delimiter (RFC 2046 §5.1.1).
    private func beforeLineEnd(_ position: Int, from start: Int) -> Int {
        var end = position
        if end > start, self[end - 1] == 0x0A { end -= 1 }
        if end > start, self[end - 1] == 0x0D { end -= 1 }
        return end
    }

    private func bodyPart(_ part: Slice) -> BodyPart {
        let (fields, content) = mimeHead(part)
        return BodyPart(contentType: mimeField("content-type", in: fields) ?? .empty, content: content)
    }

    /// The header fields of a MIME entity, and what follows the empty line.
    func mimeHead(_ entity: Slice) -> (fields: Slice, content: Slice) {
        var line = entity.lower
        while line < entity.upper {
            let end = lineEnd(from: line, to: entity.upper)
            if trimmed(Slice(line, end)).isEmpty { return (Slice(entity.lower, line), Slice(min(end + 1, entity.upper), entity.upper)) }
            line = end + 1
        }
        return (entity, Slice(entity.upper, entity.upper))
    }

    /// The value of a field among MIME header fields; `name` is lower case.
    func mimeField(_ name: StaticString, in fields: Slice) -> Slice? {
        var line = fields.lower
        while line < fields.upper {
            let end = lineEnd(from: line, to: fields.upper)
            var colon = line
            while colon < end, self[colon] != 0x3A { colon += 1 }
            if colon < end, self[trimmed(Slice(line, colon))].equalsIgnoringCase(name) { return trimmed(Slice(colon + 1, end)) }
            line = end + 1
        }
        return nil
    }

    private func lineEnd(from start: Int, to end: Int) -> Int {
        var i = start
        while i < end, self[i] != 0x0A { i += 1 }
        return i
    }
}
