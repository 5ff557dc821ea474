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
        let via = try topmostVia()
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

    private func topmostVia() throws(MessageFault) -> Via {
        guard let index = firstIndex(of: .via) else { throw MessageFault(400, .via, .missing) }
        guard let via = bytes.firstVia(fields[index].value) else { throw MessageFault(400, .via, .malformed) }
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
        var number: UInt64 = 0
        var i = value.lower
        while i < value.upper, bytes[i].isASCIIDigit {
            number = min(number * 10 + UInt64(bytes[i] - 0x30), 1 << 31)
            i += 1
        }
        let nameStart = bytes.run(of: .whiteSpace, from: i, to: value.upper)
        guard i > value.lower, nameStart > i, nameStart < value.upper else { throw MessageFault(400, .cseq, .malformed) }
        guard number < 1 << 31 else { throw MessageFault(400, .cseq, .outOfRange) }
        let name = Slice(nameStart, value.upper)
        if isRequest {
            // Most often it is the request's, and so known already.
            if bytes[name].equals(bytes[shape.methodName]) { return (UInt32(number), shape.method) }
            guard isToken(name) else { throw MessageFault(400, .cseq, .malformed) }
            throw MessageFault(400, .cseq, .methodMismatch)
        }
        guard isToken(name) else { throw MessageFault(400, .cseq, .malformed) }
        return (UInt32(number), Method(bytes[name]))
    }

    private func isToken(_ slice: Slice) -> Bool { bytes.run(of: .token, from: slice.lower, to: slice.upper) == slice.upper }

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
    private func isWord(_ slice: Slice) -> Bool { bytes.run(of: .word, from: slice.lower, to: slice.upper) == slice.upper }
}
