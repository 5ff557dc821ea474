import InstantMessaging
import SIPMessage
import SIPRegistrar
import SansIO
import Testing

/// What the client answers to challenges: of passwords by several functions, and of its SIM (RFC 7616, RFC 8760, RFC 3310).
struct ClientAuthenticationTests {
    private static let keys = AKACredentials(k: 0x11, opc: 0x22, amf: 0x8000, sqn: SequenceNumber(rawValue: 0x100))

    private func aka(_ algorithms: [AKAAlgorithm] = [.v1MD5]) -> AKAAuthenticator {
        AKAAuthenticator(settings: AKASettings(realm: Array("home1.test".utf8), algorithms: algorithms), secret: HashSecret(1, 2))
    }

    private func challenge(
        _ authenticator: inout AKAAuthenticator, _ keys: AKACredentials = ClientAuthenticationTests.keys, to request: SIPText
    ) -> SIPText {
        var buffer = OctetBuffer()
        _ = authenticator.appendChallenge(
            to: 1, with: keys, callID: Array("c".utf8).span.bytes, isStale: false, showsKeys: false, at: .zero, into: &buffer)
        let fields = String(octets: buffer.bytes).split(separator: "\r\n").map { field in
            ("WWW-Authenticate", String(field.dropFirst("WWW-Authenticate: ".count)))
        }
        return request.response(401, "Unauthorized", fields)
    }

    private func verdict(_ authenticator: inout AKAAuthenticator, _ request: SIPText) -> AKAVerdict {
        let octets = Array((request["Authorization"] ?? "").utf8)
        guard let parameters = octets.span.bytes.digestParameters(Slice(0, octets.count)) else { return .absent }
        return authenticator.verify(
            parameters, in: octets.span.bytes, method: Array("REGISTER".utf8).span.bytes, body: RawSpan(), device: 1,
            keys: ClientAuthenticationTests.keys, at: .zero)
    }

    private func accept(_ rig: ClientRig, _ request: SIPText) {
        rig.receive(request.response(200, "OK", [("Contact", request["Contact"] ?? "")]))
    }

    @Test(arguments: AKAAlgorithm.allCases)
    func aSIMAnswersEachChallengeOnce(algorithm: AKAAlgorithm) {
        var network = aka([algorithm])
        let rig = ClientRig {
            $0.sim = ClientAuthenticationTests.keys
            $0.password = ""
        }
        for _ in 0..<3 {
            rig.perform("register")
            let first = rig.one()
            #expect(first["Authorization"]?.contains("nonce=\"\"") == true)
            rig.receive(challenge(&network, to: first))
            let second = rig.one()
            #expect(verdict(&network, second) == .accepted)
            accept(rig, second)
            #expect(rig.outcomes() == [.succeeded])
        }
    }

    @Test func aSIMThatIsAheadAsksForAnotherChallenge() {
        var network = aka()
        let rig = ClientRig {
            $0.sim = AKACredentials(k: 0x11, opc: 0x22, amf: 0x8000, sqn: SequenceNumber(rawValue: 0x10_0000_0000))
        }
        rig.perform("register")
        rig.receive(challenge(&network, to: rig.one()))
        let request = rig.one()
        #expect(request["Authorization"]?.contains("auts=\"") == true)
        #expect(verdict(&network, request) == .resynchronised)
        rig.receive(challenge(&network, to: request))
        let answer = rig.one()
        #expect(verdict(&network, answer) == .accepted)
        accept(rig, answer)
        #expect(rig.outcomes() == [.succeeded])
    }

    @Test func aNetworkWithoutTheKeyIsToldSo() {
        var network = aka()
        let rig = ClientRig { $0.sim = ClientAuthenticationTests.keys }
        rig.perform("register")
        let other = AKACredentials(k: 0x12, opc: 0x22, amf: 0x8000, sqn: SequenceNumber(rawValue: 0x100))
        rig.receive(challenge(&network, other, to: rig.one()))
        let refusal = rig.one()
        #expect(refusal["Authorization"]?.contains("response=\"\"") == true)
        #expect(verdict(&network, refusal) == .refused(.networkNotProved))
        rig.receive(refusal.response(403, "Forbidden", [("Warning", "399 x \"no\"")]))
        #expect(rig.outcomes() == [.failed])
    }

    @Test func withoutASIMItsChallengeCannotBeAnswered() {
        var network = aka()
        let rig = ClientRig()
        rig.perform("register")
        rig.receive(challenge(&network, to: rig.one()))
        #expect(rig.outcomes() == [.failed])
    }

    @Test func theTopmostChallengeThatIsKnownIsAnswered() {
        let rig = ClientRig()
        rig.perform("register")
        let fields = ["SHA-1", "SHA-512-256", "MD5"].map { name in
            ("WWW-Authenticate", "Digest realm=\"home1.test\", nonce=\"n\", algorithm=\(name), qop=\"auth\"")
        }
        rig.receive(rig.one().response(401, "Unauthorized", fields))
        let answer = rig.one()
        #expect(answer["Authorization"]?.contains("algorithm=SHA-512-256") == true)
        #expect(answer["Authorization"]?.contains(/response="[0-9a-f]{64}"/) == true)
    }

    @Test func theBodyIsProtectedWhereThatIsAskedFor() {
        let rig = ClientRig()
        rig.register()
        rig.perform("message sip:bob@home1.test \"hello\"")
        let request = rig.one()
        let field = "Digest realm=\"home1.test\", nonce=\"n\", qop=\"auth-int\""
        rig.receive(request.response(407, "Proxy Authentication Required", [("Proxy-Authenticate", field)]))
        let answer = rig.one()
        #expect(answer.body == "hello")
        let octets = Array((answer["Proxy-Authorization"] ?? "").utf8)
        let given = octets.span.bytes.digestParameters(Slice(0, octets.count))
        let challenge = Array(field.utf8)
        guard let given, let asked = challenge.span.bytes.digestParameters(Slice(0, challenge.count)) else {
            Issue.record("no credentials: \(answer.text)")
            return
        }
        let cnonce = UInt64(String(octets: octets.span.bytes[given.cnonce]), radix: 16) ?? 0
        func expected(_ body: String) -> String {
            var buffer = OctetBuffer()
            _ = DigestClient.appendAuthorization(
                .proxyAuthorization, answering: asked, in: challenge.span.bytes, username: Array("alice@home1.test".utf8).span.bytes,
                password: Array("wonderland".utf8).span.bytes, method: Array("MESSAGE".utf8).span.bytes,
                uri: Array("sip:bob@home1.test".utf8).span.bytes, body: Array(body.utf8).span.bytes, nonceCount: 1, cnonce: cnonce,
                into: &buffer)
            return String(octets: buffer.bytes)
        }
        #expect("Proxy-Authorization: \(answer["Proxy-Authorization"] ?? "")\r\n" == expected("hello"))
        #expect(expected("hello") != expected("hallo"))
    }
}
