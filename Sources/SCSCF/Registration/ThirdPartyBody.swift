// The body of a third-party REGISTER (TS 24.229 §5.4.1.7A, §7.6): nothing, one part as it is, or several as
// multipart/mixed (RFC 2046 §5.1) in the order service information, request, response.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

struct ThirdPartyBody {
    private var parts: [(type: StaticString, octets: [UInt8])] = []

    /// `<ims-3gpp>` with the text of the criterion, which is copied and not looked into, so it is escaped.
    mutating func addServiceInfo(_ info: String) {
        var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<ims-3gpp version=\"1\"><service-info>"
        for character in info.unicodeScalars {
            switch character {
            case "<": text += "&lt;"
            case ">": text += "&gt;"
            case "&": text += "&amp;"
            default: text.unicodeScalars.append(character)
            }
        }
        text += "</service-info></ims-3gpp>\r\n"
        parts.append(("application/3gpp-ims+xml", Array(text.utf8)))
    }

    mutating func addMessage(_ message: RawSpan) { parts.append(("message/sip", [UInt8](message))) }

    /// Leaves out the last parts until the others have no more octets than this.
    mutating func shorten(to limit: Int) {
        var octets = parts.reduce(0) { $0 + $1.octets.count }
        while octets > limit, let last = parts.popLast() { octets -= last.octets.count }
    }

    /// Content-Type, the end of the header fields and the body.
    func append(to bytes: inout OctetBuffer, drawingFrom random: inout RandomSource) {
        guard let first = parts.first else { return bytes.appendEmptyBody() }
        guard parts.count > 1 else {
            bytes.appendField(.contentType, first.type)
            return bytes.appendBody(first.octets.span.bytes)
        }
        let boundary = boundary(drawingFrom: &random)
        bytes.append("Content-Type: multipart/mixed;boundary=")
        bytes.append(boundary)
        bytes.append("\r\n")
        var body = OctetBuffer(capacity: 4096)
        for part in parts {
            body.append("--")
            body.append(boundary)
            body.append("\r\nContent-Type: ")
            body.append(part.type)
            body.append("\r\n\r\n")
            body.append(part.octets)
            body.append("\r\n")
        }
        body.append("--")
        body.append(boundary)
        body.append("--\r\n")
        bytes.appendBody(body.bytes)
    }

    /// One that occurs in no part: drawn again until it does not.
    private func boundary(drawingFrom random: inout RandomSource) -> [UInt8] {
        while true {
            var candidate = OctetBuffer(capacity: 64)
            candidate.appendHex(random.next())
            let octets = [UInt8](candidate.bytes)
            if !parts.contains(where: { $0.octets.span.bytes.holds(octets.span.bytes) }) { return octets }
        }
    }
}

extension RawSpan {
    /// Whether a text occurs in these octets.
    fileprivate func holds(_ text: RawSpan) -> Bool {
        guard text.byteCount > 0 else { return true }
        var from = 0
        while let found = firstOffset(of: text[0], from: from), found + text.byteCount <= byteCount {
            if part(found, text.byteCount).equals(text) { return true }
            from = found + 1
        }
        return false
    }
}
