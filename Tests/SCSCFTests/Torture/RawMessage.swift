/// A message as its octets, taken apart by lines and by nothing else, so that two can be compared octet by octet.
struct RawMessage {
    struct Field: Equatable {
        /// The long name in small letters.
        var name: String
        /// The whole field with its line ends.
        var line: [UInt8]
        /// What is behind the colon, without white space at its ends.
        var value: [UInt8]
    }

    var startLine: [UInt8] = []
    var fields: [Field] = []
    var body: [UInt8] = []

    init(_ octets: [UInt8]) {
        var lines: [[UInt8]] = []
        var start = 0
        var i = 0
        while i + 1 < octets.count {
            guard octets[i] == 0x0D, octets[i + 1] == 0x0A else {
                i += 1
                continue
            }
            let isEmpty = i == start
            i += 2
            if isEmpty { break }
            let line = Array(octets[start..<i])
            if let first = line.first, first == 0x20 || first == 0x09, lines.count > 1 {
                lines[lines.count - 1] += line
            } else {
                lines.append(line)
            }
            start = i
        }
        body = Array(octets[i...])
        startLine = lines.first ?? []
        fields = lines.dropFirst().map(RawMessage.field)
    }

    private static func field(_ line: [UInt8]) -> Field {
        let colon = line.firstIndex(of: 0x3A) ?? line.count
        let name = String(decoding: RawMessage.trimmed(line[..<colon]), as: UTF8.self).lowercased()
        let long = [
            "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition", "e": "content-encoding",
            "f": "from", "i": "call-id", "j": "reject-contact", "k": "supported", "l": "content-length", "m": "contact", "o": "event",
            "r": "refer-to", "s": "subject", "t": "to", "u": "allow-events", "v": "via", "x": "session-expires", "y": "identity",
        ]
        return Field(name: long[name] ?? name, line: line, value: trimmed(line.dropFirst(colon + 1)))
    }

    static func trimmed(_ octets: some Collection<UInt8>) -> [UInt8] {
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D || $0 == 0x0A }
        var result = Array(octets.drop(while: isSpace))
        while let last = result.last, isSpace(last) { result.removeLast() }
        return result
    }

    func all(_ name: String) -> [Field] { fields.filter { $0.name == name } }

    /// The fields but those of some names, octet by octet.
    func lines(except names: Set<String>) -> [[UInt8]] { fields.filter { !names.contains($0.name) }.map(\.line) }

    /// The values of a list header, over lines and commas outside of quotes and angle brackets.
    func values(_ name: String) -> [[UInt8]] {
        all(name).flatMap { field in
            var values: [[UInt8]] = [[]]
            var isQuoted = false
            var isEscaped = false
            var isBracketed = false
            for octet in field.value {
                switch octet {
                case _ where isEscaped: isEscaped = false
                case 0x5C where isQuoted: isEscaped = true
                case 0x22: isQuoted.toggle()
                case 0x3C where !isQuoted: isBracketed = true
                case 0x3E where !isQuoted: isBracketed = false
                case 0x2C where !isQuoted && !isBracketed:
                    values.append([])
                    continue
                default: break
                }
                values[values.count - 1].append(octet)
            }
            return values.map { RawMessage.trimmed($0) }
        }
    }
}

extension [UInt8] {
    /// Text of which each scalar is one octet, and whose line ends become those of the wire.
    init(wire text: String) {
        self = []
        for scalar in text.unicodeScalars {
            if scalar == "\n" { append(0x0D) }
            append(UInt8(scalar.value))
        }
    }
}
