// What becomes a Request-URI (RFC 3261 §16.4, §16.6 step 2), and what tells the loser of a fork why it is cancelled.

public import SIPMessage
public import SansIO

extension OctetBuffer {
    /// A contact's URI as it stands in a request line: without headers, and without `method` (§19.1.1, table 1).
    public mutating func appendTarget(_ uri: SIPURI, in bytes: RawSpan) {
        let end = uri.headers.isEmpty ? uri.all.upper : uri.headers.lower
        guard bytes.parameter("method", in: uri.parameters) != nil else { return append(bytes[Slice(uri.all.lower, end)]) }
        append(bytes[Slice(uri.all.lower, uri.parameters.lower)])
        appendParameters(of: uri, in: bytes) { $0.equalsIgnoringCase("method") }
    }

    /// A Request-URI whose `maddr` has done its work: that, port and transport are gone (§16.4).
    public mutating func appendWithoutMaddr(_ uri: SIPURI, in bytes: RawSpan) {
        append(bytes[Slice(uri.all.lower, uri.host.upper)])
        appendParameters(of: uri, in: bytes) { $0.equalsIgnoringCase("maddr") || $0.equalsIgnoringCase("transport") }
    }

    private mutating func appendParameters(of uri: SIPURI, in bytes: RawSpan, except isLeftOut: (RawSpan) -> Bool) {
        var rest = uri.parameters
        while let (name, value) = bytes.nextParameter(&rest) {
            if isLeftOut(bytes[name]) { continue }
            append(";")
            append(bytes[name])
            if value.isEmpty { continue }
            append("=")
            append(bytes[value])
        }
    }

    /// `Reason: SIP;cause=200;text="..."` (RFC 3326 §2).
    public mutating func appendReason(_ cause: UInt16, _ text: StaticString) {
        append("Reason: SIP;cause=")
        appendDecimal(UInt64(cause))
        append(";text=\"")
        append(text)
        append("\"\r\n")
    }
}
