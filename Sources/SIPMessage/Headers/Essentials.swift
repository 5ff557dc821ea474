// The header fields that every message must have (RFC 3261 §8.1.1, §16.3 step 1), read once and handed on.

import SansIO

/// What every layer asks of a message.
public struct Essentials: BitwiseCopyable, Sendable {
    public var via: Via
    public var from: NameAddress
    public var to: NameAddress
    public var callID: Slice
    public var sequence: UInt32
    /// The method in CSeq.
    public var method: Method
    /// nil: the header is not there, which is let pass (§16.6 step 3).
    public var maxForwards: UInt8?
    /// Of a request.
    public var requestURI: SIPURI?
}

extension Message {
    /// Reads and checks the essential fields.
    ///
    /// - Throws: the fault that an answer of this status should name. A Request-URI of a scheme that is not known is no
    ///   fault here: who routes by it answers 416 (§8.2.2.1, §16.3 step 2).
    public func essentials() throws(MessageFault) -> Essentials {
        let viaSlice = try firstVia()
        guard let via = bytes.via(viaSlice) else { throw MessageFault(400, .via, .malformed) }
        guard !hasTooManyVias else { throw MessageFault(400, .via, .tooManyValues) }
        let callID = try single(.callID)
        guard callID.count > 0, isWord(callID) else { throw MessageFault(400, .callID, .malformed) }
        let (sequence, method) = try sequence()
        let from = try address(.from)
        let to = try address(.to)
        let maxForwards = try maximumForwards()
        var requestURI: SIPURI?
        if isRequest {
            guard shape.requestURI.count <= MessageLimit.uri else { throw MessageFault(414, nil, .longRequestURI) }
            guard let uri = bytes.uri(shape.requestURI) else { throw MessageFault(400, nil, .requestURI) }
            // Headers in a Request-URI are not allowed (§19.1.1, table 1), and must never be routed by.
            guard uri.headers.isEmpty else { throw MessageFault(400, nil, .requestURI) }
            requestURI = uri
        }
        return Essentials(
            via: via, from: from, to: to, callID: callID, sequence: sequence, method: method, maxForwards: maxForwards,
            requestURI: requestURI)
    }

    private func firstVia() throws(MessageFault) -> Slice {
        guard let via = firstValue(.via) else { throw MessageFault(400, .via, has(.via) ? .malformed : .missing) }
        return via
    }

    /// The header fields of nearly all messages are too short to hold so many, so that nobody counts.
    private var hasTooManyVias: Bool {
        let shortestVia = 11  // SIP/2.0/T h
        guard shape.body.lower - Int(shape.headerStart) > MessageLimit.vias * shortestVia else { return false }
        var count = 0
        forEachValue(.via) { _ in
            count += 1
            return count <= MessageLimit.vias
        }
        return count > MessageLimit.vias
    }

    private func single(_ name: HeaderName) throws(MessageFault) -> Slice {
        guard let index = firstIndex(of: name) else { throw MessageFault(400, name, .missing) }
        guard nextIndex(after: index) == nil else { throw MessageFault(400, name, .repeated) }
        return fields[index].value
    }

    private func sequence() throws(MessageFault) -> (UInt32, Method) {
        let value = try single(.cseq)
        var i = value.lower
        while i < value.upper, bytes[i].isASCIIDigit { i += 1 }
        let number = Slice(value.lower, i)
        let name = bytes.trimmed(Slice(i, value.upper))
        guard number.count > 0, name.count > 0, name.lower > i else { throw MessageFault(400, .cseq, .malformed) }
        guard let sequence = bytes.decimal(number, maximum: 0x7FFF_FFFF) else { throw MessageFault(400, .cseq, .outOfRange) }
        for j in name.lower..<name.upper where !bytes[j].isTokenCharacter { throw MessageFault(400, .cseq, .malformed) }
        if isRequest, !bytes[name].equals(bytes[shape.methodName]) { throw MessageFault(400, .cseq, .methodMismatch) }
        return (UInt32(sequence), Method(bytes[name]))
    }

    private func address(_ name: HeaderName) throws(MessageFault) -> NameAddress {
        let value = try single(name)
        guard let address = bytes.nameAddress(value) else { throw MessageFault(400, name, .malformed) }
        return address
    }

    private func maximumForwards() throws(MessageFault) -> UInt8? {
        guard has(.maxForwards) else { return nil }
        let value = try single(.maxForwards)
        guard let number = bytes.decimal(value, maximum: 255) else { throw MessageFault(400, .maxForwards, .outOfRange) }
        return UInt8(number)
    }

    /// A Call-ID is a word, or two with an @ between them (§25.1): no white space in it.
    private func isWord(_ slice: Slice) -> Bool {
        for i in slice.lower..<slice.upper where bytes[i] <= 0x20 || bytes[i] == 0x7F || bytes[i] == 0x2C { return false }
        return true
    }
}
