// Globally routable user agent URIs (RFC 5627): the address of one instance of a user among the user's contacts.
//
//   public     sip:alice@home1.test;gr=urn:uuid:f81d4fae-...     the address-of-record and the instance
//   temporary  sip:tgruu.0a1b...@home1.test;gr                   tells nobody whose it is
//
// Neither needs a table. A temporary one holds subscriber, identity and CSeq of its REGISTER under a pad, and a proof of
// them, of the instance, and of the Call-ID and CSeq with which the binding began. So it holds as long as the binding is
// refreshed under one Call-ID, and all of a binding are void together (§3.2, §5.4; made as appendix A.2 proposes).

public import SIPMessage
public import SansIO

/// Makes temporary GRUUs and knows them again: a secret, the same for all shards of a node.
public struct GRUUFactory: BitwiseCopyable, Sendable {
    private let secret: HashSecret

    public init(secret: HashSecret) { self.secret = secret }

    /// What a binding's temporary GRUU of one identity holds.
    func temporary(_ binding: borrowing BindingView, identity: UInt16, sequence: UInt32) -> TemporaryGRUU {
        var hasher = KeyHasher(secret)
        hasher.combine(UInt64(binding.subscriber) << 32 | UInt64(sequence))
        hasher.combine(UInt64(identity) << 32 | UInt64(binding.firstSequence))
        hasher.combine(binding.instance)
        hasher.combine(binding.callID)
        return TemporaryGRUU(subscriber: binding.subscriber, identity: identity, sequence: sequence, proof: hasher.finish().low)
    }

    /// The user part of a temporary GRUU, taken apart. Whether it was ever given out only its binding can tell
    /// (`Registrar.instance`). Nil: it is not of the form.
    public func temporary(_ user: RawSpan) -> TemporaryGRUU? {
        guard user.isTemporaryGRUU, let highest = user.hexadecimalWord(at: 6), let high = user.hexadecimalWord(at: 14),
            let identity = user.hexadecimalWord(at: 22), let proofHigh = user.hexadecimalWord(at: 30),
            let proofLow = user.hexadecimalWord(at: 38)
        else { return nil }
        let proof = UInt64(proofHigh) << 32 | UInt64(proofLow)
        let pad = pad(of: proof)
        let word = (UInt64(highest) << 32 | UInt64(high)) ^ pad.low
        guard let number = UInt16(exactly: UInt64(identity) ^ pad.high & 0xFFFF_FFFF) else { return nil }
        return TemporaryGRUU(
            subscriber: UInt32(truncatingIfNeeded: word >> 32), identity: number, sequence: UInt32(truncatingIfNeeded: word), proof: proof)
    }

    fileprivate func append(_ gruu: TemporaryGRUU, into buffer: inout OctetBuffer) {
        let pad = pad(of: gruu.proof)
        buffer.append("tgruu.")
        buffer.appendHex((UInt64(gruu.subscriber) << 32 | UInt64(gruu.sequence)) ^ pad.low)
        buffer.appendHex(UInt64(gruu.identity) ^ pad.high & 0xFFFF_FFFF, digits: 8)
        buffer.appendHex(gruu.proof)
    }

    /// Another hash than the proof's own: that one is of more words.
    private func pad(of proof: UInt64) -> KeyHash {
        var hasher = KeyHasher(secret)
        hasher.combine(proof)
        return hasher.finish()
    }
}

/// The content of a temporary GRUU, proved or not.
public struct TemporaryGRUU: BitwiseCopyable, Hashable, Sendable {
    public var subscriber: UInt32
    /// The number of the address-of-record among the subscriber's identities.
    public var identity: UInt16
    /// CSeq of the REGISTER in whose answer it was given.
    var sequence: UInt32
    var proof: UInt64
}

extension Registrar {
    /// The instance that a GRUU of a subscriber stands for, as its contacts tell it; nil: no contact is of that instance,
    /// or the temporary GRUU is void.
    public func instance(of gruu: SIPURI, in bytes: RawSpan, subscriber: UInt32, by factory: GRUUFactory) -> [UInt8]? {
        let temporary = factory.temporary(bytes[gruu.user])
        guard let name = bytes.parameter("gr", in: gruu.parameters), temporary == nil || temporary?.subscriber == subscriber else {
            return nil
        }
        var found: [UInt8]?
        forEachBinding(of: subscriber) { binding in
            guard found == nil, binding.instance.byteCount > 0 else { return }
            if let temporary {
                guard temporary.sequence >= binding.firstSequence, temporary.sequence <= binding.sequence else { return }
                guard factory.temporary(binding, identity: temporary.identity, sequence: temporary.sequence) == temporary else { return }
            } else {
                guard binding.instance.withoutBrackets.isNamed(by: bytes[name]) else { return }
            }
            found = [UInt8](binding.instance)
        }
        return found
    }
}

extension OctetBuffer {
    /// `sip:alice@home1.test;gr=urn:uuid:...` (RFC 5627 §5.3).
    ///
    /// - Parameters:
    ///   - addressOfRecord: a SIP URI in its canonical form.
    ///   - instance: as `+sip.instance` has it between its quotes.
    public mutating func appendPublicGRUU(of addressOfRecord: RawSpan, instance: RawSpan) {
        append(addressOfRecord)
        append(";gr=")
        let name = instance.withoutBrackets
        for i in 0..<name.byteCount {
            if name[i].mayStandInParameter {
                append(byte: name[i])
            } else {
                append("%")
                appendHex(UInt64(name[i]), digits: 2)
            }
        }
    }

    /// `sip:tgruu.0a1b...@home1.test;gr`: another one after each REGISTER.
    ///
    /// - Parameters:
    ///   - addressOfRecord: a SIP URI in its canonical form.
    ///   - identity: its number, for `factory`.
    public mutating func appendTemporaryGRUU(
        of addressOfRecord: RawSpan, identity: UInt16, _ binding: borrowing BindingView, by factory: GRUUFactory
    ) {
        append("sip:")
        factory.append(factory.temporary(binding, identity: identity, sequence: binding.sequence), into: &self)
        let at = addressOfRecord.firstOffset(of: 0x40) ?? 0
        append(addressOfRecord.part(at, addressOfRecord.byteCount - at))
        append(";gr")
    }
}

extension RawSpan {
    /// Whether a user part has the form of a temporary GRUU's.
    var isTemporaryGRUU: Bool { byteCount == 46 && part(0, 6).equals("tgruu.") }

    /// `urn:uuid:...` of `<urn:uuid:...>`.
    fileprivate var withoutBrackets: RawSpan {
        @_lifetime(copy self)
        get { byteCount >= 2 && self[0] == 0x3C && self[byteCount - 1] == 0x3E ? part(1, byteCount - 2) : self }
    }

    /// Whether the value of `gr`, its escapes undone, is this instance; neither URNs of a UUID (RFC 4122 §3) nor parameters
    /// of a URI tell capitals from small letters.
    fileprivate func isNamed(by value: RawSpan) -> Bool {
        var i = 0
        var j = 0
        while i < byteCount, j < value.byteCount {
            var octet = value[j]
            j += 1
            if octet == 0x25, j + 1 < value.byteCount, let high = value[j].hexDigitValue, let low = value[j + 1].hexDigitValue {
                octet = high << 4 | low
                j += 2
            }
            guard self[i].asciiLowercased == octet.asciiLowercased else { return false }
            i += 1
        }
        return i == byteCount && j == value.byteCount
    }
}

extension UInt8 {
    /// `paramchar` (RFC 3261 §25.1) without the escape.
    fileprivate var mayStandInParameter: Bool {
        switch self {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        // - _ . ! ~ * ' ( ) [ ] / : & + $
        case 0x2D, 0x5F, 0x2E, 0x21, 0x7E, 0x2A, 0x27, 0x28, 0x29, 0x5B, 0x5D, 0x2F, 0x3A, 0x26, 0x2B, 0x24: true
        default: false
        }
    }
}
