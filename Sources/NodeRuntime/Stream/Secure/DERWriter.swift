// As much of DER (ITU-T X.690 §8, §10) as a certificate needs: a value is a tag, a length and octets.

import SansIO

/// Writes values of ASN.1.
enum DER {
    static func sequence(_ parts: [UInt8]...) -> [UInt8] { value(0x30, parts.flatMap { $0 }) }
    static func set(_ part: [UInt8]) -> [UInt8] { value(0x31, part) }
    static func octetString(_ octets: [UInt8]) -> [UInt8] { value(0x04, octets) }
    /// A whole number of octets.
    static func bitString(_ octets: [UInt8]) -> [UInt8] { value(0x03, [0] + octets) }
    static func utf8String(_ text: String) -> [UInt8] { value(0x0C, Array(text.utf8)) }
    /// Within `[number]`, which is part of the type (a constructed value).
    static func explicit(_ number: UInt8, _ part: [UInt8]) -> [UInt8] { value(0xA0 | number, part) }
    /// With the tag `[number]` in place of its own (a primitive value).
    static func implicit(_ number: UInt8, _ octets: [UInt8]) -> [UInt8] { value(0x80 | number, octets) }

    /// A number that is not negative, from its octets in network order.
    static func integer(_ octets: [UInt8]) -> [UInt8] {
        let digits = octets.drop { $0 == 0 }
        return value(0x02, (digits.first ?? 0x80) >= 0x80 ? [0] + digits : Array(digits))
    }

    /// `1.2.840.10045.4.3.2`: base 128, the first two numbers in one.
    static func objectIdentifier(_ numbers: UInt32...) -> [UInt8] {
        let joined = [numbers[0] * 40 + numbers[1]] + numbers.dropFirst(2)
        return value(0x06, joined.flatMap(base128))
    }

    /// UTCTime to the end of 2049, then GeneralizedTime (RFC 5280 §4.1.2.5).
    static func time(_ time: WallTime) -> [UInt8] {
        let date = CivilDate(time)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let isShort = 1950..<2050 ~= date.year
        let text =
            (isShort ? two(date.year % 100) : "\(date.year)") + two(date.month) + two(date.day) + two(date.hour) + two(date.minute)
            + two(date.second) + "Z"
        return value(isShort ? 0x17 : 0x18, Array(text.utf8))
    }

    private static func base128(_ number: UInt32) -> [UInt8] {
        var octets = [UInt8(number & 0x7F)]
        var rest = number >> 7
        while rest > 0 {
            octets.insert(UInt8(rest & 0x7F) | 0x80, at: 0)
            rest >>= 7
        }
        return octets
    }

    private static func value(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        var rest = content.count
        while rest > 0 {
            length.insert(UInt8(truncatingIfNeeded: rest), at: 0)
            rest >>= 8
        }
        let header = content.count < 0x80 ? [UInt8(content.count)] : [0x80 | UInt8(length.count)] + length
        return [tag] + header + content
    }
}

/// Writes PEM (RFC 7468).
enum PEM {
    static func text(_ label: String, _ octets: [UInt8]) -> String {
        let digits = base64(octets)
        let lines = stride(from: 0, to: digits.count, by: 64).map {
            String(decoding: digits[$0..<min($0 + 64, digits.count)], as: UTF8.self)
        }
        return "-----BEGIN \(label)-----\n" + lines.joined(separator: "\n") + "\n-----END \(label)-----\n"
    }

    /// RFC 4648 §4.
    private static func base64(_ octets: [UInt8]) -> [UInt8] {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var digits: [UInt8] = []
        for start in stride(from: 0, to: octets.count, by: 3) {
            let group = octets[start..<min(start + 3, octets.count)]
            let bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for place in 0..<4 {
                digits.append(place <= group.count ? alphabet[Int(bits >> UInt32(18 - 6 * place) & 0x3F)] : UInt8(ascii: "="))
            }
        }
        return digits
    }
}
