// Text within XML and HTML.

import SansIO

extension String {
    /// As character data or in a quoted attribute. What XML 1.0 §2.2 does not allow becomes `·`.
    var escapedForMarkup: String {
        var result = ""
        for scalar in unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\n", "\t": result.unicodeScalars.append(scalar)
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{FFFE}", "\u{FFFF}": result += "·"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

/// `2026-01-01T00:00:00.000000Z`
func rfc3339(_ time: WallTime) -> String {
    var buffer = OctetBuffer(capacity: 64)
    buffer.appendRFC3339(time)
    return String(octets: buffer.bytes)
}

/// The octets of a message for reading.
enum MessageText {
    /// Octets of a body without text that are shown.
    private static let shownOctets = 4096

    /// The message as text, line ends as they are meant; a body that is no text in hexadecimal.
    static func of(_ octets: [UInt8], body: [UInt8]) -> String {
        if let text = String(validating: octets, as: UTF8.self) { return withoutReturns(text) }
        let head = String(decoding: octets.dropLast(body.count), as: UTF8.self)
        if let text = String(validating: body, as: UTF8.self) { return withoutReturns(head + text) }
        let rest = body.count > shownOctets ? "\n(\(body.count - shownOctets) more octets)" : ""
        return withoutReturns(head) + hexadecimal(body.prefix(shownOctets)) + rest
    }

    private static func withoutReturns(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.filter { $0 != "\r" }))
    }

    /// Sixteen octets a line, with what of them is a character behind.
    private static func hexadecimal(_ octets: ArraySlice<UInt8>) -> String {
        stride(from: octets.startIndex, to: octets.endIndex, by: 16).map { start in
            let line = octets[start..<min(start + 16, octets.endIndex)]
            let numbers = line.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
            let characters = line.map { (0x20..<0x7F).contains($0) ? String(Unicode.Scalar($0)) : "." }.joined()
            return numbers + String(repeating: " ", count: 49 - numbers.count) + characters
        }.joined(separator: "\n")
    }
}
