import IMSProfile
import SCSCF
import SIPRegistrar
import SansIO
import Testing

/// What application servers are told of registrations (TS 24.229 §5.4.1.7).
@Suite(.overShards) struct ThirdPartyRegisterTests {
    private typealias L = Laboratory

    /// A core whose alice has these criteria and no password.
    private func rig(_ criteria: [InitialFilterCriterion], _ change: (inout ServingCSCFConfiguration) -> Void = { _ in }) -> CoreRig {
        CoreRig {
            $0.profiles = [L.profile(criteria)]
            $0.subscribers[0].isAuthenticated = false
            change(&$0)
        }
    }

    @Test func itIsBuiltForTheServer() {
        let rig = rig(L.shortForm(0))
        rig.register(
            .alice,
            [
                ("P-Access-Network-Info", "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=00101"), ("P-Visited-Network-ID", "\"home1.test\""),
                ("P-Charging-Vector", "icid-value=\"abc\";orig-ioi=other.test"), ("Path", "<sip:edge.home1.test;lr>"),
                ("Authorization", "Digest username=\"alice\", realm=\"elsewhere\", nonce=\"1\", uri=\"sip:home1.test\", response=\"2\""),
            ])
        let told = rig.next(to: .im)
        #expect(told.startLine == "REGISTER sip:127.0.0.1:5080 SIP/2.0")
        #expect(told["From"]?.hasPrefix("<sip:127.0.0.1:5060>;tag=") == true)
        #expect(told["To"] == "<sip:alice@home1.test>")
        #expect(told["Contact"] == "<sip:127.0.0.1:5060>")
        #expect(told["Expires"] == "3600")
        #expect(told["Max-Forwards"] == "70")
        #expect(told.all("Via").count == 1)
        #expect(told["P-Access-Network-Info"] == "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=00101")
        #expect(told["P-Visited-Network-ID"] == "\"home1.test\"")
        #expect(told["P-Charging-Vector"] == "icid-value=\"abc\";orig-ioi=\"Type 3home1.test\"")
        for absent in ["Route", "Record-Route", "Path", "Service-Route", "Authorization"] { #expect(!told.has(absent)) }
        #expect(told.body == "")
        #expect(told["Call-ID"]?.hasPrefix("call") == false)
    }

    @Test func itComesAfterTheAnswerToTheUser() {
        let rig = rig(L.shortForm(0))
        rig.receive(rig.registerRequest(.alice), from: .alice)
        #expect(rig.trace() == ["alice 200 REGISTER", "im REGISTER"])
    }

    @Test func nothingIsToldOfARefusedRequest() {
        let rig = CoreRig()
        rig.receive(rig.registerRequest(.alice), from: .alice)
        #expect(rig.trace() == ["alice 401 REGISTER"])
        let brief = self.rig(L.shortForm(0))
        brief.receive(brief.registerRequest(.alice, expires: 5), from: .alice)
        #expect(brief.trace() == ["alice 423 REGISTER"])
    }

    @Test func oneCallAndARisingSequencePerUserAndServer() {
        let rig = rig(L.shortForm(0))
        rig.answers["im"] = 200
        rig.register(.alice)
        let first = rig.next(to: .im)
        rig.register(.alice)
        let second = rig.next(to: .im)
        #expect(first["Call-ID"] == second["Call-ID"])
        #expect(first["From"] != second["From"])
        // An identity of the same set has one of its own.
        rig.receive(rig.registerRequest(.alice).with("To", "<tel:+15550100>"), from: .alice)
        #expect(rig.next(to: .im)["Call-ID"] != second["Call-ID"])
        func sequence(_ text: SIPText) -> Int { Int(text["CSeq"]?.split(separator: " ")[0] ?? "") ?? 0 }
        #expect(sequence(second) > sequence(first))
    }

    /// By the token a server knows by which registration a request came (TS 24.229 §7.9.7).
    @Test func aTokenStandsForARegistration() throws {
        let rig = CoreRig {
            $0.thirdParty.givesTokens = true
            $0.isPersistent = true
            $0.profiles = [L.profile([L.criterion(0, [.method("REGISTER")], 0), L.criterion(1, [.method("MESSAGE")], 0)])]
        }
        func token(_ request: SIPText, _ field: String) throws -> String {
            let value = try #require(request[field])
            let start = try #require(value.range(of: "+g.3gpp.registration-token=\"<"))
            return String(value[start.upperBound...].prefix { $0 != ">" })
        }
        func told(_ rig: CoreRig) throws -> SIPText {
            let request = rig.next(to: .im)
            #expect(request.method == "REGISTER")
            rig.receive(request.response(200), from: .im)
            return request
        }
        func register(_ rig: CoreRig, call: String, expires: Int = 3600) {
            let request = rig.registerRequest(.alice, expires: expires).with("Call-ID", call)
            rig.receive(request, from: .alice)
            let challenge = rig.next(to: .alice)
            rig.receive(rig.answering(challenge, request, username: "alice", password: "wonderland"), from: .alice)
            #expect(rig.next(to: .alice).status == 200)
        }
        register(rig, call: "one")
        let first = try told(rig)
        let value = try token(first, "Contact")
        #expect(first["Contact"] == "<sip:127.0.0.1:5060>;+g.3gpp.registration-token=\"<\(value)>\"")
        #expect(value.count == 32)
        // The same for what the user sends, for a refresh, and after a restart.
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice)
        #expect(rig.next(to: .im)["Feature-Caps"] == "*;+g.3gpp.registration-token=\"<\(value)>\"")
        register(rig, call: "one")
        #expect(try token(try told(rig), "Contact") == value)
        let again = rig.restarted()
        again.send("MESSAGE", "sip:bob@home1.test", from: .alice)
        #expect(try token(again.next(to: .im), "Feature-Caps") == value)
        // Another registration has another, and the end of one has none.
        register(again, call: "two")
        #expect(try token(try told(again), "Contact") != value)
        register(again, call: "two", expires: 0)
        #expect(try told(again)["Contact"] == "<sip:127.0.0.1:5060>")
    }

    @Test func withoutTheOptionThereIsNoToken() {
        let rig = CoreRig()
        rig.register(.alice)
        #expect(rig.next(to: .im)["Contact"] == "<sip:127.0.0.1:5060>")
    }

    @Test func allServersAreToldAtOnce() {
        let rig = rig([L.criterion(0, [.method("REGISTER")], 0), L.criterion(1, [.method("REGISTER")], 1)])
        rig.receive(rig.registerRequest(.alice), from: .alice)
        #expect(rig.trace() == ["alice 200 REGISTER", "im REGISTER", "second REGISTER"])
    }

    @Test func twoTagsOfOneServerTellItOnce() {
        let rig = rig(L.shortForm(0) + L.shortForm(0, tag: "+g.other"))
        rig.receive(rig.registerRequest(.alice), from: .alice)
        #expect(rig.trace() == ["alice 200 REGISTER", "im REGISTER"])
    }

    @Test(arguments: [
        ([RegistrationType.initial], ["3600"]), ([.reregistration], ["1800"]), ([.deregistration], ["0"]),
        ([.initial, .deregistration], ["3600", "0"]), ([], ["3600", "1800", "0"]),
    ])
    func registrationTypesLimitWhatIsTold(_ types: [RegistrationType], _ expected: [String]) {
        let rig = rig([L.criterion(0, [.method("REGISTER", registrationTypes: types)], 0)])
        rig.answers["im"] = 200
        for expires in [3600, 1800, 0] { rig.register(.alice, expires: expires) }
        #expect(rig.register(.alice, contact: "").status == 200)
        let told = rig.taken().filter { $0.destination == "im" }.compactMap { $0.message["Expires"] }
        #expect(told == [] || told == expected)
        #expect(rig.thirdParty(0, .sent) == UInt64(expected.count))
    }

    @Test func theUsersRequestDecides() {
        let rig = rig([L.criterion(0, [.method("REGISTER"), .header("Contact", content: "\\+g\\.oma\\.sip-im([;,]|$)")], 0)])
        rig.register(.alice)
        #expect(rig.trace() == [])
        rig.register(.alice, contact: "<sip:alice@127.0.0.1:5071>;+g.oma.sip-im")
        #expect(rig.trace() == ["im REGISTER"])
    }

    @Test func aSessionCaseOfRegisterIsOriginating() {
        let rig = rig([
            L.criterion(0, [.method("REGISTER"), .sessionCase(.originating)], 0),
            L.criterion(1, [.method("REGISTER"), .sessionCase(.terminating)], 1),
        ])
        rig.register(.alice)
        #expect(rig.trace() == ["im REGISTER"])
    }

    @Test func eachOtherProfileOfTheSetIsToldOnce() {
        let rig = rig([L.criterion(0, [.method("REGISTER")], 0)]) {
            $0.profiles.append(L.profile([L.criterion(0, [.method("REGISTER")], 1)]))
            $0.subscribers[0].profiles = [0, 1]
        }
        rig.register(.alice)
        #expect(rig.next(to: .im)["To"] == "<sip:alice@home1.test>")
        #expect(rig.next(to: .second)["To"] == "<tel:+15550100>")
    }

    /// Who is told of the end knows the user by the identity that it registered by, not by the default one.
    @Test(arguments: [false, true]) func theEndIsToldOfTheIdentityRegisteredBy(isPersistent: Bool) {
        for isExpiry in [false, true] {
            var rig = rig([L.criterion(0, [.method("REGISTER")], 0)]) { $0.isPersistent = isPersistent }
            rig.answers["im"] = 200
            rig.receive(rig.registerRequest(.alice).with("To", "<tel:+15550100>"), from: .alice)
            let told = rig.next(to: .im)
            #expect(told["To"] == "<tel:+15550100>")
            if isPersistent {
                rig = rig.restarted()
                rig.answers["im"] = 200
            }
            _ = rig.taken()
            if isExpiry { rig.advance(.seconds(3601)) } else { #expect(rig.deregister("sip:alice@home1.test")) }
            let end = rig.next(to: .im)
            #expect(end["Expires"] == "0")
            #expect(end["To"] == told["To"])
            #expect(end["Call-ID"] == told["Call-ID"])
        }
    }

    /// A set with two profiles, of which the second one's first identity is barred.
    private func rigWithBarred(_ identities: [String], _ isBarred: [Bool], _ profiles: [Int]) -> CoreRig {
        let rig = rig([L.criterion(0, [.method("REGISTER")], 0)]) {
            $0.profiles.append(L.profile([L.criterion(0, [.method("REGISTER")], 1)]))
            $0.subscribers[0] = L.subscriber("alice", identities.map { "sip:\($0)@home1.test" }, password: nil, profile: 0)
            $0.subscribers[0].profiles = profiles.map { $0 }
            $0.subscribers[0].isBarred = isBarred
        }
        rig.answers = ["im": 200, "second": 200]
        return rig
    }

    private func named(_ rig: CoreRig) -> Set<String> {
        Set(rig.taken().filter { $0.message.isRequest }.map { "\($0.destination) \($0.message["To"] ?? "")" })
    }

    /// TS 24.229 §5.4.1.7 c: To names an identity of the profile that the criterion is of.
    @Test func inPlaceOfABarredIdentityOneOfItsProfileIsNamed() {
        let rig = rigWithBarred(["adef", "abar", "aok"], [false, true, false], [0, 1, 1])
        let expected: Set = ["im <sip:adef@home1.test>", "second <sip:aok@home1.test>"]
        rig.receive(rig.registerRequest(.alice).with("To", "<sip:abar@home1.test>"), from: .alice)
        #expect(named(rig) == expected)
        #expect(rig.deregister("sip:adef@home1.test"))
        #expect(named(rig) == expected)
    }

    @Test func aProfileWhoseIdentitiesAreAllBarredIsToldToNobody() {
        let rig = rigWithBarred(["adef", "abar"], [false, true], [0, 1])
        rig.receive(rig.registerRequest(.alice).with("To", "<sip:abar@home1.test>"), from: .alice)
        #expect(named(rig) == ["im <sip:adef@home1.test>"])
        #expect(rig.deregister("sip:adef@home1.test"))
        #expect(named(rig) == ["im <sip:adef@home1.test>"])
    }

    /// RFC 3261 §8.1.1.8.
    @Test func aServerWithASIPSURIGetsASIPSContact() throws {
        let rig = rig([L.criterion(0, [.method("REGISTER")], 0) { $0.uri = "sips:127.0.0.1:5080" }]) {
            $0.listeners.append(Listener(transport: .tls, local: Endpoint(address: .loopback, port: 5061)))
            $0.applicationServers[0].destination.transport = .tls
        }
        rig.register(.alice)
        let told = try #require(rig.taken().first { $0.destination == "tls:127.0.0.1:5080" })
        #expect(told.message.startLine == "REGISTER sips:127.0.0.1:5080 SIP/2.0")
        #expect(told.message["Contact"] == "<sips:127.0.0.1:5061>")
    }

    @Test func whileAContactIsLeftTheLongestTimeIsTold() {
        let rig = rig(L.shortForm(0)) { $0.registrar = RegistrarSettings(profile: .rfc3261) }
        rig.register(.alice, expires: 3600)
        rig.register(.alice, expires: 600, contact: "<sip:alice@127.0.0.1:9>")
        _ = rig.taken()
        rig.register(.alice, expires: 0)
        #expect(rig.next(to: .im)["Expires"] == "600")
        rig.register(.alice, expires: 0, contact: "*")
        #expect(rig.next(to: .im)["Expires"] == "0")
    }

    /// The strict reading of the note in TS 24.229 §5.7.1.1, as an option.
    @Test func theEndOfAContactMayBeToldAsTheEndOfAll() {
        let rig = rig(L.shortForm(0)) {
            $0.registrar = RegistrarSettings(profile: .rfc3261)
            $0.thirdParty.tellsZeroWithContactsLeft = true
        }
        rig.answers["im"] = 200
        rig.register(.alice, expires: 3600)
        rig.register(.alice, expires: 600, contact: "<sip:alice@127.0.0.1:9>")
        rig.register(.alice, expires: 100, contact: "<sip:alice@127.0.0.1:8>")
        #expect(rig.taken().last?.message["Expires"] == "3600")
        rig.register(.alice, expires: 0, contact: "<sip:alice@127.0.0.1:9>")
        #expect(rig.next(to: .im)["Expires"] == "0")
        rig.advance(.seconds(101))
        #expect(rig.next(to: .im)["Expires"] == "0")
        #expect(rig.contacts("sip:alice@home1.test").count == 1)
        rig.register(.alice)
        #expect(rig.next(to: .im)["Expires"] == "3600")
    }

    @Test(arguments: [false, true]) func whomNoCriterionTakesIsDeregisteredIfAskedFor(isPersistent: Bool) {
        func rig(rejects: Bool) -> CoreRig {
            CoreRig {
                $0.rejectsUnservedUsers = rejects
                $0.isPersistent = isPersistent
                $0.subscribers[0].isAuthenticated = false
            }
        }
        let strict = rig(rejects: true)
        strict.answers["im"] = 200
        #expect(strict.register(.carol).status == 200)
        #expect(strict.contacts("sip:carol@home1.test") == [])
        #expect(strict.records.isEmpty)
        #expect(strict.register(.alice).status == 200)
        #expect(strict.contacts("sip:alice@home1.test").count == 1)
        let tolerant = rig(rejects: false)
        tolerant.register(.carol)
        #expect(tolerant.contacts("sip:carol@home1.test").count == 1)
    }

    @Test func deregistrationByTheNetworkIsToldWithoutTheUsersWords() {
        let rig = rig([
            L.criterion(0, [.method("REGISTER")], 0) {
                $0.serviceInfo = "info"
                $0.includesRegisterRequest = true
            }
        ])
        rig.answers["im"] = 200
        rig.register(.alice, [("P-Access-Network-Info", "x")])
        _ = rig.taken()
        #expect(rig.deregister("sip:alice@home1.test"))
        let told = rig.next(to: .im)
        #expect(told["Expires"] == "0")
        #expect(told["To"] == "<sip:alice@home1.test>")
        #expect(told.body == "")
        #expect(!told.has("P-Access-Network-Info"))
        #expect(!rig.deregister("sip:alice@home1.test"))
        #expect(!rig.deregister("sip:nobody@home1.test"))
    }

    // MARK: The body

    @Test func serviceInformationIsTheBodyEscaped() {
        let rig = rig([L.criterion(0, [.method("REGISTER")], 0) { $0.serviceInfo = "<a>1 & 2</a>" }])
        rig.register(.alice)
        let told = rig.next(to: .im)
        #expect(told["Content-Type"] == "application/3gpp-ims+xml")
        #expect(told.body.contains("<ims-3gpp version=\"1\"><service-info>&lt;a&gt;1 &amp; 2&lt;/a&gt;</service-info></ims-3gpp>"))
        rig.register(.alice, expires: 0)
        #expect(rig.next(to: .im).body == "")
    }

    @Test func theUsersRequestIsTheBodyToTheOctet() throws {
        let rig = rig([L.criterion(0, [.method("REGISTER")], 0) { $0.includesRegisterRequest = true }])
        let request = rig.registerRequest(.alice)
        rig.receive(request, from: .alice)
        let told = try #require(rig.taken().last)
        #expect(told.message["Content-Type"] == "message/sip")
        #expect(String(decoding: told.octets, as: UTF8.self).hasSuffix("\r\n\r\n" + request.text))
    }

    /// Line ends before the message and octets behind its body in a datagram are none of it (RFC 3261 §7.5, §18.3).
    @Test func whatIsAroundTheUsersRequestIsNotShown() throws {
        let rig = rig([L.criterion(0, [.method("REGISTER")], 0) { $0.includesRegisterRequest = true }])
        let request = rig.registerRequest(.alice)
        rig.receive("\r\n\r\n" + request.text + "behind", from: .alice)
        let told = try #require(rig.taken().last)
        #expect(told.message["Content-Length"] == String(request.text.utf8.count))
        #expect(String(decoding: told.octets, as: UTF8.self).hasSuffix("\r\n\r\n" + request.text))
    }

    @Test func severalPartsStandInTheirOrder() throws {
        let rig = rig([
            L.criterion(0, [.method("REGISTER")], 0) {
                $0.serviceInfo = "info"
                $0.includesRegisterRequest = true
                $0.includesRegisterResponse = true
            }
        ])
        let request = rig.registerRequest(.alice)
        rig.receive(request, from: .alice)
        let sent = rig.taken()
        try #require(sent.count == 2)
        let told = sent[1].message
        let boundary = told.parameter("boundary", of: "Content-Type") ?? "?"
        #expect(told["Content-Type"]?.hasPrefix("multipart/mixed;boundary=") == true)
        let text = String(decoding: sent[1].octets, as: UTF8.self)
        let body = String(text[(text.range(of: "\r\n\r\n")?.upperBound ?? text.endIndex)...])
        #expect(told["Content-Length"] == String(body.utf8.count))
        let parts = body.split(separator: "--\(boundary)", omittingEmptySubsequences: false).map(String.init)
        try #require(parts.count == 5)
        #expect(parts[0] == "")
        #expect(parts[1].hasPrefix("\r\nContent-Type: application/3gpp-ims+xml\r\n\r\n"))
        #expect(parts[2] == "\r\nContent-Type: message/sip\r\n\r\n\(request.text)\r\n")
        #expect(parts[3] == "\r\nContent-Type: message/sip\r\n\r\n\(String(decoding: sent[0].octets, as: UTF8.self))\r\n")
        #expect(parts[4] == "--\r\n")
    }

    @Test func aLargeOneGoesByStream() throws {
        let rig = rig([
            L.criterion(0, [.method("REGISTER")], 0) {
                $0.includesRegisterRequest = true
                $0.includesRegisterResponse = true
            }
        ])
        rig.register(.alice, [("X-Filler", String(repeating: "x", count: 800))])
        let sent = rig.taken()
        #expect(sent.map(\.destination) == ["tcp:127.0.0.1:5080"])
        #expect(sent.first?.message["Via"]?.hasPrefix("SIP/2.0/TCP 127.0.0.1:5060") == true)
    }
}
