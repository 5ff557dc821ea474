// Base64 (RFC 4648 §4), in which AKA carries its octets.

import SansIO

extension OctetBuffer {
    /// Writes octets in base64, with `=` at the end where it belongs.
    mutating func append(base64 bytes: RawSpan) {
        for start in stride(from: 0, to: bytes.byteCount, by: 3) {
            let count = min(3, bytes.byteCount - start)
            var group: UInt32 = 0
            for i in 0..<3 { group = group << 8 | (i < count ? UInt32(bytes[start + i]) : 0) }
            for i in 0..<4 { append(byte: i <= count ? UInt8(base64: group >> UInt32(18 - 6 * i) & 63) : 0x3D) }
        }
    }

    /// Writes what a text in base64 stands for.
    ///
    /// - Returns: false if it is not base64; then some octets may have been written.
    mutating func append(decoding text: RawSpan) -> Bool {
        guard text.byteCount % 4 == 0 else { return false }
        for start in stride(from: 0, to: text.byteCount, by: 4) {
            let isLast = start + 4 == text.byteCount
            var padding = 0
            if isLast, text[start + 3] == 0x3D { padding = text[start + 2] == 0x3D ? 2 : 1 }
            var group: UInt32 = 0
            for i in 0..<4 {
                guard i < 4 - padding else {
                    group <<= 6
                    continue
                }
                guard let value = text[start + i].base64Value else { return false }
                group = group << 6 | value
            }
            for i in 0..<(3 - padding) { append(byte: UInt8(truncatingIfNeeded: group >> UInt32(16 - 8 * i))) }
        }
        return true
    }
}

extension UInt8 {
    fileprivate init(base64 value: UInt32) {
        let small = UInt8(truncatingIfNeeded: value)
        switch small {
        case 0..<26: self = 0x41 + small
        case 26..<52: self = 0x61 + small - 26
        case 52..<62: self = 0x30 + small - 52
        default: self = small == 62 ? 0x2B : 0x2F
        }
    }

    fileprivate var base64Value: UInt32? {
        switch self {
        case 0x41...0x5A: UInt32(self) - 0x41
        case 0x61...0x7A: UInt32(self) - 0x61 + 26
        case 0x30...0x39: UInt32(self) - 0x30 + 52
        case 0x2B: 62
        case 0x2F: 63
        default: nil
        }
    }
}
