import SIPMessage
import SansIO
import Testing

@testable import SIPRegistrar

@Suite struct AKAAuthenticatorTests {
    private var sim = USIM(AKARig.credentials)

    // MARK: Challenges

    @Test func `challenges once for each algorithm, with RAND and AUTN as the nonce`() throws {
        let rig = AKARig([.v2SHA256, .v1MD5], qops: [.auth, .authInt])
        let challenges = rig.challenges()
        #expect(challenges[0].hasPrefix("Digest realm=\"home1.test\", nonce=\""))
        #expect(
            challenges.map { $0.split(separator: "algorithm=").last } == [
                "AKAv2-SHA-256, qop=\"auth,auth-int\"", "AKAv1-MD5, qop=\"auth,auth-int\"",
            ])
        let nonces = challenges.map { $0.split(separator: "nonce=\"").last?.prefix { $0 != "\"" } }
        #expect(nonces[0] == nonces[1] && nonces[0]?.count == 44)
        #expect(!challenges[1].contains("stale") && !challenges[1].contains("ck="))
        #expect(rig.challenges(isStale: true)[0].contains(", stale=true, "))
        #expect(Set((0..<100).map { _ in rig.challenge() }).count == 100)
    }

    @Test func `shows the keys to an edge alone, with the first version`() throws {
        let rig = AKARig([.v1MD5, .v2SHA256])
        let challenges = rig.challenges(showsKeys: true)
        #expect(challenges[0].wholeMatch(of: /.*, ik="[0-9a-f]{32}", ck="[0-9a-f]{32}"/) != nil)
        #expect(!challenges[1].contains("ik="))
    }

    // MARK: Answers

    @Test(arguments: AKAAlgorithm.allCases)
    mutating func `accepts the right answer, once`(algorithm: AKAAlgorithm) throws {
        let rig = AKARig(AKAAlgorithm.allCases)
        let challenge = try #require(rig.challenges().first { $0.contains("algorithm=\(algorithm.name),") })
        let answer = try #require(AKARig.answer(challenge, by: &sim))
        #expect(answer.outcome == .answered)
        #expect(rig.verify(answer.text) == .accepted)
        #expect(rig.verify(answer.text) == .stale)
    }

    @Test func `makes the password of all that AKA gave in the second version`() {
        // Of test set 1 of TS 35.208, and computed with another implementation of HMAC.
        let (res, ck, ik): (UInt64, UInt128, UInt128) = (
            0xA542_11D5_E3BA_50BF, 0xB40B_A9A3_C58B_2A05_BBF0_D987_B21B_F8CB, 0xF769_BCD7_5104_4604_1276_7271_1C6D_3441
        )
        func password(_ algorithm: AKAAlgorithm) -> [UInt8] {
            var buffer = OctetBuffer()
            algorithm.appendPassword(res: res, ck: ck, ik: ik, into: &buffer)
            return [UInt8](buffer.bytes)
        }
        #expect(password(.v1MD5) == [0xA5, 0x42, 0x11, 0xD5, 0xE3, 0xBA, 0x50, 0xBF])
        #expect(password(.v2MD5) == Array("shzt3q8CWaZnCAWqs3WmEQ==".utf8))
        #expect(password(.v2SHA256) == Array("wpC+5dv/7kC35JEI2hluv8XcBd+vf8XcfedJBan1buk=".utf8))
    }

    @Test mutating func `refuses a wrong answer at once`() throws {
        let rig = AKARig()
        let answer = try #require(AKARig.answer(rig.challenge(), by: &sim)).text
        let digit = try #require(answer.split(separator: "response=\"").last?.first)
        let wrong = answer.replacing("response=\"\(digit)", with: "response=\"\(digit == "0" ? "1" : "0")")
        #expect(rig.verify(wrong) == .refused(.wrongAnswer))
        #expect(rig.verify(answer) == .stale)
    }

    @Test mutating func `takes an answer to the last challenge alone, for four minutes`() throws {
        let rig = AKARig()
        let older = try #require(AKARig.answer(rig.challenge(), by: &sim)).text
        let newer = try #require(AKARig.answer(rig.challenge(), by: &sim)).text
        #expect(rig.verify(older) == .stale)
        #expect(rig.verify(newer, device: 2) == .stale)
        rig.pass(240)
        #expect(rig.verify(newer) == .accepted)
        let late = try #require(AKARig.answer(rig.challenge(), by: &sim)).text
        rig.pass(241)
        #expect(rig.verify(late) == .stale)
    }

    @Test mutating func `takes an answer by what was not offered for none`() throws {
        let rig = AKARig([.v2MD5])
        let answer = try #require(AKARig.answer(rig.challenge(), by: &sim)).text
        for other in ["AKAv1-MD5", "AKAv2-SHA-256", "MD5"] { #expect(rig.verify(answer.replacing("algorithm", by: other)) == .absent) }
        #expect(
            rig.verify("Digest username=\"alice@home1.test\", realm=\"home1.test\", nonce=\"\", uri=\"sip:home1.test\", response=\"\"")
                == .absent)
        #expect(rig.verify(answer) == .accepted)
    }

    @Test mutating func `names what is malformed, and still waits`() throws {
        let rig = AKARig()
        let answer = try #require(AKARig.answer(rig.challenge(), by: &sim)).text
        #expect(rig.verify(answer.replacing("response", by: "\"abc\"")) == .malformed(.response))
        #expect(rig.verify(answer.replacing("qop", by: "auth-int")) == .malformed(.qop))
        #expect(rig.verify(answer.replacing("nc", by: "1")) == .malformed(.nonceCount))
        #expect(rig.verify(answer) == .accepted)
    }

    // MARK: The SIM does not agree

    @Test func `goes on from the number that the SIM names`() throws {
        let rig = AKARig()
        let ahead = AKACredentials(
            k: AKARig.credentials.k, opc: AKARig.credentials.opc, amf: 0xB9B9, sqn: SequenceNumber(sequence: 1 << 40, index: 3))
        var sim = USIM(ahead)
        let request = try #require(AKARig.answer(rig.challenge(), by: &sim))
        #expect(request.outcome == .resynchronising && request.text.contains(", auts=\""))
        #expect(rig.verify(request.text) == .resynchronised)
        let answer = try #require(AKARig.answer(rig.challenge(), by: &sim))
        #expect(answer.outcome == .answered)
        #expect(rig.verify(answer.text) == .accepted)
        #expect(rig.marks.last.map { $0.sequence > 1 << 40 } == true)
    }

    /// TS 33.102 §6.3.5 steps 2 to 4.
    @Test func `does not go back to a number that the SIM has left behind`() throws {
        let rig = AKARig()
        var current = USIM(AKARig.credentials)
        for _ in 0..<40 {
            let answer = try #require(AKARig.answer(rig.challenge(), by: &current))
            #expect(rig.verify(answer.text) == .accepted)
        }
        let highest = try #require(rig.marks.last).sequence
        // It says how far it has come, though what it answers was old by our own doing.
        var behind = USIM(
            AKACredentials(
                k: AKARig.credentials.k, opc: AKARig.credentials.opc, amf: 0xB9B9, sqn: SequenceNumber(sequence: 3, index: 3)))
        let old = try #require(AKARig.answer(rig.challenges(isOutdated: true)[0], by: &behind))
        #expect(old.outcome == .resynchronising)
        #expect(rig.verify(old.text) == .resynchronised)
        #expect(try #require(AKARig.answer(rig.challenge(), by: &current)).outcome == .answered)
        #expect(rig.marks.last.map { $0.sequence >= highest } == true)
        // One that is too far behind to take our next number is followed.
        var far = USIM(AKARig.credentials)
        let ahead = SequenceNumber(sequence: 1 << 30, index: 0)
        rig.authenticator.restore(ahead, of: 1)
        let asked = try #require(AKARig.answer(rig.challenge(), by: &far))
        #expect(asked.outcome == .resynchronising)
        #expect(rig.verify(asked.text) == .resynchronised)
        #expect(try #require(AKARig.answer(rig.challenge(), by: &far)).outcome == .answered)
    }

    @Test mutating func `a challenge that is old on purpose ends in a resynchronisation`() throws {
        let rig = AKARig()
        for _ in 0..<3 {
            let old = try #require(AKARig.answer(rig.challenges(isOutdated: true)[0], by: &sim))
            #expect(old.outcome == .resynchronising)
            #expect(rig.verify(old.text) == .resynchronised)
            let new = try #require(AKARig.answer(rig.challenge(), by: &sim))
            #expect(new.outcome == .answered)
            #expect(rig.verify(new.text) == .accepted)
        }
    }

    @Test mutating func `the numbers of a device that is forgotten begin anew`() throws {
        let rig = AKARig()
        let first = try #require(AKARig.answer(rig.challenge(), by: &sim))
        rig.authenticator.forget(1)
        #expect(rig.verify(first.text) == .stale)
        #expect(try #require(AKARig.answer(rig.challenge(), by: &sim)).outcome == .resynchronising)
    }

    @Test func `lets nobody set the number who does not have the key`() throws {
        let rig = AKARig()
        var stranger = USIM(AKACredentials(k: 1, opc: 2, amf: 0, sqn: SequenceNumber(rawValue: 0)))
        let challenge = rig.challenge()
        let refusal = try #require(AKARig.answer(challenge, by: &stranger))
        #expect(refusal.outcome == .notProved && refusal.text.contains("response=\"\""))
        #expect(rig.verify(refusal.text) == .refused(.networkNotProved))

        var ahead = USIM(
            AKACredentials(
                k: AKARig.credentials.k, opc: AKARig.credentials.opc, amf: 0, sqn: SequenceNumber(sequence: 1 << 40, index: 0)))
        let request = try #require(AKARig.answer(rig.challenge(), by: &ahead)).text
        let junk = "\"AAAAAAAAAAAAAAAAAAA=\""
        #expect(rig.verify(request.replacing("auts", by: junk)) == .refused(.wrongResynchronisation))
        let short = try #require(AKARig.answer(rig.challenge(), by: &ahead)).text
        #expect(rig.verify(short.replacing("auts", by: "\"AAAA\"")) == .refused(.wrongResynchronisation))
        // What cannot be a nonce is that of no challenge, and nothing to begin again with.
        let nonce = try #require(AKARig.answer(rig.challenge(), by: &ahead)).text
        #expect(rig.verify(nonce.replacing("nonce", by: "\"QUFBQQ==\"")) == .refused(.wrongResynchronisation))
        #expect(rig.verify(nonce.replacing("nonce", by: "\"!\"")) == .refused(.wrongResynchronisation))
        // The answer must be one with an empty password.
        let other = try #require(AKARig.answer(rig.challenge(), by: &ahead)).text
        #expect(rig.verify(other.replacing("response", by: "\"\(String(repeating: "0", count: 32))\"")) == .refused(.wrongAnswer))
    }

    @Test func `a SIM takes no number twice, none that is too far ahead, and some out of order`() {
        let credentials = AKARig.credentials
        var sim = USIM(credentials)
        func answer(_ sequence: UInt64, _ index: Int) -> USIM.Answer {
            let vector = AuthenticationVector(credentials, rand: UInt128(sequence), sqn: SequenceNumber(sequence: sequence, index: index))
            return sim.answer(rand: vector.rand, autn: vector.autn)
        }
        func isTaken(_ sequence: UInt64, _ index: Int) -> Bool {
            if case .response = answer(sequence, index) { return true }
            return false
        }
        #expect(isTaken(10, 1) && !isTaken(10, 1))
        #expect(isTaken(8, 2) && !isTaken(7, 2))
        #expect(answer(11 + 1 << 28, 3) == .old(SequenceNumber(sequence: 10, index: 1)))
        #expect(isTaken(10 + 1 << 28, 3))
    }

    // MARK: Bounds

    @Test func `keeps no more challenges than there is room for`() throws {
        let rig = AKARig(limit: 50)
        var sims = (0..<200).map { _ in USIM(AKARig.credentials) }
        let challenges = (0..<200).map { rig.challenge(UInt64($0)) }
        #expect(rig.authenticator.challengeCount == 50)
        for device in 0..<200 {
            let answer = try #require(AKARig.answer(challenges[device], by: &sims[device])).text
            #expect(rig.verify(answer, device: UInt64(device)) == (device < 150 ? .stale : .accepted))
        }
        #expect(rig.authenticator.challengeCount == 0)
        for device in 0..<50 { _ = rig.challenge(UInt64(device)) }
        rig.pass(241)
        _ = rig.challenge(99)
        #expect(rig.authenticator.challengeCount == 1)
    }

    @Test func `forgets challenges by a reset, and no numbers`() throws {
        let rig = AKARig()
        var sim = USIM(AKARig.credentials)
        let answer = try #require(AKARig.answer(rig.challenge(), by: &sim)).text
        rig.authenticator.reset()
        #expect(rig.verify(answer) == .stale)
        #expect(try #require(AKARig.answer(rig.challenge(), by: &sim)).outcome == .answered)
    }

    @Test(arguments: ["", "x", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "====", "\"\""])
    func `a SIM answers nothing that is no challenge`(nonce: String) {
        var sim = USIM(AKARig.credentials)
        #expect(AKARig.answer("Digest realm=\"r\", nonce=\"\(nonce)\", algorithm=AKAv1-MD5", by: &sim) == nil)
    }
}
