// By which transport a SIP URI is to be reached, as far as the URI itself says so (RFC 3263 §4.1 without DNS).

public import SansIO

extension RawSpan {
    /// The transport that a SIP or SIPS URI asks for: its parameter, else UDP, and TLS for SIPS. A SIPS URI never means one
    /// without TLS (RFC 3261 §19.1, RFC 7118 §5.2.2). Nil: no SIP URI, an unknown transport, or none that is secure.
    public func transport(of uri: SIPURI) -> Transport? {
        guard uri.isSIP else { return nil }
        let isSecure = uri.scheme == .sips
        guard let word = parameter("transport", in: uri.parameters) else { return isSecure ? .tls : .udp }
        guard let named = Transport(viaName: self[word]) else { return nil }
        return isSecure ? named.secured : named
    }
}

extension OctetBuffer {
    /// `;transport=` for a URI of ours, which UDP needs none of.
    public mutating func appendTransportParameter(_ transport: Transport) {
        if transport == .udp { return }
        append(";transport=")
        append(transport.uriName)
    }
}
