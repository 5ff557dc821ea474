// One pass over the bytes of a document (XML 1.0 §2, §3), with an explicit stack of open elements: the depth of a document
// costs heap up to the limit, never stack.

private let xmlNamespace = "http://www.w3.org/XML/1998/namespace"
private let declarationNamespace = "http://www.w3.org/2000/xmlns/"
/// More prefixes in force at one place are refused: each declaration copies those around it.
private let prefixLimit = 64

struct XMLReader {
    private let bytes: [UInt8]
    private let limits: XMLLimits
    private var offset = 0
    private var nodes = 0
    /// How far lines and columns were counted; moved on by `position(of:)` alone.
    private var counted = 0
    private var place = XMLPosition(line: 1, column: 1)

    init(bytes: [UInt8], limits: XMLLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    /// An element whose end tag has not come yet.
    private struct Open {
        var element: XMLElement
        var qualifiedName: String
        var namespaces: [String: String]
        var text = ""
    }

    // MARK: The document

    mutating func document() throws(XMLFault) -> XMLElement {
        try checkEncoding()
        try prolog()
        guard offset < bytes.count, bytes[offset] == UInt8(ascii: "<") else { throw fault("the document has no root element") }
        let root = try rootElement()
        try miscellaneous()
        guard offset == bytes.count else { throw fault("something follows the root element") }
        return root
    }

    /// UTF-8 alone, every character one that XML knows (§2.2), so that all that follows may trust the bytes.
    private mutating func checkEncoding() throws(XMLFault) {
        if bytes.starts(with: [0xFE, 0xFF]) || bytes.starts(with: [0xFF, 0xFE]) || bytes.prefix(4).contains(0) {
            throw fault("the document is not in UTF-8, the only encoding that is read")
        }
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            offset = 3
            counted = 3
        }
        var decoder = UTF8()
        var rest = bytes[offset...].makeIterator()
        var index = offset
        while true {
            switch decoder.decode(&rest) {
            case .emptyInput: return
            case .error: throw fault("the bytes here are not UTF-8", at: index)
            case .scalarValue(let scalar):
                guard isXMLCharacter(scalar) else {
                    throw fault("the character U+\(String(scalar.value, radix: 16, uppercase: true)) may not stand in XML", at: index)
                }
                index += UTF8.width(scalar)
            }
        }
    }

    /// §2.8: the XML declaration, comments, processing instructions. A document type declaration is refused.
    private mutating func prolog() throws(XMLFault) {
        if starts(with: "<?xml"), offset + 5 < bytes.count, isSpace(bytes[offset + 5]) { try declaration() }
        try miscellaneous()
        if starts(with: "<!DOCTYPE") { throw fault("a document type declaration is not taken") }
    }

    private mutating func declaration() throws(XMLFault) {
        let start = offset
        offset += 5
        let names = ["version", "encoding", "standalone"]
        var next = 0
        while true {
            let hadSpace = skipSpace()
            if starts(with: "?>") { break }
            let at = offset
            let name = try self.name("an attribute")
            guard hadSpace, let place = names[next...].firstIndex(of: name) else {
                throw fault("'\(name)' may not stand here in an XML declaration", at: at)
            }
            next = place + 1
            let value = try attributeValue()
            if name == "version", !value.hasPrefix("1.") { throw fault("version '\(value)' of XML is not read", at: at) }
            if name == "encoding", !["UTF-8", "UTF8", "US-ASCII"].contains(value.uppercased()) {
                throw fault("the encoding '\(value)' is not read; only UTF-8 is", at: at)
            }
        }
        guard next > 0 else { throw fault("an XML declaration names its version", at: start) }
        offset += 2
    }

    /// White space, comments and processing instructions.
    private mutating func miscellaneous() throws(XMLFault) {
        while true {
            skipSpace()
            if starts(with: "<!--") {
                try comment()
            } else if starts(with: "<?") {
                try processingInstruction()
            } else {
                return
            }
        }
    }

    private mutating func comment() throws(XMLFault) {
        let start = offset
        offset += 4
        guard let end = find("--") else { throw fault("this comment does not end", at: start) }
        guard end + 2 < bytes.count, bytes[end + 2] == UInt8(ascii: ">") else { throw fault("'--' may not stand in a comment", at: end) }
        offset = end + 3
    }

    private mutating func processingInstruction() throws(XMLFault) {
        let start = offset
        offset += 2
        let target = try name("a processing instruction")
        if target.lowercased() == "xml" { throw fault("an XML declaration stands at the very start", at: start) }
        guard starts(with: "?>") || (offset < bytes.count && isSpace(bytes[offset])), let end = find("?>") else {
            throw fault("this processing instruction does not end", at: start)
        }
        offset = end + 2
    }

    // MARK: Elements

    private mutating func rootElement() throws(XMLFault) -> XMLElement {
        var stack: [Open] = []
        while true {
            guard offset < bytes.count else {
                guard let open = stack.last else { throw fault("the document has no root element") }
                throw fault("the document ends before '</\(open.qualifiedName)>'")
            }
            if bytes[offset] != UInt8(ascii: "<") {
                try characters(into: &stack[stack.count - 1].text)
            } else if starts(with: "</") {
                if let root = try endTag(&stack) { return root }
            } else if starts(with: "<!--") {
                try comment()
            } else if starts(with: "<![CDATA[") {
                try section(into: &stack[stack.count - 1].text)
            } else if starts(with: "<?") {
                try processingInstruction()
            } else if starts(with: "<!") {
                throw fault("a declaration may not stand here")
            } else if let root = try startTag(&stack) {
                return root
            }
        }
    }

    /// A start tag or an empty-element tag (§3.1); the root, if the tag is the whole document.
    private mutating func startTag(_ stack: inout [Open]) throws(XMLFault) -> XMLElement? {
        let start = offset
        let position = position(of: start)
        offset += 1
        let qualifiedName = try name("an element")
        let raw = try attributes()
        guard stack.count < limits.depth else { throw fault("elements are nested deeper than \(limits.depth)", at: start) }
        if !stack.isEmpty { try closeText(&stack[stack.count - 1]) }

        let scope = try namespaces(declaredIn: raw, within: stack.last?.namespaces ?? ["xml": xmlNamespace, "": ""])
        let (prefix, local) = try split(qualifiedName, at: start + 1)
        guard let namespace = scope[prefix] else { throw fault("the prefix '\(prefix)' is not declared", at: start + 1) }
        let attributes = try resolved(raw, in: scope)
        try count(1 + attributes.count, at: start)
        let element = XMLElement(name: local, namespace: namespace, attributes: attributes, position: position)

        if starts(with: "/>") {
            offset += 2
            return add(element, to: &stack)
        }
        guard starts(with: ">") else { throw fault("the tag '<\(qualifiedName)' does not end with '>'") }
        offset += 1
        stack.append(Open(element: element, qualifiedName: qualifiedName, namespaces: scope))
        return nil
    }

    /// An end tag; the root, if it is the root's.
    private mutating func endTag(_ stack: inout [Open]) throws(XMLFault) -> XMLElement? {
        let start = offset
        offset += 2
        let name = try name("an element")
        skipSpace()
        guard starts(with: ">") else { throw fault("the tag '</\(name)' does not end with '>'") }
        offset += 1
        guard var open = stack.popLast() else { throw fault("'</\(name)>' closes nothing", at: start) }
        guard open.qualifiedName == name else { throw fault("'<\(open.qualifiedName)>' is closed by '</\(name)>'", at: start) }
        try closeText(&open)
        return add(open.element, to: &stack)
    }

    private func add(_ element: XMLElement, to stack: inout [Open]) -> XMLElement? {
        guard !stack.isEmpty else { return element }
        stack[stack.count - 1].element.children.append(.element(element))
        return nil
    }

    private mutating func closeText(_ open: inout Open) throws(XMLFault) {
        guard !open.text.isEmpty else { return }
        try count(1, at: offset)
        open.element.children.append(.text(open.text))
        open.text = ""
    }

    private mutating func count(_ more: Int, at offset: Int) throws(XMLFault) {
        nodes += more
        guard nodes <= limits.nodes else {
            throw fault("the document has more than \(limits.nodes) elements, attributes and texts", at: offset)
        }
    }

    // MARK: Attributes and namespaces

    private struct RawAttribute {
        var name: String
        var value: String
        var offset: Int
    }

    private mutating func attributes() throws(XMLFault) -> [RawAttribute] {
        var attributes: [RawAttribute] = []
        while true {
            let hadSpace = skipSpace()
            guard offset < bytes.count, bytes[offset] != UInt8(ascii: ">"), bytes[offset] != UInt8(ascii: "/") else { return attributes }
            let start = offset
            let name = try self.name("an attribute")
            guard hadSpace else { throw fault("white space is missing before '\(name)'", at: start) }
            attributes.append(RawAttribute(name: name, value: try attributeValue(), offset: start))
            guard nodes + attributes.count <= limits.nodes else {
                try count(attributes.count, at: start)
                return attributes
            }
        }
    }

    private mutating func attributeValue() throws(XMLFault) -> String {
        skipSpace()
        guard starts(with: "=") else { throw fault("an attribute needs '=' and a value") }
        offset += 1
        skipSpace()
        guard offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") || bytes[offset] == UInt8(ascii: "'") else {
            throw fault("an attribute's value stands in quotes")
        }
        let start = offset
        let quote = bytes[offset]
        offset += 1
        var value: [UInt8] = []
        while offset < bytes.count, bytes[offset] != quote {
            switch bytes[offset] {
            case UInt8(ascii: "<"): throw fault("'<' may not stand in an attribute's value; write &lt;")
            case UInt8(ascii: "&"): value += try reference()
            case UInt8(ascii: "\r"):
                if offset + 1 >= bytes.count || bytes[offset + 1] != UInt8(ascii: "\n") { value.append(UInt8(ascii: " ")) }
                offset += 1
            case UInt8(ascii: "\n"), UInt8(ascii: "\t"):
                value.append(UInt8(ascii: " "))
                offset += 1
            case let byte:
                value.append(byte)
                offset += 1
            }
        }
        guard offset < bytes.count else { throw fault("this attribute's value does not end", at: start) }
        offset += 1
        return String(decoding: value, as: UTF8.self)
    }

    /// Namespaces in XML 1.0 §3: the declarations in force within a tag.
    private mutating func namespaces(
        declaredIn attributes: [RawAttribute], within outer: [String: String]
    ) throws(XMLFault) -> [String: String] {
        var scope = outer
        for attribute in attributes {
            if attribute.name == "xmlns" {
                scope[""] = attribute.value
            } else if attribute.name.hasPrefix("xmlns:") {
                let prefix = String(attribute.name.dropFirst(6))
                guard !prefix.isEmpty, !prefix.contains(":"), prefix != "xmlns", (prefix == "xml") == (attribute.value == xmlNamespace),
                    !attribute.value.isEmpty
                else { throw fault("'\(attribute.name)' may not be declared so", at: attribute.offset) }
                scope[prefix] = attribute.value
                guard scope.count <= prefixLimit else {
                    throw fault("more than \(prefixLimit) prefixes are declared here", at: attribute.offset)
                }
            }
        }
        return scope
    }

    private mutating func resolved(_ attributes: [RawAttribute], in scope: [String: String]) throws(XMLFault) -> [XMLAttribute] {
        var resolved: [XMLAttribute] = []
        var seen: Set<[String]> = []
        for attribute in attributes {
            let isDeclaration = attribute.name == "xmlns" || attribute.name.hasPrefix("xmlns:")
            var key = [declarationNamespace, attribute.name]
            if !isDeclaration {
                let (prefix, local) = try split(attribute.name, at: attribute.offset)
                guard let namespace = prefix.isEmpty ? "" : scope[prefix] else {
                    throw fault("the prefix '\(prefix)' is not declared", at: attribute.offset)
                }
                key = [namespace, local]
                resolved.append(XMLAttribute(name: local, namespace: namespace, value: attribute.value))
            }
            guard seen.insert(key).inserted else {
                throw fault("the attribute '\(attribute.name)' stands here twice", at: attribute.offset)
            }
        }
        return resolved
    }

    private mutating func split(_ name: String, at offset: Int) throws(XMLFault) -> (prefix: String, local: String) {
        guard let colon = name.firstIndex(of: ":") else { return ("", name) }
        let local = name[name.index(after: colon)...]
        guard colon != name.startIndex, !local.isEmpty, !local.contains(":") else { throw fault("'\(name)' is not a name", at: offset) }
        return (String(name[..<colon]), String(local))
    }

    // MARK: Text

    /// Character data up to the next markup (§2.4), line ends as LF (§2.11).
    private mutating func characters(into text: inout String) throws(XMLFault) {
        var data: [UInt8] = []
        while offset < bytes.count, bytes[offset] != UInt8(ascii: "<") {
            if bytes[offset] == UInt8(ascii: "&") {
                data += try reference()
            } else {
                if starts(with: "]]>") { throw fault("']]>' may not stand in text; write ]]&gt;") }
                append(bytes[offset], to: &data)
            }
        }
        text += String(decoding: data, as: UTF8.self)
    }

    private mutating func section(into text: inout String) throws(XMLFault) {
        let start = offset
        offset += 9
        guard let end = find("]]>") else { throw fault("this CDATA section does not end", at: start) }
        var data: [UInt8] = []
        while offset < end { append(bytes[offset], to: &data) }
        offset = end + 3
        text += String(decoding: data, as: UTF8.self)
    }

    private mutating func append(_ byte: UInt8, to data: inout [UInt8]) {
        offset += 1
        guard byte == UInt8(ascii: "\r") else { return data.append(byte) }
        if offset >= bytes.count || bytes[offset] != UInt8(ascii: "\n") { data.append(UInt8(ascii: "\n")) }
    }

    /// A character reference or one of the five entities that need no declaration (§4.1, §4.6).
    private mutating func reference() throws(XMLFault) -> [UInt8] {
        let start = offset
        guard let end = bytes[start...].prefix(12).firstIndex(of: UInt8(ascii: ";")) else {
            throw fault("'&' begins no reference; write &amp;", at: start)
        }
        offset = end + 1
        let name = String(decoding: bytes[(start + 1)..<end], as: UTF8.self)
        switch name {
        case "lt": return [UInt8(ascii: "<")]
        case "gt": return [UInt8(ascii: ">")]
        case "amp": return [UInt8(ascii: "&")]
        case "quot": return [UInt8(ascii: "\"")]
        case "apos": return [UInt8(ascii: "'")]
        default: break
        }
        guard name.hasPrefix("#") else { throw fault("the entity '&\(name);' is not declared", at: start) }
        let digits = name.hasPrefix("#x") ? name.dropFirst(2) : name.dropFirst()
        guard let first = digits.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-"),
            let value = UInt32(digits, radix: name.hasPrefix("#x") ? 16 : 10), let scalar = Unicode.Scalar(value), isXMLCharacter(scalar)
        else { throw fault("'&\(name);' is no character of XML", at: start) }
        return Array(String(Character(scalar)).utf8)
    }

    // MARK: Bytes

    /// A name (§2.3), colons included. Beyond ASCII every character is taken; the schemas that are read use none there.
    private mutating func name(_ what: String) throws(XMLFault) -> String {
        let start = offset
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: ":"),
                0x80...:
                offset += 1
                continue
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
                guard offset > start else { break }
                offset += 1
                continue
            default: break
            }
            break
        }
        guard offset > start else { throw fault("the name of \(what) is missing", at: start) }
        return String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    @discardableResult private mutating func skipSpace() -> Bool {
        let start = offset
        while offset < bytes.count, isSpace(bytes[offset]) { offset += 1 }
        return offset > start
    }

    private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x9 || byte == 0xA || byte == 0xD }

    private func starts(with token: StaticString) -> Bool { matches(token, at: offset) }

    private func find(_ token: StaticString) -> Int? {
        var index = offset
        while index + token.utf8CodeUnitCount <= bytes.count {
            if matches(token, at: index) { return index }
            index += 1
        }
        return nil
    }

    private func matches(_ token: StaticString, at index: Int) -> Bool {
        let count = token.utf8CodeUnitCount
        guard index + count <= bytes.count else { return false }
        return token.withUTF8Buffer { buffer in
            for place in 0..<count where bytes[index + place] != buffer[place] { return false }
            return true
        }
    }

    private mutating func fault(_ problem: String, at index: Int? = nil) -> XMLFault {
        XMLFault(problem, at: position(of: index ?? offset))
    }

    /// Lines end at LF, CR LF or CR. Asked for places in rising order the document is counted once; for an earlier place anew.
    private mutating func position(of index: Int) -> XMLPosition {
        if index < counted {
            place = XMLPosition(line: 1, column: 1)
            counted = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        }
        while counted < min(index, bytes.count) {
            let byte = bytes[counted]
            counted += 1
            let isPair = byte == UInt8(ascii: "\r") && counted < bytes.count && bytes[counted] == UInt8(ascii: "\n")
            if byte == UInt8(ascii: "\n") || (byte == UInt8(ascii: "\r") && !isPair) {
                place = XMLPosition(line: place.line + 1, column: 1)
            } else if byte & 0xC0 != 0x80 {
                place.column += 1
            }
        }
        return place
    }
}
