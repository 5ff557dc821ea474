import SIPMessage
import SIPProxy
import SansIO
import Testing

/// Route and Request-URI before a target is looked for (RFC 3261 §16.4, §16.6 step 6).
@Suite struct RouteSetTests {
    private static let own = OwnAddresses(
        domain: Array("home1.test".utf8),
        listeners: [
            Listener(
                transport: .udp, local: Endpoint(address: IPAddress(v4: 0), port: 5060),
                advertised: Endpoint(address: IPAddress(v4: 0xC000_0207), port: 5060))
        ])

    /// What a request comes to, as text.
    private struct Reading: Equatable {
        var removed = 0
        var own: String?
        var requestURI: String?
        var isStrict = false
        var isMalformed = false
        var written = ""
    }

    private func read(_ requestURI: String, _ routes: [String]) -> Reading {
        let lines = routes.map { "Route: \($0)\r\n" }.joined()
        let octets = Array("MESSAGE \(requestURI) SIP/2.0\r\n\(lines)Content-Length: 0\r\n\r\n".utf8)
        let bytes = octets.span.bytes
        var scanner = MessageScanner()
        _ = scanner.scan(bytes)
        let message = scanner.message(bytes)
        guard let uri = bytes.uri(message.shape.requestURI) else { return Reading(isMalformed: true) }
        let set = RouteSet(message, uri, own: RouteSetTests.own)
        var written = OctetBuffer(capacity: 256)
        written.appendRoutes(of: message, set, set.requestURIFromLast ?? uri)
        return Reading(
            removed: set.removed, own: set.own.map { String(octets: bytes[$0.all]) },
            requestURI: set.requestURIFromLast.map { String(octets: bytes[$0.all]) }, isStrict: set.isStrict, isMalformed: set.isMalformed,
            written: String(octets: written.bytes))
    }

    @Test func withoutRouteThereIsNothing() {
        #expect(read("sip:bob@home1.test", []) == Reading())
    }

    @Test func valuesOfOursAreTakenOff() {
        let reading = read(
            "sip:bob@home1.test", ["<sip:odi_1@192.0.2.7;lr;orig>, <sip:home1.test;lr>", "<sip:next.test;lr>, <sip:home1.test;lr>"])
        #expect(reading.removed == 2)
        #expect(reading.own == "sip:odi_1@192.0.2.7;lr;orig")
        #expect(reading.written == "Route: <sip:next.test;lr>\r\nRoute: <sip:home1.test;lr>\r\n")
    }

    @Test func ofAWildcardListenerOthersAddressesAreNotOurs() {
        #expect(read("sip:bob@home1.test", ["<sip:198.51.100.1;lr>"]).removed == 0)
        #expect(read("sip:bob@home1.test", ["<sip:127.0.0.1;lr>"]).removed == 1)
        #expect(read("sip:bob@home1.test", ["<sip:192.0.2.7:5061;lr>"]).removed == 0)
        #expect(read("sip:bob@home1.test", ["<sip:127.0.0.1:5080;lr>"]).removed == 0)
    }

    @Test func theLastValueMayBeTheRequestURI() {
        let reading = read("sip:192.0.2.7;lr", ["<sip:next.test;lr>", "<sip:bob@198.51.100.1>"])
        #expect(reading.requestURI == "sip:bob@198.51.100.1")
        #expect(reading.written == "Route: <sip:next.test;lr>\r\n")
    }

    @Test func towardsAStrictRouterTheRequestURIIsTheLastValue() {
        let reading = read("sip:bob@198.51.100.1", ["<sip:strict.test>", "<sip:loose.test;lr>"])
        #expect(reading.isStrict)
        #expect(reading.written == "Route: <sip:loose.test;lr>\r\nRoute: <sip:bob@198.51.100.1>\r\n")
    }

    @Test func moreValuesThanAreLookedAtAreAFault() {
        let route = "<sip:192.0.2.9;lr>"
        #expect(!read("sip:bob@home1.test", Array(repeating: route, count: 64)).isMalformed)
        #expect(read("sip:bob@home1.test", Array(repeating: route, count: 65)).isMalformed)
    }

    @Test func aValueThatIsNoAddressIsAFault() {
        #expect(read("sip:bob@home1.test", ["<sip:a@b", "x"]).isMalformed)
    }
}
