import SCSCF
import SansIO
import Testing
import TortureMessages

/// What the core does with each message of RFC 4475 and RFC 5118 that comes as a datagram: as the RFCs ask, and where they
/// leave a choice to an element, as it says here.
struct TortureVerdictTests {
    enum Verdict: Equatable {
        /// Answered with this status, and nothing else is sent.
        case answered(Int)
        /// Sent on, to one place, and not answered by the core but for a 100.
        case forwarded(String)
        /// A REGISTER that leaves these bindings, answered 200.
        case registered([String])
        /// Neither answered nor sent on, and counted.
        case dropped(DropReason)
    }

    static let verdicts: [String: Verdict] = [
        // RFC 4475 §3.1.1, valid messages.
        "wsinv": .forwarded("elsewhere"),
        "intmeth": .forwarded("phone"),
        "esc01": .forwarded("elsewhere"),
        "escnull": .registered(["sip:%00@host5.mirror.test", "sip:%00%00@host5.mirror.test"]),
        "esc02": .forwarded("elsewhere"),
        "lwsdisp": .forwarded("phone"),
        "longreq": .forwarded("phone"),
        "dblreq": .registered(["sip:j.user@host.mirror.test"]),
        "semiuri": .forwarded("phone"),
        "transports": .forwarded("phone"),
        "mpart01": .forwarded("im"),
        // Responses to nothing of ours.
        "unreason": .dropped(.strayResponse),
        "noreason": .dropped(.strayResponse),
        // §3.1.2, invalid messages.
        "badinv01": .answered(400),
        "clerr": .answered(400),
        "ncl": .answered(400),
        "scalar02": .answered(400),
        "scalarlg": .dropped(.malformed),
        "quotbal": .answered(400),
        "ltgtruri": .answered(400),
        "lwsruri": .answered(400),
        "lwsstart": .answered(400),
        "trws": .answered(400),
        "escruri": .answered(400),
        // A proxy has no use for Date.
        "baddate": .forwarded("phone"),
        "regbadct": .answered(400),
        "badaspec": .answered(400),
        "baddn": .answered(400),
        "badvers": .answered(505),
        "mismatch01": .answered(400),
        "mismatch02": .answered(400),
        "bigcode": .dropped(.malformed),
        // §3.2: a branch that is only the cookie is taken as one of RFC 2543.
        "badbranch": .forwarded("phone"),
        // §3.3.
        "insuf": .answered(400),
        "unkscm": .answered(416),
        "novelsc": .answered(416),
        "unksm2": .answered(400),
        "bext01": .answered(420),
        "invut": .forwarded("phone"),
        // Nothing to prove: a query, answered with no bindings.
        "regaut01": .registered([]),
        "multi01": .answered(400),
        "mcl01": .answered(400),
        "bcast": .dropped(.strayResponse),
        "zeromf": .answered(483),
        // Without brackets the parameter is the header field's, with them the URI's.
        "cparam01": .registered(["sip:+15550170222@gw1.pepper.test"]),
        "cparam02": .registered(["sip:+15550170222@gw1.pepper.test;unknownparam"]),
        "regescrt": .registered(["sip:user@mirror.test?Route=%3Csip:sip.mirror.test%3E"]),
        // Nobody is provisioned as j_user; the Request-URI is the user's.
        "sdp01": .forwarded("phone"),
        "inv2543": .forwarded("phone"),
        // RFC 5118.
        "ipv6-good": .registered(["sip:dialer@[2001:db8::1]"]),
        "ipv6-bad": .answered(400),
        // Two listeners of ours, told apart by address and port.
        "port-ambiguous": .registered(["sip:dialer@[2001:db8::1]"]),
        "port-unambiguous": .registered(["sip:dialer@[2001:db8::1]"]),
        "via-received-param-no-delim": .answered(200),
        // A dialog that is not here, and no Route.
        "via-received-param-with-delim": .answered(481),
        "ipv6-in-sdp": .forwarded("phone"),
        "mult-ip-in-header": .forwarded("elsewhere"),
        "mult-ip-in-sdp": .forwarded("phone"),
        "ipv4-mapped-ipv6": .forwarded("phone"),
        "ipv6-bug-abnf-3-colons": .forwarded("udp:[2001:db8::c000:201]:5060"),
        "ipv6-correct-abnf-2-colons": .forwarded("udp:[2001:db8::c000:201]:5060"),
    ]

    @Test(arguments: TortureMessage.all)
    func isTreatedAsItShould(_ message: TortureMessage) throws {
        let verdict = try #require(TortureVerdictTests.verdicts[message.name])
        // Users whose bindings are compared begin without any.
        let rig = if case .registered = verdict { TortureLaboratory.rig() } else { TortureLaboratory.registeredRig() }
        rig.receive(message.octets, from: TortureLaboratory.sender)
        let sent = rig.taken().filter { $0.message.status != 100 }
        switch verdict {
        case .answered(let status):
            #expect(sent.map(\.message.status) == [status])
        case .forwarded(let place):
            #expect(sent.map(TortureLaboratory.name) == [place])
            #expect(sent.first?.message.isRequest == true)
        case .registered(let contacts):
            #expect(sent.map(\.message.status) == [200])
            let all = rig.core.registeredIdentities(at: rig.now.monotonic).flatMap(\.contacts).map(\.uri)
            #expect(Set(all) == Set(contacts))
        case .dropped(let reason):
            #expect(sent.isEmpty)
            #expect(rig.dropped(reason) == 1)
        }
    }

    @Test func everyMessageHasAVerdict() {
        #expect(Set(TortureVerdictTests.verdicts.keys) == Set(TortureMessage.all.map(\.name)))
    }

    private func answer(to name: String, _ rig: CoreRig) throws -> SIPText {
        rig.receive(TortureMessage.named(name).octets, from: TortureLaboratory.sender)
        let answers = rig.taken().map(\.message).filter { !$0.isRequest && $0.status != 100 }
        return try #require(answers.first)
    }

    private func forwarded(_ name: String, _ rig: CoreRig) throws -> CoreRig.Sent {
        rig.receive(TortureMessage.named(name).octets, from: TortureLaboratory.sender)
        return try #require(rig.taken().first { $0.message.isRequest })
    }

    /// §3.3.5: a proxy names the tags of Proxy-Require alone.
    @Test func bext01() throws {
        let answer = try answer(to: "bext01", TortureLaboratory.registeredRig())
        #expect(answer["Unsupported"] == "noRelayKnowsThisWord, norDoesAnyRelayKnowThisOne")
    }

    /// §3.3.7: credentials of a scheme that nobody knows are none.
    @Test func regaut01() throws {
        let rig = TortureLaboratory.rig {
            $0.subscribers[1] = Laboratory.subscriber("j", TortureLaboratory.users[1], password: "x", profile: nil)
        }
        let answer = try answer(to: "regaut01", rig)
        #expect(answer.status == 401)
        #expect(answer.parameter("realm", of: "WWW-Authenticate") == "mirror.test")
    }

    /// §3.1.2.1, §3.1.2.16: the answer repeats a Via that could not be read as a whole.
    @Test func aMalformedViaIsRepeated() throws {
        let invalid = try answer(to: "badinv01", TortureLaboratory.rig())
        #expect(invalid["Via"] == "SIP/2.0/UDP 192.0.2.15;received=192.0.2.66;;,;,,")
        let version = try answer(to: "badvers", TortureLaboratory.rig())
        #expect(version["Via"] == "SIP/7.0/UDP c.mirror.test;received=192.0.2.66;branch=z9hG4bKxqorm")
    }

    /// §3.4.1: what an INVITE of RFC 2543 lacks is put in.
    @Test func inv2543() throws {
        let request = try forwarded("inv2543", TortureLaboratory.registeredRig()).message
        #expect(request["Max-Forwards"] == "70")
        #expect(request.all("Record-Route").last == "<sip:UserQ@mirror.test;maddr=ss1.mirror.test>")
        #expect(request["From"] == "<sip:+15550171111@ift.client.pepper.test;user=phone>")
    }

    @Test func maximumForwardsOfWsinv() throws {
        let request = try forwarded("wsinv", TortureLaboratory.registeredRig()).message
        #expect(request["Max-Forwards"] == "67")
    }

    /// §3.1.1.11: towards a strict router the Request-URI goes to the end of the route; the body is untouched.
    @Test func mpart01() throws {
        let sent = try forwarded("mpart01", TortureLaboratory.registeredRig())
        #expect(sent.message.uri == "sip:127.0.0.1:5080")
        #expect(sent.message.all("Route") == ["<sip:ludwik@walnut.test>"])
        let body = TortureMessage.named("mpart01").octets.suffix(553)
        #expect(sent.octets.suffix(553) == body)
    }

    /// §3.1.1.5: neither its contacts nor its likeness to REGISTER make it one.
    @Test func esc02RegistersNobody() throws {
        let rig = TortureLaboratory.rig()
        let request = try forwarded("esc02", rig).message
        #expect(request.method == "RE%47IST%45R")
        #expect(rig.core.registeredCount == 0)
    }

    /// §3.3.12, §3.3.13: a URI comes back as it was registered.
    @Test(arguments: [("cparam01", "sip:+15550170222@gw1.pepper.test"), ("cparam02", "sip:+15550170222@gw1.pepper.test;unknownparam")])
    func aContactIsAskedByItsURI(_ name: String, _ uri: String) throws {
        let rig = TortureLaboratory.rig()
        let answer = try answer(to: name, rig)
        #expect(answer.status == 200)
        rig.send("OPTIONS", "sip:callee@mirror.test", from: TortureLaboratory.sender)
        #expect(rig.first().uri == uri)
    }

    /// §3.3.14: header fields in a Contact URI are not there when it is asked (RFC 3261 §16.6 step 2), and nothing is routed by them.
    @Test func regescrt() throws {
        let rig = TortureLaboratory.rig()
        let answer = try answer(to: "regescrt", rig)
        #expect(answer.status == 200)
        rig.send("OPTIONS", "sip:user@mirror.test", from: TortureLaboratory.sender)
        let request = rig.first()
        #expect(request.uri == "sip:user@mirror.test")
        #expect(!request.has("Route"))
    }

    /// §3.1.2.4, §3.1.2.13: what is refused changes nothing.
    @Test(arguments: ["scalar02", "regbadct", "unksm2", "ipv6-bad"])
    func aRefusedRegistrationBindsNothing(_ name: String) throws {
        let rig = TortureLaboratory.rig()
        let answer = try answer(to: name, rig)
        #expect(answer.status == 400)
        #expect(rig.core.registeredCount == 0)
    }

    /// §3.3.10: even where a response is ours to pass on, its next Via does not send it to everybody.
    @Test func nothingGoesToTheBroadcastAddress() {
        let rig = TortureLaboratory.registeredRig()
        let request = rig.request("INVITE", "sip:user@mirror.test", from: TortureLaboratory.sender)
        rig.receive(request, from: TortureLaboratory.sender)
        guard let sent = rig.taken().first(where: { $0.message.isRequest }) else { return }
        var response = sent.message.response(200)
        let top = response.all("Via")[0]
        response.set("Via", nil)
        response.headers.insert(("Via", "SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23"), at: 0)
        response.headers.insert(("Via", top), at: 0)
        rig.receive(response, from: TortureLaboratory.phone)
        // It goes where the request came from, whatever its Via says.
        #expect(rig.taken().map(TortureLaboratory.name) == ["sender"])
    }
}
