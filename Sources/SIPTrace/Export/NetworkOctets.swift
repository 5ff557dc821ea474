// Numbers as packets have them (network order) and as capture files of this machine have them (little-endian).

import SansIO

extension [UInt8] {
    mutating func append(network number: UInt16) { self += [UInt8(number >> 8), UInt8(truncatingIfNeeded: number)] }

    mutating func append(network number: UInt32) {
        append(network: UInt16(number >> 16))
        append(network: UInt16(truncatingIfNeeded: number))
    }

    mutating func append(network number: UInt64) {
        append(network: UInt32(number >> 32))
        append(network: UInt32(truncatingIfNeeded: number))
    }

    mutating func append(little number: UInt16) { self += [UInt8(truncatingIfNeeded: number), UInt8(number >> 8)] }

    mutating func append(little number: UInt32) {
        append(little: UInt16(truncatingIfNeeded: number))
        append(little: UInt16(number >> 16))
    }

    /// 4 or 16 octets.
    mutating func append(_ address: IPAddress) {
        if address.isIPv6 {
            append(network: address.high)
            append(network: address.low)
        } else {
            append(network: UInt32(truncatingIfNeeded: address.low))
        }
    }

    /// Puts a number in place of what stands there.
    mutating func replace(network number: UInt16, at offset: Int) {
        self[offset] = UInt8(number >> 8)
        self[offset + 1] = UInt8(truncatingIfNeeded: number)
    }

    mutating func replace(little number: UInt32, at offset: Int) {
        for i in 0..<4 { self[offset + i] = UInt8(truncatingIfNeeded: number >> UInt32(8 * i)) }
    }
}

extension ArraySlice<UInt8> {
    /// Numbers at an offset from the beginning of the slice; nil: it is too short.
    func network16(at offset: Int) -> UInt16? {
        guard offset >= 0, offset + 2 <= count else { return nil }
        return UInt16(self[startIndex + offset]) << 8 | UInt16(self[startIndex + offset + 1])
    }

    func little16(at offset: Int) -> UInt16? { network16(at: offset)?.byteSwapped }

    func little32(at offset: Int) -> UInt32? {
        guard let low = little16(at: offset), let high = little16(at: offset + 2) else { return nil }
        return UInt32(high) << 16 | UInt32(low)
    }

    /// The octets from an offset on; nil: there are not as many.
    func part(_ offset: Int, _ length: Int) -> ArraySlice<UInt8>? {
        guard offset >= 0, length >= 0, offset <= count - length else { return nil }
        return self[(startIndex + offset)..<(startIndex + offset + length)]
    }
}
