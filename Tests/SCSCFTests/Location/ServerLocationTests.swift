import SIPMessage
import SansIO
import Testing

@testable import SCSCF

/// Where a URI leads by RFC 3263 §4.1 and §4.2, against a scripted name server.
@Suite struct ServerLocationTests {
    private static let zone = Zone(
        """
        naptr.test NAPTR 20 10 s SIP+D2U _sip._udp.far.test
        naptr.test NAPTR 10 20 s SIP+D2U _sip._udp.naptr.test
        naptr.test NAPTR 10 10 S sip+d2t _sip._tcp.naptr.test
        naptr.test NAPTR 10 15 s SIPS+D2T _sips._tcp.naptr.test
        naptr.test NAPTR 5 10 s SIP+D2S _sip._sctp.naptr.test
        naptr.test NAPTR 5 11 u E2U+sip _sip._udp.wrong.test
        naptr.test NAPTR 5 12 s SIP+D2W _sip._ws.naptr.test
        _sip._udp.naptr.test SRV 0 0 5080 u.naptr.test
        _sip._tcp.naptr.test SRV 2 0 5081 b.naptr.test
        _sip._tcp.naptr.test SRV 1 0 5082 a.naptr.test
        _sips._tcp.naptr.test SRV 0 0 5083 a.naptr.test
        _sip._udp.far.test SRV 0 0 5099 a.naptr.test
        a.naptr.test A 192.0.2.1
        b.naptr.test A 192.0.2.2
        u.naptr.test A 192.0.2.3
        naptr.test A 192.0.2.9
        srv.test A 192.0.2.19
        _sip._udp.srv.test SRV 1 0 5070 a.srv.test
        _sip._tcp.srv.test SRV 0 0 5071 a.srv.test
        _sips._tcp.srv.test SRV 0 0 5072 a.srv.test
        a.srv.test A 192.0.2.11
        a.srv.test A 192.0.2.12
        plain.test A 192.0.2.21
        plain.test AAAA 2001:db8::21
        empty.test NAPTR 1 1 s SIP+D2T _sip._tcp.empty.test
        empty.test A 192.0.2.31
        refused.test A 192.0.2.41
        _sip._udp.refused.test SRV 0 0 0 .
        slow.test NAPTR silent
        _sip._udp.slow.test SRV silent
        slow.test A 192.0.2.51
        dead.test A silent
        half.test A 192.0.2.61
        _sip._udp.half.test SRV 0 0 5060 gone.half.test
        _sip._udp.half.test SRV 1 0 5060 a.half.test
        a.half.test A 192.0.2.62
        gone.half.test A silent
        hosts.test NAPTR 1 1 s SIP+D2U _sip._udp.hosts.test
        _sip._udp.hosts.test SRV 0 0 5061 named.test
        """)

    private static func locate(_ uri: String, _ rules: LocationRules) throws -> (set: ServerSet, rounds: Int) {
        var location = ServerLocation(try #require(name(in: uri)))
        for round in 0..<8 {
            switch location.progress(by: rules) {
            case .located(let set): return (set, round)
            case .asking(let queries):
                #expect(Set(queries).count == queries.count)
                for query in queries { location.take(zone.answer(to: query), to: query) }
            }
        }
        throw Endless()
    }

    private struct Endless: Error {}

    private static func name(in uri: String) -> ServerName? {
        let octets = Array(uri.utf8)
        let bytes = octets.span.bytes
        guard let parsed = bytes.uri(Slice(0, octets.count)) else {
            Issue.record("\(uri) is no URI")
            return nil
        }
        return bytes.serverName(of: parsed)
    }

    private static func rules(_ transports: [Transport] = [.udp, .tcp, .tls], isIPv6: Bool = false) -> LocationRules {
        let address = isIPv6 ? IPAddress(high: 0, low: 1) : IPAddress.loopback
        let listeners = transports.map { Listener(transport: $0, local: Endpoint(address: address, port: 5060)) }
        return LocationRules(
            listeners: listeners, hosts: [Array("named.test".utf8): Endpoint(address: IPAddress(v4: 0xC000_0263), port: 1)])
    }

    private static func text(_ set: ServerSet) -> [String] {
        var random = RandomSource(seed: 1)
        return set.ordered(using: &random).map { "\($0.transport.name):\($0.endpoint.text)" }
    }

    @Test(
        arguments: [
            // NAPTR: of the lowest order with a record that fits all are tried by preference, none of a higher order; services of
            // other protocols are passed over. Then SRV by priority.
            ("sip:naptr.test", ["tcp:192.0.2.1:5082", "tcp:192.0.2.2:5081", "tls:192.0.2.1:5083", "udp:192.0.2.3:5080"]),
            ("sip:NAPTR.test.", ["tcp:192.0.2.1:5082", "tcp:192.0.2.2:5081", "tls:192.0.2.1:5083", "udp:192.0.2.3:5080"]),
            // SIPS: only what says so.
            ("sips:naptr.test", ["tls:192.0.2.1:5083"]),
            // A transport that is named leaves nothing to NAPTR.
            ("sip:naptr.test;transport=udp", ["udp:192.0.2.3:5080"]),
            ("sip:naptr.test;transport=tcp", ["tcp:192.0.2.1:5082", "tcp:192.0.2.2:5081"]),
            ("sip:naptr.test;transport=tls", ["tls:192.0.2.1:5083"]),
            ("sips:naptr.test;transport=tcp", ["tls:192.0.2.1:5083"]),
            // A port leaves nothing to SRV either.
            ("sip:naptr.test:6000", ["udp:192.0.2.9:6000"]),
            ("sips:naptr.test:6000", ["tls:192.0.2.9:6000"]),
            ("sip:naptr.test:6000;transport=tcp", ["tcp:192.0.2.9:6000"]),
            // maddr stands before the host.
            ("sip:somebody.test;maddr=plain.test", ["udp:192.0.2.21:5060"]),
            // No NAPTR: SRV of each transport, TLS only with SIPS. Every address of a target is one.
            ("sip:srv.test", ["udp:192.0.2.11:5070", "udp:192.0.2.12:5070", "tcp:192.0.2.11:5071", "tcp:192.0.2.12:5071"]),
            ("sips:srv.test", ["tls:192.0.2.11:5072", "tls:192.0.2.12:5072"]),
            // No SRV: the name itself, with the default port.
            ("sip:plain.test", ["udp:192.0.2.21:5060"]),
            ("sips:plain.test", ["tls:192.0.2.21:5061"]),
            ("sip:plain.test;transport=tcp", ["tcp:192.0.2.21:5060"]),
            ("sip:plain.test;transport=tls", ["tls:192.0.2.21:5061"]),
            // NAPTR without its SRV: the name itself by the transport that NAPTR chose.
            ("sip:empty.test", ["tcp:192.0.2.31:5060"]),
            // The root as target: decidedly not there (RFC 2782).
            ("sip:refused.test;transport=udp", []),
            ("sip:nowhere.test", []),
            // Who does not answer for NAPTR and SRV is taken to have none.
            ("sip:slow.test", ["udp:192.0.2.51:5060"]),
            ("sip:dead.test:5060", []),
            ("sip:half.test", ["udp:192.0.2.62:5060"]),
            // A target that the topology knows is not asked for.
            ("sip:hosts.test", ["udp:192.0.2.99:5061"]),
        ] as [(String, [String])])
    func whereAURILeads(uri: String, targets: [String]) throws {
        #expect(Self.text(try Self.locate(uri, Self.rules()).set) == targets)
    }

    @Test func transportsThatWeHaveNotArePassedOver() throws {
        #expect(
            Self.text(try Self.locate("sip:naptr.test", Self.rules([.tcp])).set)
                == ["tcp:192.0.2.1:5082", "tcp:192.0.2.2:5081", "tls:192.0.2.1:5083"])
    }

    @Test func addressesOfTheFamiliesThatWeHave() throws {
        #expect(Self.text(try Self.locate("sip:plain.test", Self.rules(isIPv6: true)).set) == ["udp:[2001:db8::21]:5060"])
    }

    @Test(arguments: [
        ("sip:naptr.test", true), ("sip:nowhere.test", true), ("sip:slow.test", false), ("sip:dead.test:5060", false),
        ("sip:half.test", false),
    ])
    func whetherAllHaveAnswered(uri: String, isConclusive: Bool) throws {
        #expect(try Self.locate(uri, Self.rules()).set.isConclusive == isConclusive)
    }

    /// As many rounds as there are kinds of records in a row: NAPTR, SRV, addresses; what can be asked at once is.
    @Test(arguments: [("sip:naptr.test:6000", 1), ("sip:naptr.test;transport=tcp", 2), ("sip:naptr.test", 3), ("sip:plain.test", 3)])
    func rounds(uri: String, count: Int) throws {
        #expect(try Self.locate(uri, Self.rules()).rounds == count)
    }

    @Test func whatIsAskedHasABound() throws {
        var location = ServerLocation(ServerName(host: Array("wide.test".utf8)))
        let rules = Self.rules()
        var asked = 0
        while case .asking(let queries) = location.progress(by: rules), asked <= 1000 {
            asked += queries.count
            for query in queries {
                // Each answer names targets that nobody has named before.
                let records: [NameRecord] =
                    switch query.type {
                    case .naptr:
                        (0..<30).map {
                            .pointer(
                                order: 1, preference: $0, flags: [0x73], service: Array("SIP+D2U".utf8),
                                replacement: Array("s\($0).test".utf8))
                        }
                    case .srv:
                        (0..<30).map { .server(priority: $0, weight: 0, port: 5060, target: Array("t\($0).".utf8) + query.name) }
                    default: [.address(.loopback)]
                    }
                location.take(NameAnswer(records: records, lifetime: .seconds(1)), to: query)
            }
        }
        #expect(asked == ServerLocation.queryLimit)
    }

    @Test(arguments: [
        "sip:192.0.2.1", "sip:[2001:db8::1]", "sip:x.invalid", "sip:invalid", "sip:a..b", "sip:host;transport=ws",
        "sips:host;transport=udp",
        "tel:+15550100", "sip:host;transport=sctp",
    ])
    func whatIsNoName(uri: String) {
        #expect(Self.name(in: uri) == nil)
    }

    // MARK: Weights (RFC 2782)

    private static func server(_ number: UInt32, priority: UInt16 = 0, weight: UInt16) -> LocatedServer {
        LocatedServer(
            priority: priority, weight: weight,
            destinations: [Destination(endpoint: Endpoint(address: IPAddress(v4: number), port: 5060), transport: .udp)])
    }

    @Test func requestsAreSharedOutByWeight() {
        let set = ServerSet(
            [Self.server(9, priority: 5, weight: 100), Self.server(1, weight: 10), Self.server(2, weight: 30), Self.server(3, weight: 60)],
            isConclusive: true, lifetime: .seconds(1))
        var random = RandomSource(seed: 3)
        var firsts: [UInt64: Int] = [:]
        for _ in 0..<10_000 {
            let order = set.ordered(using: &random).map(\.endpoint.address.low)
            firsts[order[0], default: 0] += 1
            #expect(Set(order) == [1, 2, 3, 9])
            #expect(order[3] == 9)
        }
        // With a sum of 100 the numbers 0...100 are drawn.
        for (server, share) in [(1, 1_089), (2, 2_970), (3, 5_941)] as [(UInt64, Int)] {
            #expect(abs((firsts[server] ?? 0) - share) < 200, "\(firsts)")
        }
    }

    @Test func withoutWeightTheChanceIsSmall() {
        let set = ServerSet([Self.server(1, weight: 99), Self.server(2, weight: 0)], isConclusive: true, lifetime: .seconds(1))
        var random = RandomSource(seed: 4)
        let firsts = (0..<10_000).map { _ in set.ordered(using: &random)[0].endpoint.address.low }
        #expect((50..<200).contains(firsts.count { $0 == 2 }))
    }

    @Test func theSameSeedDrawsTheSameOrder() {
        let set = ServerSet((1...5).map { Self.server($0, weight: 10) }, isConclusive: true, lifetime: .seconds(1))
        var (one, other) = (RandomSource(seed: 8), RandomSource(seed: 8))
        for _ in 0..<50 { #expect(set.ordered(using: &one) == set.ordered(using: &other)) }
    }
}
