// STUN, as far as a keep-alive over UDP needs it (RFC 5389, RFC 5626 §4.4.2): a Binding request is answered with the address
// that it came from. Nothing is remembered, and no credentials are asked for (RFC 5626 §8).

import SansIO

enum STUN {
    /// What is below it begins with two zero bits, as all of STUN does (RFC 5389 §6).
    static let firstOctetLimit: UInt8 = 0x40

    enum Outcome {
        case answered
        /// An indication, or a response that nobody waits for: there is nothing to be said.
        case silent
        case malformed
    }

    private static let magicCookie: UInt32 = 0x2112_A442
    private static let headerSize = 20
    private static let bindingRequest: UInt16 = 0x0001
    /// The bits that say request (none of them), indication, success or error (both) (§6).
    private static let classBits: UInt16 = 0x0110
    private static let bindingSuccess: UInt16 = 0x0101
    private static let xorMappedAddress: UInt16 = 0x0020
    private static let errorCode: UInt16 = 0x0009
    private static let unknownAttributes: UInt16 = 0x000A
    private static let fingerprint: UInt16 = 0x8028
    private static let fingerprintMask: UInt32 = 0x5354_554E
    /// USERNAME, MESSAGE-INTEGRITY, REALM, NONCE: known, and not looked at.
    private static let credentials: [UInt16] = [0x0006, 0x0008, 0x0014, 0x0015]

    /// Whether a datagram is STUN and not SIP: by its first two bits and the magic cookie.
    static func isSTUN(_ octets: RawSpan) -> Bool {
        octets.byteCount >= headerSize && octets[0] < firstOctetLimit && octets.word(4) == magicCookie
    }

    /// Writes the answer to a message of STUN, if there is one.
    static func answer(_ message: RawSpan, from source: Endpoint, into bytes: inout OctetBuffer) -> Outcome {
        let type = message.half(0)
        guard let attributes = Attributes(message) else { return .malformed }
        guard type & classBits == 0 else { return .silent }
        let start = bytes.count
        if type != bindingRequest {
            beginMessage(type | classBits, answering: message, into: &bytes)
            appendError(400, "Bad Request", into: &bytes)
        } else if !attributes.unknown.isEmpty {
            beginMessage(type | classBits, answering: message, into: &bytes)
            appendError(420, "Unknown Attribute", into: &bytes)
            beginAttribute(unknownAttributes, count: attributes.unknown.count * 2, into: &bytes)
            for attribute in attributes.unknown { bytes.appendHalf(attribute) }
            if attributes.unknown.count % 2 == 1 { bytes.appendHalf(0) }
        } else {
            beginMessage(bindingSuccess, answering: message, into: &bytes)
            appendMappedAddress(source, of: message, into: &bytes)
        }
        finishMessage(from: start, withFingerprint: attributes.hasFingerprint, into: &bytes)
        return .answered
    }

    // MARK: Reading

    /// What the attributes of a message come to; nil: it is malformed.
    private struct Attributes {
        /// Those that have to be understood and are not, each once (§7.3.1).
        var unknown: [UInt16] = []
        var hasFingerprint = false

        init?(_ message: RawSpan) {
            guard message.half(2) & 3 == 0, Int(message.half(2)) == message.byteCount - headerSize else { return nil }
            var position = headerSize
            while position < message.byteCount {
                // The fingerprint is the last (§15.5).
                guard !hasFingerprint, position + 4 <= message.byteCount else { return nil }
                let type = message.half(position)
                let count = Int(message.half(position + 2))
                let end = position + 4 + (count + 3) & ~3
                guard end <= message.byteCount else { return nil }
                if type == fingerprint {
                    guard count == 4, message.word(position + 4) == CRC32.of(message.part(0, position)) ^ fingerprintMask else {
                        return nil
                    }
                    hasFingerprint = true
                } else if type < 0x8000, !credentials.contains(type), !unknown.contains(type), unknown.count < 16 {
                    unknown.append(type)
                }
                position = end
            }
        }
    }

    // MARK: Writing

    /// The length is put in at the end.
    private static func beginMessage(_ type: UInt16, answering request: RawSpan, into bytes: inout OctetBuffer) {
        bytes.appendHalf(type)
        bytes.appendHalf(0)
        bytes.append(request.part(4, headerSize - 4))
    }

    private static func finishMessage(from start: Int, withFingerprint: Bool, into bytes: inout OctetBuffer) {
        let length = bytes.count - start - headerSize + (withFingerprint ? 8 : 0)
        let octets = [UInt8(length >> 8), UInt8(length & 0xFF)]
        bytes.overwrite(at: start + 2, with: octets.span.bytes)
        guard withFingerprint else { return }
        let checksum = CRC32.of(bytes.bytes(from: start, count: bytes.count - start)) ^ fingerprintMask
        beginAttribute(fingerprint, count: 4, into: &bytes)
        bytes.appendWord(checksum)
    }

    private static func beginAttribute(_ type: UInt16, count: Int, into bytes: inout OctetBuffer) {
        bytes.appendHalf(type)
        bytes.appendHalf(UInt16(count))
    }

    /// XOR-MAPPED-ADDRESS (§15.2): hidden from what rewrites addresses on the way.
    private static func appendMappedAddress(_ source: Endpoint, of request: RawSpan, into bytes: inout OctetBuffer) {
        let octets = source.address.octets
        beginAttribute(xorMappedAddress, count: 4 + octets.count, into: &bytes)
        bytes.appendHalf(source.address.isIPv6 ? 2 : 1)
        bytes.appendHalf(source.port ^ UInt16(magicCookie >> 16))
        // The cookie, and for IPv6 the transaction behind it.
        for (place, octet) in octets.enumerated() { bytes.append(byte: octet ^ request[4 + place]) }
    }

    /// ERROR-CODE (§15.6).
    private static func appendError(_ code: Int, _ reason: StaticString, into bytes: inout OctetBuffer) {
        let count = reason.utf8CodeUnitCount
        beginAttribute(errorCode, count: 4 + count, into: &bytes)
        bytes.appendHalf(0)
        bytes.append(byte: UInt8(code / 100))
        bytes.append(byte: UInt8(code % 100))
        bytes.append(reason)
        for _ in 0..<((4 - count & 3) & 3) { bytes.append(byte: 0) }
    }
}

/// The checksum of ITU-T V.42, which the fingerprint is made of.
private enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { start in
        (0..<8).reduce(UInt32(start)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }

    static func of(_ octets: RawSpan) -> UInt32 {
        var value: UInt32 = .max
        for i in 0..<octets.byteCount { value = table[Int(UInt8(truncatingIfNeeded: value) ^ octets[i])] ^ value >> 8 }
        return ~value
    }
}

// MARK: Numbers in network order

extension RawSpan {
    fileprivate func half(_ position: Int) -> UInt16 { UInt16(self[position]) << 8 | UInt16(self[position + 1]) }
    fileprivate func word(_ position: Int) -> UInt32 { UInt32(half(position)) << 16 | UInt32(half(position + 2)) }
}

extension OctetBuffer {
    fileprivate mutating func appendHalf(_ number: UInt16) {
        append(byte: UInt8(number >> 8))
        append(byte: UInt8(truncatingIfNeeded: number))
    }

    fileprivate mutating func appendWord(_ number: UInt32) {
        appendHalf(UInt16(number >> 16))
        appendHalf(UInt16(truncatingIfNeeded: number))
    }
}
