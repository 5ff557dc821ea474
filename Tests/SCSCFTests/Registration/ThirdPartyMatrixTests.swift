import IMSProfile
import SCSCF
import SIPRegistrar
import SansIO
import Testing

/// Which criteria tell their server of which event, with which Expires (TS 24.229 §5.4.1.7; RegistrationType of TS 29.228
/// Annex E): every combination.
@Suite(.overShards) struct ThirdPartyMatrixTests {
    private typealias L = Laboratory

    enum Event: CaseIterable, Sendable {
        case initial, reregistration, deregistration, expiry, network, secondContact, oneOfTwoGone, oneOfTwoExpires, fetch
    }

    /// What a server whose criterion names no type hears of an event; nil: nothing.
    private static func expires(_ event: Event) -> String? {
        switch event {
        case .initial, .reregistration, .secondContact: "3600"
        case .deregistration, .expiry, .network: "0"
        case .oneOfTwoGone: "7200"
        case .oneOfTwoExpires: "3600"
        case .fetch: nil
        }
    }

    private static func type(_ event: Event) -> IMSProfile.RegistrationType {
        switch event {
        case .initial: .initial
        case .reregistration, .secondContact, .fetch: .reregistration
        case .deregistration, .expiry, .network, .oneOfTwoGone, .oneOfTwoExpires: .deregistration
        }
    }

    @Test(
        arguments: [[], [.initial], [.reregistration], [.deregistration], [.initial, .deregistration]] as [[IMSProfile.RegistrationType]],
        Event.allCases)
    func eachEventIsToldToThoseWhoAsk(_ types: [IMSProfile.RegistrationType], _ event: Event) {
        let rig = CoreRig {
            $0.profiles = [L.profile([L.criterion(0, [.method("REGISTER", registrationTypes: types)], 0)])]
            $0.subscribers[0].isAuthenticated = false
            $0.registrar = RegistrarSettings(profile: .rfc3261)
        }
        rig.answers["im"] = 200
        prepare(event, rig)
        _ = rig.taken()
        let before = counts(rig)
        cause(event, rig)
        let told = rig.taken().filter { $0.destination == "im" && $0.message.isRequest }.compactMap { $0.message["Expires"] }
        let isAsked = types.isEmpty || types.contains(ThirdPartyMatrixTests.type(event))
        let expected = isAsked ? ThirdPartyMatrixTests.expires(event).map { [$0] } ?? [] : []
        #expect(told == expected, "types \(types), \(event)")
        let counted = zip(counts(rig), before).map { $0 - $1 }
        let number = Int(ThirdPartyMatrixTests.type(event).rawValue)
        #expect(counted == (0..<3).map { $0 == number ? UInt64(expected.count) : 0 }, "types \(types), \(event)")
    }

    /// Requests that were accepted, by the type of registration that they told of.
    private func counts(_ rig: CoreRig) -> [UInt64] { RegistrationChange.Kind.allCases.map { rig.thirdParty(0, $0, .accepted) } }

    private func prepare(_ event: Event, _ rig: CoreRig) {
        switch event {
        case .initial: break
        case .reregistration, .deregistration, .network, .secondContact, .fetch: rig.register(.alice)
        case .expiry: rig.register(.alice, expires: 600)
        case .oneOfTwoGone:
            rig.register(.alice)
            rig.register(.alice, expires: 7200, contact: "<sip:alice@127.0.0.1:9>")
        case .oneOfTwoExpires:
            rig.register(.alice, expires: 4200)
            rig.register(.alice, expires: 600, contact: "<sip:alice@127.0.0.1:9>")
        }
    }

    private func cause(_ event: Event, _ rig: CoreRig) {
        switch event {
        case .initial, .reregistration: rig.receive(rig.registerRequest(.alice), from: .alice)
        case .secondContact: rig.receive(rig.registerRequest(.alice, contact: "<sip:alice@127.0.0.1:9>"), from: .alice)
        case .deregistration, .oneOfTwoGone: rig.receive(rig.registerRequest(.alice, expires: 0), from: .alice)
        case .expiry, .oneOfTwoExpires: rig.advance(.seconds(601))
        case .network: #expect(rig.deregister("sip:alice@home1.test"))
        case .fetch: rig.receive(rig.registerRequest(.alice, contact: ""), from: .alice)
        }
    }

    @Test func contactsThatEndTogetherAreToldOfOnce() {
        let rig = CoreRig {
            $0.profiles = [L.profile([L.criterion(0, [.method("REGISTER")], 0)])]
            $0.subscribers[0].isAuthenticated = false
        }
        rig.answers["im"] = 200
        rig.register(.alice, expires: 600, contact: "<sip:alice@127.0.0.1:1>, <sip:alice@127.0.0.1:2>")
        _ = rig.taken()
        rig.advance(.seconds(601))
        #expect(rig.taken().compactMap { $0.message["Expires"] } == ["0"])
    }

    @Test func aBarredIdentityIsNotNamed() {
        let rig = CoreRig {
            $0.profiles = [L.profile([L.criterion(0, [.method("REGISTER")], 0)])]
            $0.subscribers[0].isAuthenticated = false
            $0.subscribers[0].isBarred = [true, false]
        }
        rig.answers["im"] = 200
        rig.register(.alice)
        #expect(rig.deregister("tel:+15550100"))
        let told = rig.taken().filter { $0.destination == "im" }
        #expect(told.allSatisfy { $0.message["To"] == "<tel:+15550100>" })
    }

    @Test func aSilentServerEndsTheRegistrationAndTheHealthyOneIsTold() {
        let rig = CoreRig {
            $0.profiles = [
                L.profile([
                    L.criterion(0, [.method("REGISTER")], 0) { $0.defaultHandling = .sessionTerminated },
                    L.criterion(1, [.method("REGISTER")], 1),
                ])
            ]
            $0.subscribers[0].isAuthenticated = false
        }
        rig.answers["second"] = 200
        rig.register(.alice)
        rig.advance(.seconds(31))
        #expect(rig.contacts("sip:alice@home1.test").count == 1)
        _ = rig.taken()
        rig.advance(.seconds(2))
        #expect(rig.contacts("sip:alice@home1.test") == [])
        // The silent one got the last of its retransmissions meanwhile.
        let told = rig.taken().filter { $0.message.isRequest && $0.message["Expires"] == "0" }
        #expect(told.map(\.destination) == ["second"])
    }

    @Test func patienceWithASilentServerIsTheServers() {
        let rig = CoreRig {
            $0.profiles = [L.profile([L.criterion(0, [.method("REGISTER")], 0) { $0.defaultHandling = .sessionTerminated }])]
            $0.subscribers[0].isAuthenticated = false
            $0.applicationServers[0].answerWithin = .seconds(2)
        }
        rig.register(.alice)
        rig.advance(.seconds(1))
        #expect(rig.contacts("sip:alice@home1.test").count == 1)
        rig.advance(.seconds(2))
        #expect(rig.contacts("sip:alice@home1.test") == [])
        #expect(rig.thirdParty(0, .failed) == 1)
        rig.advance(.seconds(60))
        #expect(rig.thirdParty(0, .failed) == 1)
    }

    @Test func aServerToWhichNobodySendsFails() {
        let rig = CoreRig {
            let unreachable = Endpoint(address: IPAddress("::1") ?? .loopback, port: 5080)
            $0.applicationServers[0].destination = Destination(endpoint: unreachable, transport: .udp)
            $0.profiles = [
                L.profile([
                    L.criterion(0, [.method("REGISTER")], 0) { $0.defaultHandling = .sessionTerminated },
                    L.criterion(1, [.method("REGISTER")], 1),
                ])
            ]
            $0.subscribers[0].isAuthenticated = false
        }
        rig.receive(rig.registerRequest(.alice), from: .alice)
        // The healthy one hears of the registration before it hears of its end.
        let told = rig.taken().filter { $0.destination == "second" }.compactMap { $0.message["Expires"] }
        #expect(told == ["3600", "0"])
        #expect(rig.contacts("sip:alice@home1.test") == [])
    }

    @Test func anIntervalTooBriefForADeregistrationIsNoReasonToAskAgain() throws {
        let rig = CoreRig {
            $0.profiles = [L.profile([L.criterion(0, [.method("REGISTER", registrationTypes: [.deregistration])], 0)])]
            $0.subscribers[0].isAuthenticated = false
        }
        rig.register(.alice)
        rig.register(.alice, expires: 0)
        let told = rig.next(to: .im)
        #expect(told["Expires"] == "0")
        rig.receive(told.response(423, [("Min-Expires", "7200")]), from: .im)
        #expect(rig.trace() == [])
    }

    /// Whatever the messages hold, the boundary stands in none of the parts, and they come out as they went in.
    @Test(arguments: 1...40)
    func partsComeOutAsTheyWentIn(_ seed: Int) throws {
        let rig = CoreRig {
            $0.seed = UInt64(seed)
            $0.profiles = [
                L.profile([
                    L.criterion(0, [.method("REGISTER")], 0) {
                        $0.serviceInfo = "--\r\n--"
                        $0.includesRegisterRequest = true
                        $0.includesRegisterResponse = true
                    }
                ])
            ]
            $0.subscribers[0].isAuthenticated = false
            $0.udpSizeLimit = 0
        }
        var random = RandomSource(seed: UInt64(seed))
        let filler = (0..<200).map { _ in ["-", "--", "0", "f", "\\r"].randomElement(using: &random) ?? "-" }.joined()
        let request = rig.registerRequest(.alice, [("X-Filler", filler)])
        rig.receive(request, from: .alice)
        let sent = rig.taken()
        try #require(sent.count == 2)
        let boundary = try #require(sent[1].message.parameter("boundary", of: "Content-Type"))
        let text = String(decoding: sent[1].octets, as: UTF8.self)
        let bodyStart = try #require(text.firstRange(of: "\r\n\r\n")?.upperBound)
        let parts = text[bodyStart...].components(between: "--\(boundary)")
        try #require(parts.count == 5)
        #expect(parts[2] == "\r\nContent-Type: message/sip\r\n\r\n" + request.text + "\r\n")
        #expect(parts[3] == "\r\nContent-Type: message/sip\r\n\r\n" + String(decoding: sent[0].octets, as: UTF8.self) + "\r\n")
        #expect(parts[4] == "--\r\n")
        #expect(!request.text.contains(boundary))
    }
}

extension StringProtocol {
    fileprivate func components(between separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let found = rest.firstRange(of: separator) {
            parts.append(String(rest[..<found.lowerBound]))
            rest = rest[found.upperBound...]
        }
        return parts + [String(rest)]
    }
}
