// A request as it goes on (RFC 3261 §16.6): the copy with what the proxy changes, written in one go.

public import SIPMessage
public import SansIO

/// What is put into a forwarded request, and what is left out. Values that are not slices of the request are written by
/// the caller between the steps, which are in the order of the header fields.
public struct ForwardedRequest: BitwiseCopyable, Sendable {
    /// Header fields that are always written anew or moved to the top.
    public static let rewritten: HeaderSet = [.via, .maxForwards, .maxBreadth, .route, .recordRoute, .contentLength]

    /// How many requests one may be made into at once: what Max-Breadth says, and 60 at most, which is also the default
    /// (RFC 5393 §5.3.3).
    public static func breadth(of request: borrowing Message) -> UInt16 {
        guard let value = request.value(.maxBreadth), let number = request.bytes.decimal(value) else { return 60 }
        return UInt16(min(number, 60))
    }
}

extension OctetBuffer {
    /// The request line.
    public mutating func appendRequestLine(of request: borrowing Message, uri: RawSpan) {
        append(request[request.shape.methodName])
        append(" ")
        append(uri)
        append(" SIP/2.0\r\n")
    }

    /// The Route values that are left after `removed` were taken off, one a line. Of a request that came from a strict
    /// router the last value is the Request-URI and no route; towards one the Request-URI is the last value.
    public mutating func appendRoutes(of request: borrowing Message, _ routes: RouteSet, _ requestURI: SIPURI?) {
        guard routes.next != nil else { return }
        let bytes = request.bytes
        var index = 0
        var last: Slice?
        var kept: [Slice] = []
        request.forEachValue(.route) { value in
            if index >= routes.removed { kept.append(value) }
            index += 1
            last = value
            return true
        }
        if routes.requestURIFromLast != nil, last != nil { kept.removeLast() }
        for value in kept.dropFirst(routes.isStrict ? 1 : 0) { appendField(.route, bytes[value]) }
        guard routes.isStrict, let requestURI else { return }
        append("Route: <")
        append(bytes[requestURI.all])
        append(">\r\n")
    }

    /// Max-Forwards, one less (§16.6 step 3).
    public mutating func appendMaxForwards(_ received: UInt8?) {
        appendField(.maxForwards, decimal: UInt64(received.map { $0 > 0 ? $0 - 1 : 0 } ?? 70))
    }

    /// A response as it goes back (§16.7 step 9): without our Via, which is its topmost value.
    ///
    /// - Parameters:
    ///   - status: to be told instead of the one received, with its own reason phrase.
    ///   - leftOut: what the next hop must not see.
    ///   - fields: writes further header fields.
    public mutating func appendForwarded(
        _ response: borrowing Message, _ top: Via, as status: UInt16? = nil, leavingOut leftOut: HeaderSet = [],
        fields: (inout OctetBuffer) -> Void = { _ in }
    ) {
        if let status {
            appendStatusLine(status, StatusReason.text(status))
        } else {
            append("SIP/2.0 ")
            appendDecimal(UInt64(response.status))
            append(" ")
            append(response[response.shape.reason])
            append("\r\n")
        }
        var leftOut = leftOut
        leftOut.insert(.via)
        leftOut.insert(.contentLength)
        guard let first = response.firstIndex(of: .via) else { return }
        let value = response.fields[first].value
        var rest = value
        _ = response.bytes.nextListValue(&rest)
        let remainder = response.bytes.trimmed(rest)
        if !remainder.isEmpty { appendField(.via, response[remainder]) }
        var index = response.nextIndex(after: first)
        while let i = index {
            appendField(.via, response[response.fields[i].value])
            index = response.nextIndex(after: i)
        }
        appendFields(of: response, except: leftOut)
        fields(&self)
        appendBody(response.body)
    }
}
