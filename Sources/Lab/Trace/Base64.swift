// Octets as letters (RFC 4648 §4).

enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let padding = UInt8(ascii: "=")

    static func encoded(_ octets: [UInt8]) -> String {
        var letters: [UInt8] = []
        for start in stride(from: 0, to: octets.count, by: 3) {
            let group = octets[start..<min(start + 3, octets.count)]
            let bits = group.reduce(0) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for place in 0..<4 {
                letters.append(place <= group.count ? alphabet[Int(bits >> UInt32(18 - 6 * place)) & 63] : padding)
            }
        }
        return String(decoding: letters, as: UTF8.self)
    }

    /// nil: it is no such text.
    static func decoded(_ text: String) -> [UInt8]? {
        let letters = Array(text.utf8)
        guard letters.count % 4 == 0 else { return nil }
        var octets: [UInt8] = []
        for start in stride(from: 0, to: letters.count, by: 4) {
            let group = letters[start..<(start + 4)]
            let filled = group.prefix { $0 != padding }
            guard filled.count >= 2, filled.count == 4 || start + 4 == letters.count,
                group.dropFirst(filled.count).allSatisfy({ $0 == padding })
            else { return nil }
            var bits: UInt32 = 0
            for letter in filled {
                guard let value = alphabet.firstIndex(of: letter) else { return nil }
                bits = bits << 6 | UInt32(value)
            }
            bits <<= UInt32(6 * (4 - filled.count))
            for place in 0..<(filled.count - 1) { octets.append(UInt8(truncatingIfNeeded: bits >> UInt32(16 - 8 * place))) }
        }
        return octets
    }
}
