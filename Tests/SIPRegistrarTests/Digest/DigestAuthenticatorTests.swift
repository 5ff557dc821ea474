import SIPMessage
import SIPRegistrar
import SansIO
import Testing

@Suite struct DigestAuthenticatorTests {
    // MARK: Challenges

    @Test func `challenges with a new nonce each time`() {
        let rig = DigestRig(realm: "a \"b\"")
        let first = rig.challenge()
        #expect(first.hasPrefix("Digest realm=\"a \\\"b\\\"\", nonce=\""))
        #expect(first.hasSuffix(", algorithm=MD5, qop=\"auth\""))
        #expect(!first.contains("stale"))
        #expect(rig.challenge(.proxyAuthenticate, isStale: true).contains(", stale=true, "))
        #expect(Set((0..<100).map { _ in rig.challenge() }).count == 100)
    }

    @Test func `accepts the right answer`() throws {
        let rig = DigestRig()
        let answer = try #require(DigestRig.answer(rig.challenge()))
        #expect(answer.contains("algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c0ffee0000000001\""))
        #expect(rig.verify(answer) == .accepted)
    }

    @Test(arguments: ["MD5-sess", "md5"])
    func `accepts another algorithm of the family`(algorithm: String) throws {
        let rig = DigestRig()
        let answer = try #require(DigestRig.answer(rig.challenge().replacing("algorithm", by: algorithm)))
        #expect(rig.verify(answer) == .accepted)
    }

    @Test func `accepts an answer without algorithm, in capital digits`() throws {
        let rig = DigestRig()
        let answer = try #require(DigestRig.answer(rig.challenge().removing("algorithm")))
        let digits = try #require(answer.split(separator: "response=\"").last?.prefix(32))
        #expect(rig.verify(answer.replacing("response", by: "\"\(digits.uppercased())\"")) == .accepted)
    }

    // MARK: Several algorithms (RFC 8760 §2.4)

    @Test(arguments: [DigestFunction.md5, .sha256, .sha512_256])
    func `offers each algorithm by a challenge of its own, and takes an answer to any`(function: DigestFunction) throws {
        let rig = DigestRig(functions: [.sha512_256, .md5, .sha256])
        let challenges = rig.challenges()
        #expect(challenges.map { $0.split(separator: "algorithm=").last?.prefix { $0 != "," } } == ["SHA-512-256", "MD5", "SHA-256"])
        #expect(Set(challenges.map { $0.split(separator: "nonce=\"").last?.prefix(32) }).count == 1)
        let mine = try #require(challenges.first { $0.contains("algorithm=\(function.name)") })
        let answer = try #require(DigestRig.answer(mine))
        #expect(rig.verify(try #require(DigestRig.answer(mine, password: "x"))) == .wrong)
        #expect(rig.verify(answer) == .accepted)
        #expect(rig.verify(answer) == .stale)
        #expect(rig.authenticationInfo(for: answer).contains("nc=00000001"))
    }

    @Test func `takes an answer by what was not offered for none`() throws {
        let rig = DigestRig(functions: [.sha256])
        let challenge = rig.challenge()
        for other in ["MD5", "MD5-sess", "SHA-512-256", "SHA-1"] {
            #expect(rig.verify(DigestRig.answer(challenge)!.replacing("algorithm", by: other)) == .absent)
        }
        #expect(rig.verify(DigestRig.answer(challenge)!.removing("algorithm")) == .absent)
        #expect(rig.verify(try #require(DigestRig.answer(challenge.replacing("algorithm", by: "SHA-256-sess")))) == .accepted)
    }

    @Test func `wants as many digits as the algorithm gives`() throws {
        let rig = DigestRig(functions: [.md5, .sha256])
        let answer = try #require(DigestRig.answer(rig.challenges()[0]))
        #expect(rig.verify(answer.replacing("algorithm", by: "SHA-256")) == .malformed(.response))
    }

    // MARK: auth-int

    @Test func `protects the body with auth-int`() throws {
        let rig = DigestRig(qops: [.authInt])
        let challenge = rig.challenge()
        #expect(challenge.hasSuffix("qop=\"auth-int\""))
        let answer = try #require(DigestRig.answer(challenge, body: "hello"))
        #expect(answer.contains("qop=auth-int"))
        #expect(rig.verify(answer, body: "hallo") == .wrong)
        #expect(rig.verify(answer, body: "hello") == .accepted)
        #expect(rig.authenticationInfo(for: answer).hasPrefix("Authentication-Info: qop=auth-int, rspauth="))
        #expect(rig.verify(try #require(DigestRig.answer(rig.challenge())).replacing("qop", by: "auth")) == .malformed(.qop))
    }

    @Test func `offers qops in their order, of which the client takes auth`() throws {
        let rig = DigestRig(qops: [.authInt, .auth])
        let challenge = rig.challenge()
        #expect(challenge.hasSuffix("qop=\"auth-int,auth\""))
        let answer = try #require(DigestRig.answer(challenge, body: "hello"))
        #expect(answer.contains("qop=auth,"))
        #expect(rig.verify(answer) == .accepted)
    }

    // MARK: Replays

    @Test func `counts an answer once`() throws {
        let rig = DigestRig()
        let challenge = rig.challenge()
        let answer = try #require(DigestRig.answer(challenge))
        #expect(rig.verify(answer) == .accepted)
        #expect(rig.verify(answer) == .stale)
        #expect(rig.verify(try #require(DigestRig.answer(challenge, count: 3))) == .accepted)
        #expect(rig.verify(try #require(DigestRig.answer(challenge, count: 2))) == .stale)
        #expect(rig.verify(try #require(DigestRig.answer(challenge, count: 4))) == .accepted)
    }

    @Test func `voids older nonces by a newer one`() throws {
        let rig = DigestRig()
        let (older, newer) = (rig.challenge(), rig.challenge())
        #expect(rig.verify(try #require(DigestRig.answer(newer))) == .accepted)
        #expect(rig.verify(try #require(DigestRig.answer(older))) == .stale)
        #expect(rig.verify(try #require(DigestRig.answer(older)), device: 2) == .accepted)
    }

    @Test func `lets a nonce in use outlive its challenge, until the device is forgotten`() throws {
        let rig = DigestRig()
        let challenge = rig.challenge()
        #expect(rig.verify(try #require(DigestRig.answer(challenge))) == .accepted)
        rig.pass(100_000)
        #expect(rig.verify(try #require(DigestRig.answer(challenge, count: 2))) == .accepted)
        rig.forget()
        #expect(rig.verify(try #require(DigestRig.answer(challenge, count: 3))) == .stale)
    }

    @Test func `does not let a forgotten device's answer count again`() throws {
        let rig = DigestRig()
        let challenge = rig.challenge()
        let answer = try #require(DigestRig.answer(challenge))
        #expect(rig.verify(answer) == .accepted)
        rig.forget()
        for _ in 0..<48 {
            #expect(rig.verify(answer) == .stale)
            rig.pass(5)
        }
        rig.pass(5)
        #expect(rig.verify(answer) == .stale)
        #expect(rig.deviceCount == 0)
    }

    @Test func `voids all nonces of a device by other credentials, answered or not`() throws {
        let rig = DigestRig()
        let (used, open) = (rig.challenge(), rig.challenge())
        #expect(rig.verify(try #require(DigestRig.answer(used))) == .accepted)
        for device in [1, 2] as [UInt64] { rig.authenticator.voidNonces(of: device, at: rig.now) }
        for challenge in [used, open] {
            for device in [1, 2] as [UInt64] {
                #expect(rig.verify(try #require(DigestRig.answer(challenge, count: 2)), device: device) == .stale)
            }
        }
        #expect(rig.verify(try #require(DigestRig.answer(open)), device: 3) == .accepted)
        #expect(rig.verify(try #require(DigestRig.answer(rig.challenge()))) == .accepted)
        // What was kept of the other one is forgotten when its nonces are too old anyhow.
        rig.pass(241)
        for _ in 0..<5 { #expect(rig.verify(try #require(DigestRig.answer(rig.challenge())), device: 3) == .accepted) }
        #expect(rig.deviceCount == 2)
    }

    @Test func `lets a nonce serve once without qop`() throws {
        let rig = DigestRig()
        let challenge = rig.challenge().removing("qop")
        let answer = try #require(DigestRig.answer(challenge))
        #expect(!answer.contains("nc="))
        #expect(rig.verify(answer) == .accepted)
        #expect(rig.verify(answer) == .stale)
        #expect(rig.verify(try #require(DigestRig.answer(challenge + ", qop=\"auth\"", count: 2))) == .stale)
        #expect(DigestRig(requiresQop: true).verify(answer) == .malformed(.qop))
    }

    // MARK: Old and foreign nonces

    @Test func `takes a challenge for four minutes`() throws {
        let rig = DigestRig()
        let answer = try #require(DigestRig.answer(rig.challenge()))
        rig.pass(241)
        #expect(rig.verify(answer) == .stale)
        let next = try #require(DigestRig.answer(rig.challenge()))
        rig.pass(240)
        #expect(rig.verify(next) == .accepted)
    }

    @Test(arguments: ["x", "00000000000000010000000000000000", "00000000000f424000000000000f4240"])
    func `calls a nonce that is not its own stale`(nonce: String) throws {
        let rig = DigestRig()
        let answer = try #require(DigestRig.answer(rig.challenge().replacing("nonce", by: "\"\(nonce)\"")))
        #expect(rig.verify(answer) == .stale)
    }

    @Test func `voids all nonces by a reset`() throws {
        let rig = DigestRig()
        let answer = try #require(DigestRig.answer(rig.challenge()))
        rig.authenticator.reset(secret: HashSecret(8, 9), at: rig.now)
        _ = rig.challenge()
        #expect(rig.verify(answer) == .stale)
    }

    // MARK: Wrong answers

    @Test func `refuses after three wrong answers, and begins anew`() throws {
        let rig = DigestRig()
        let verdicts = try (0..<8).map { _ in rig.verify(try #require(DigestRig.answer(rig.challenge(), password: "x"))) }
        #expect(verdicts == [.wrong, .wrong, .wrong, .refused, .wrong, .wrong, .wrong, .refused])
    }

    @Test func `forgets wrong answers after a right one, and with the challenge`() throws {
        let rig = DigestRig(allowedFailures: 1)
        let wrong = { rig.verify(try #require(DigestRig.answer(rig.challenge(), password: "x"))) }
        #expect(try wrong() == .wrong)
        #expect(rig.verify(try #require(DigestRig.answer(rig.challenge()))) == .accepted)
        #expect(try wrong() == .wrong)
        rig.pass(240)
        #expect(try wrong() == .wrong)
        rig.pass(239)
        #expect(try wrong() == .refused)
    }

    @Test func `counts per device, and no stale answers`() throws {
        let rig = DigestRig(allowedFailures: 1)
        let old = try #require(DigestRig.answer(rig.challenge(), password: "x"))
        rig.pass(300)
        #expect(rig.verify(old) == .stale)
        #expect(rig.verify(try #require(DigestRig.answer(rig.challenge(), password: "x"))) == .wrong)
        #expect(rig.verify(old) == .stale)
        #expect(rig.verify(try #require(DigestRig.answer(rig.challenge(), password: "x")), device: 2) == .wrong)
        #expect(rig.verify(try #require(DigestRig.answer(rig.challenge(), password: "x"))) == .refused)
    }

    @Test func `remembers nothing of devices that only failed, after a while`() throws {
        let rig = DigestRig()
        for device in 0..<200 { _ = rig.verify(try #require(DigestRig.answer(rig.challenge(), password: "x")), device: UInt64(device)) }
        #expect(rig.deviceCount == 200)
        rig.pass(241)
        for _ in 0..<100 { _ = rig.verify(try #require(DigestRig.answer(rig.challenge())), device: 1000) }
        #expect(rig.deviceCount == 1)
    }

    @Test(arguments: ["method", "uri", "username"])
    func `hashes everything`(part: String) throws {
        let rig = DigestRig()
        let answer = try #require(DigestRig.answer(rig.challenge()))
        switch part {
        case "method": #expect(rig.verify(answer, method: "MESSAGE") == .wrong)
        case "uri": #expect(rig.verify(answer.replacing("uri", by: "\"sip:home2.test\"")) == .wrong)
        default: #expect(rig.verify(answer.replacing("Digest username", by: "\"bob\"")) == .wrong)
        }
    }

    // MARK: Credentials that cannot be verified

    @Test func `takes credentials of another realm or algorithm, or empty ones, for none`() throws {
        let rig = DigestRig()
        let answer = try #require(DigestRig.answer(rig.challenge()))
        #expect(rig.verify(answer.replacing("realm", by: "\"home2.test\"")) == .absent)
        #expect(rig.verify(answer.replacing("algorithm", by: "SHA-256")) == .absent)
        #expect(rig.verify(answer.replacing("response", by: "\"\"").replacing("nonce", by: "\"\"")) == .absent)
    }

    @Test func `names what is malformed`() throws {
        let rig = DigestRig()
        let answer = try #require(DigestRig.answer(rig.challenge()))
        #expect(rig.verify(answer.replacing("Digest username", by: "\"\"")) == .malformed(.username))
        #expect(rig.verify(answer.removing("uri")) == .malformed(.uri))
        #expect(rig.verify(answer.replacing("response", by: "\"abc\"")) == .malformed(.response))
        #expect(rig.verify(answer.replacing("qop", by: "auth-int")) == .malformed(.qop))
        #expect(rig.verify(answer.replacing("nc", by: "1")) == .malformed(.nonceCount))
        #expect(rig.verify(answer.replacing("nc", by: "0000000g")) == .malformed(.nonceCount))
        #expect(rig.verify(answer.removing("cnonce")) == .malformed(.cnonce))
        #expect(rig.verify(answer.replacing("qop", by: "\"auth\"")) == .accepted)
    }

    // MARK: Authentication-Info

    @Test func `shows that it knows the password too`() throws {
        let rig = DigestRig()
        let answer = try #require(DigestRig.answer(rig.challenge()))
        let info = rig.authenticationInfo(for: answer)
        #expect(info.hasPrefix("Authentication-Info: qop=auth, rspauth=\""))
        #expect(info.hasSuffix("\", cnonce=\"c0ffee0000000001\", nc=00000001\r\n"))
        // Without a method the answer is rspauth.
        let expected = try #require(DigestRig.answer("Digest " + answer.dropFirst("Digest ".count), method: ""))
        let digits = try #require(expected.split(separator: "response=\"").last?.prefix(32))
        #expect(info.contains("rspauth=\"\(digits)\""))
        #expect(rig.authenticationInfo(for: try #require(DigestRig.answer(rig.challenge().removing("qop")))).isEmpty)
    }

    @Test func `offers a next nonce that may be answered`() throws {
        let rig = DigestRig()
        let answer = try #require(DigestRig.answer(rig.challenge()))
        #expect(rig.verify(answer) == .accepted)
        let info = rig.authenticationInfo(for: answer, offersNextNonce: true)
        let nonce = try #require(info.split(separator: "nextnonce=\"").last?.prefix(32))
        #expect(rig.verify(try #require(DigestRig.answer(rig.challenge().replacing("nonce", by: "\"\(nonce)\"")))) == .accepted)
    }

    // MARK: Client

    @Test(arguments: [
        "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-1", "Digest realm=\"r\", nonce=\"n\", algorithm=AKAv1-MD5",
        "Digest realm=\"r\", nonce=\"n\", qop=\"auth-conf\"",
        "Digest realm=\"r\", qop=auth",
    ])
    func `cannot answer every challenge`(challenge: String) {
        #expect(DigestRig.answer(challenge) == nil)
    }

    @Test func `answers with what the challenge gave`() throws {
        let answer = try #require(
            DigestRig.answer("Digest realm=\"r\", nonce=\"n\", opaque=\"o\", qop=\"auth-int,auth\"", username: "a\"b", count: 0x1F))
        #expect(answer.contains("username=\"a\\\"b\", realm=\"r\", nonce=\"n\", uri=\"sip:home1.test\", response=\""))
        #expect(answer.contains(", opaque=\"o\", qop=auth, nc=0000001f, "))
        #expect(!answer.contains("algorithm"))
    }

    // MARK: Secrecy

    @Test func `guesses neither nonces nor answers in random octets`() {
        let rig = DigestRig()
        var random = RandomSource(seed: 5)
        for _ in 0..<2000 {
            let text = String((0..<Int.random(in: 0..<60, using: &random)).map { _ in "\",=x0 \\;".randomElement(using: &random)! })
            let bytes = Array("Digest realm=\"home1.test\", nonce=\"1\", response=\"1\", \(text)".utf8)
            guard bytes.span.bytes.digestParameters(Slice(0, bytes.count)) != nil else { continue }
            #expect(rig.verify(String(decoding: bytes, as: UTF8.self)) != .accepted)
        }
    }
}
