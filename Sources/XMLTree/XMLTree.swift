// The entry of the module: bytes to a tree, and text to what may stand in a document.

/// Reads XML 1.0 with namespaces. Documents come from the network and from exports of other systems, so what makes
/// XML dangerous is refused: document type declarations, and with them entities of any kind; encodings other than
/// UTF-8; depth and size without bound.
///
/// The module reads the bytes itself. FoundationXML's parser on Linux reports success for documents that are not well
/// formed, passes over document type declarations, and gives the place where a tag ends, not where it begins.
public enum XMLTree {
    /// The root element of a document.
    public static func parse(_ bytes: [UInt8], limits: XMLLimits = XMLLimits()) throws(XMLFault) -> XMLElement {
        let start = XMLPosition(line: 1, column: 1)
        guard bytes.count <= limits.bytes else {
            throw XMLFault("the document has \(bytes.count) bytes, more than the limit of \(limits.bytes)", at: start)
        }
        var reader = XMLReader(bytes: bytes, limits: limits)
        return try reader.document()
    }

    /// Text as it may stand in an element or between the quotes of an attribute. Characters that XML cannot carry
    /// (most control characters) become U+FFFD.
    public static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "\r": escaped += "&#13;"
            default: escaped.unicodeScalars.append(isXMLCharacter(scalar) ? scalar : "\u{FFFD}")
            }
        }
        return escaped
    }
}

/// The production Char of XML 1.0 §2.2.
func isXMLCharacter(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x9, 0xA, 0xD, 0x20...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFF: true
    default: false
    }
}
