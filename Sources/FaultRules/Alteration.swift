// Messages that are not what they were.

import SIPMessage
import SansIO

enum Alteration {
    /// A message with header fields set, in the place of the first of that name or behind the others, and fields removed.
    /// What is no message stays as it is.
    static func settingHeaders(of octets: [UInt8], _ set: [FaultRule.Field], removing names: [String]) -> [UInt8] {
        var scanner = MessageScanner()
        let bytes = octets.span.bytes
        if case .blank = scanner.scan(bytes) { return octets }
        let message = scanner.message(bytes)
        guard message.fields.count > 0 else { return octets }
        var result = Array(octets[..<Int(message.shape.headerStart)])
        var end = Int(message.shape.headerStart)
        var unset = set
        for i in 0..<message.fields.count {
            let field = message.fields[i]
            end = Int(field.line.upper)
            if set.contains(where: { isNamed(field, $0.name, in: octets) }) {
                // All values of a name stand where its first stood.
                for new in unset where isNamed(field, new.name, in: octets) { result += line(new) }
                unset.removeAll { isNamed(field, $0.name, in: octets) }
            } else if !names.contains(where: { isNamed(field, $0, in: octets) }) {
                result += octets[Int(field.line.lower)..<end]
            }
        }
        for new in unset { result += line(new) }
        return result + octets[end...]
    }

    /// A message of which some octets became others.
    static func corrupting(_ octets: [UInt8], _ count: Int, using random: inout RandomSource) -> [UInt8] {
        var result = octets
        guard !result.isEmpty else { return result }
        for _ in 0..<count {
            let place = Int.random(in: result.indices, using: &random)
            result[place] ^= UInt8.random(in: 1...255, using: &random)
        }
        return result
    }

    private static func line(_ field: FaultRule.Field) -> [UInt8] { Array("\(field.name): \(field.value)\r\n".utf8) }

    /// Whether a field has this name, long or compact.
    private static func isNamed(_ field: HeaderField, _ name: String, in octets: [UInt8]) -> Bool {
        let wanted = Array(name.utf8)
        let known = HeaderName(wanted.span.bytes)
        if known != .other { return known == field.name }
        return octets[Int(field.nameSlice.lower)..<Int(field.nameSlice.upper)].elementsEqual(wanted) { ($0 | 0x20) == ($1 | 0x20) }
    }
}
