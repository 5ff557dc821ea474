import SIPMessage
import SansIO
import Testing

/// By which transport a URI is reached (RFC 3263 §4.1, RFC 3261 §26.2.2, RFC 7118 §5.2.2).
struct URITransportTests {
    @Test(
        arguments: [
            ("sip:a@h.test", .udp), ("sip:h.test;transport=TCP", .tcp), ("sip:h.test;transport=tls", .tls),
            ("sip:h.test;transport=ws", .ws),
            ("sips:a@h.test", .tls), ("SIPS:h.test;transport=tcp", .tls), ("sips:h.test;transport=tls", .tls),
            ("sips:h.test;transport=ws", .wss), ("sips:h.test;transport=udp", nil), ("sip:h.test;transport=sctp", nil),
            ("tel:+15550100", nil),
        ] as [(String, Transport?)])
    func ofAURI(text: String, transport: Transport?) throws {
        let octets = Array(text.utf8)
        let bytes = octets.span.bytes
        let parsed = bytes.uri(Slice(0, octets.count))
        let found = bytes.transport(of: try #require(parsed))
        #expect(found == transport)
    }

    @Test func defaultPorts() {
        #expect(Transport.allCases.map(\.defaultPort) == [5060, 5060, 5061, 80, 443])
        #expect(Transport.allCases.map { "\($0.uriName)" } == ["udp", "tcp", "tls", "ws", "ws"])
    }
}
