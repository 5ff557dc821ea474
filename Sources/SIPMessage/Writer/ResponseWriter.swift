// Responses (RFC 3261 §8.2.6): the fields that a response takes over from its request, and how they change.

public import SansIO

extension OctetBuffer {
    /// A whole header field.
    public mutating func appendField(_ name: HeaderName, _ value: RawSpan) {
        append(name.text)
        append(": ")
        append(value)
        append("\r\n")
    }

    public mutating func appendField(_ name: HeaderName, _ value: StaticString) {
        append(name.text)
        append(": ")
        append(value)
        append("\r\n")
    }

    public mutating func appendField(_ name: HeaderName, decimal: UInt64) {
        append(name.text)
        append(": ")
        appendDecimal(decimal)
        append("\r\n")
    }

    /// The end of the header fields, with a length, and the body.
    public mutating func appendBody(_ body: RawSpan) {
        appendField(.contentLength, decimal: UInt64(body.byteCount))
        append("\r\n")
        append(body)
    }

    /// The end of a message without a body.
    public mutating func appendEmptyBody() { append("Content-Length: 0\r\n\r\n") }

    /// The start line of a response and all that it takes over from its request: Via with what §18.2.1 and RFC 3581 §4
    /// add to it, From, To (with our tag, if the request had none and the response is not a 100), Call-ID, CSeq, in a 100
    /// Timestamp, and, where a dialog may begin, Record-Route. Further fields and the body are the caller's.
    ///
    /// - Parameters:
    ///   - source: where the request came from.
    ///   - toTag: 64 bits of the tag.
    public mutating func appendResponse(
        _ status: UInt16, reason: StaticString? = nil, to request: borrowing Message, _ essentials: Essentials, from source: Endpoint,
        toTag: UInt64
    ) {
        appendStatusLine(status, reason ?? StatusReason.text(status))
        appendResponseFields(status, to: request, essentials, from: source, toTag: toTag)
    }

    /// `SIP/2.0 200 OK`.
    public mutating func appendStatusLine(_ status: UInt16, _ reason: StaticString) {
        append("SIP/2.0 ")
        appendDecimal(UInt64(status))
        append(" ")
        append(reason)
        append("\r\n")
    }

    /// As `appendResponse` without the start line.
    public mutating func appendResponseFields(
        _ status: UInt16, to request: borrowing Message, _ essentials: Essentials, from source: Endpoint, toTag: UInt64
    ) {
        appendVias(of: request, essentials.via, from: source)
        if status > 100, status < 300, request.method.formsDialog { appendFields(of: request, .recordRoute) }
        appendOnly(.from, of: request)
        if essentials.to.tag.isEmpty, status > 100 {
            append("To: ")
            append(request[essentials.to.all])
            append(";tag=")
            appendHex(toTag)
            append("\r\n")
        } else {
            appendOnly(.to, of: request)
        }
        appendOnly(.callID, of: request)
        // §8.2.6.1: a 100 says which request it timed.
        if status == 100 { appendFields(of: request, .timestamp) }
        appendOnly(.cseq, of: request)
    }

    /// A field of which there is one. As it stands, if it is written as we would write it, which is one copy in place of four.
    @inline(__always)
    private mutating func appendOnly(_ name: HeaderName, of request: borrowing Message) {
        guard let index = request.firstIndex(of: name) else { return }
        let field = request.fields[index]
        if field.isPlain, field.nameSlice.count > 1, request.bytes[field.value.upper] == 0x0D {
            append(request[field.line])
        } else {
            appendField(name, request[field.value])
        }
    }

    /// All Via fields of a request, the topmost value with `received` and `rport` (RFC 3261 §18.2.1, RFC 3581 §4).
    public mutating func appendVias(of request: borrowing Message, _ top: Via, from source: Endpoint) {
        append("Via: ")
        appendTopVia(of: request, top, from: source)
        guard let first = request.firstIndex(of: .via) else { return }
        let rest = Slice(top.all.upper, request.fields[first].value.upper)
        if !rest.isEmpty { append(request[rest]) }
        append("\r\n")
        var index = request.nextIndex(after: first)
        while let i = index {
            appendField(.via, request[request.fields[i].value])
            index = request.nextIndex(after: i)
        }
    }

    private mutating func appendTopVia(of request: borrowing Message, _ top: Via, from source: Endpoint) {
        let bytes = request.bytes
        let wantsPort = top.rport.map(\.isEmpty) ?? false
        let isKnown = !wantsPort && IPAddress(bytes[top.host]) == source.address
        if !top.received.isEmpty {
            appendWithoutReceived(top, in: bytes, from: source)
        } else if wantsPort, let rport = top.rport {
            // What nearly all clients ask for: the port put behind `rport`, and the address at the end.
            var end = rport.lower
            while bytes[end - 1].isLinearWhiteSpace { end -= 1 }
            append(bytes[Slice(top.all.lower, end)])
            if bytes[end - 1] != 0x3D { append(byte: 0x3D) }
            appendDecimal(UInt64(source.port))
            append(bytes[Slice(end, top.all.upper)])
        } else {
            append(bytes[top.all])
        }
        if isKnown { return }
        append(";received=")
        appendWithoutBrackets(source.address)
    }

    /// The parameters as they came; `received` is ours to say.
    private mutating func appendWithoutReceived(_ top: Via, in bytes: RawSpan, from source: Endpoint) {
        append(bytes[Slice(top.all.lower, top.parameters.lower)])
        var rest = top.parameters
        var start = rest.lower
        while let (name, value) = bytes.nextParameter(&rest) {
            let parameter = Slice(start, rest.lower)
            start = rest.lower
            if bytes[name].equalsIgnoringCase("received") { continue }
            if value.isEmpty, bytes[name].equalsIgnoringCase("rport") {
                append(";rport=")
                appendDecimal(UInt64(source.port))
            } else {
                append(bytes[parameter])
            }
        }
    }

    /// An address as `received` has it: IPv6 without brackets (RFC 5118 §4.5).
    public mutating func appendWithoutBrackets(_ address: IPAddress) {
        let start = count
        append(address)
        guard address.isIPv6 else { return }
        let length = count - start - 2
        let inner = [UInt8](bytes(from: start + 1, count: length))
        truncate(to: start)
        append(inner)
    }

    /// Every field with this name, as it stands there.
    public mutating func appendFields(of message: borrowing Message, _ name: HeaderName) {
        var index = message.firstIndex(of: name)
        while let i = index {
            appendField(name, message[message.fields[i].value])
            index = message.nextIndex(after: i)
        }
    }

    /// A field as it was received, each of its line feeds behind a carriage return (RFC 3261 §7.3.1).
    public mutating func append(_ field: HeaderField, of message: borrowing Message) {
        let line = message[field.line]
        var start = 0
        while let lineFeed = line.firstOffset(of: 0x0A, from: start) {
            let end = line.contentEnd(start, lineFeed)
            append(line.part(start, end - start))
            append("\r\n")
            start = lineFeed + 1
        }
    }
}

/// The reason phrases of RFC 3261 §21 and its extensions.
public enum StatusReason {
    public static func text(_ status: UInt16) -> StaticString {
        switch status {
        case 100: "Trying"
        case 180: "Ringing"
        case 181: "Call Is Being Forwarded"
        case 182: "Queued"
        case 183: "Session Progress"
        case 200: "OK"
        case 202: "Accepted"
        case 300: "Multiple Choices"
        case 301: "Moved Permanently"
        case 302: "Moved Temporarily"
        case 305: "Use Proxy"
        case 380: "Alternative Service"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 407: "Proxy Authentication Required"
        case 408: "Request Timeout"
        case 410: "Gone"
        case 412: "Conditional Request Failed"
        case 413: "Request Entity Too Large"
        case 414: "Request-URI Too Long"
        case 415: "Unsupported Media Type"
        case 416: "Unsupported URI Scheme"
        case 420: "Bad Extension"
        case 421: "Extension Required"
        case 423: "Interval Too Brief"
        case 430: "Flow Failed"
        case 439: "First Hop Lacks Outbound Support"
        case 440: "Max-Breadth Exceeded"
        case 480: "Temporarily Unavailable"
        case 481: "Call/Transaction Does Not Exist"
        case 482: "Loop Detected"
        case 483: "Too Many Hops"
        case 484: "Address Incomplete"
        case 486: "Busy Here"
        case 487: "Request Terminated"
        case 488: "Not Acceptable Here"
        case 489: "Bad Event"
        case 491: "Request Pending"
        case 500: "Server Internal Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Server Time-out"
        case 505: "Version Not Supported"
        case 513: "Message Too Large"
        case 600: "Busy Everywhere"
        case 603: "Decline"
        case 604: "Does Not Exist Anywhere"
        case 606: "Not Acceptable"
        default: "Status"
        }
    }
}
