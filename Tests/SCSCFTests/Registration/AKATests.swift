import SCSCF
import SIPMessage
import SIPRegistrar
import SansIO
import Testing

/// Authentication by SIMs (TS 24.229 §5.4.1.2.1A, §5.4.1.2.2; RFC 3310; TS 33.102 §6.3).
@Suite(.overShards) struct AKATests {
    private static let keys = AKACredentials(
        k: 0x465B_5CE8_B199_B49F_AA5F_0A2E_E238_A6BC, op: 0xCDC2_02D5_123E_20F6_2B6D_676A_C72C_B318, amf: 0x8000,
        sqn: SequenceNumber(rawValue: 0x20))
    private static let others = AKACredentials(k: 1, opc: 2, amf: 0x8000, sqn: SequenceNumber(rawValue: 0))

    /// Alice has a SIM; bob has a password, and a tablet with a SIM.
    private func rig(isPersistent: Bool = false, _ change: (inout ServingCSCFConfiguration) -> Void = { _ in }) -> CoreRig {
        CoreRig {
            $0.isPersistent = isPersistent
            $0.subscribers[0].sims = [AKATests.keys]
            $0.subscribers[0].passwords = [nil]
            $0.subscribers[1].privateIdentities.append(IdentityTemplate("tablet@home1.test"))
            $0.subscribers[1].passwords.append(nil)
            $0.subscribers[1].sims.append(AKATests.others)
            change(&$0)
        }
    }

    /// The first REGISTER of a user equipment, and the challenge that it leads to.
    private func challenged(_ rig: CoreRig, _ peer: Peer = .alice, expires: Int = 3600) -> (request: SIPText, challenge: SIPText) {
        let name = peer.identity.dropFirst(4)
        let empty = "Digest username=\"\(name)\", realm=\"home1.test\", nonce=\"\", uri=\"sip:home1.test\", response=\"\""
        let request = rig.registerRequest(peer, expires: expires, [("Authorization", empty)])
        rig.receive(request, from: peer)
        return (request, rig.next(to: peer))
    }

    private func answering(
        _ challenge: SIPText, _ request: SIPText, by sim: inout USIM, username: String = "alice@home1.test", _ rig: CoreRig
    ) -> SIPText {
        let octets = Array((challenge["WWW-Authenticate"] ?? "").utf8)
        guard let parameters = octets.span.bytes.digestParameters(Slice(0, octets.count)) else { return challenge }
        var credentials = OctetBuffer(capacity: 512)
        let (name, method, uri) = (Array(username.utf8), Array("REGISTER".utf8), Array("sip:home1.test".utf8))
        let outcome = DigestClient.appendAuthorization(
            answering: parameters, in: octets.span.bytes, username: name.span.bytes, sim: &sim, method: method.span.bytes,
            uri: uri.span.bytes, cnonce: 7, into: &credentials)
        guard outcome != nil else { return SIPText("NO answer to \(challenge.startLine)\n\n") }
        // CR LF is one character.
        let field = String(octets: credentials.bytes).dropFirst("Authorization: ".count).dropLast()
        return rig.again(request).with("Authorization", String(field))
    }

    /// Registers as a user equipment does, resynchronising if its SIM asks for it.
    ///
    /// - Returns: the statuses of all answers.
    private func register(_ rig: CoreRig, by sim: inout USIM, expires: Int = 3600) -> [Int?] {
        let (request, challenge) = challenged(rig, expires: expires)
        var answers = [challenge]
        while answers.count < 4, let last = answers.last, last.status == 401 {
            rig.receive(answering(last, request, by: &sim, rig), from: .alice)
            answers.append(rig.next(to: .alice))
        }
        return answers.map(\.status)
    }

    @Test func aSIMIsChallengedAndRegisters() {
        let rig = rig()
        let (request, challenge) = challenged(rig)
        #expect(challenge.status == 401)
        #expect(challenge.parameter("algorithm", of: "WWW-Authenticate") == "AKAv1-MD5")
        #expect(challenge.parameter("nonce", of: "WWW-Authenticate")?.count == 44)
        #expect(challenge["WWW-Authenticate"]?.contains("ck=") == false)
        var sim = USIM(AKATests.keys)
        rig.receive(answering(challenge, request, by: &sim, rig), from: .alice)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 200)
        #expect(!answer.has("Authentication-Info"))
        #expect(rig.contacts("sip:alice@home1.test").count == 1)
    }

    @Test func withoutCredentialsThePrivateIdentityIsThatOfTo() {
        let rig = rig()
        rig.receive(rig.registerRequest(.alice), from: .alice)
        #expect(rig.next(to: .alice).parameter("algorithm", of: "WWW-Authenticate") == "AKAv1-MD5")
        rig.receive(rig.registerRequest(.bob), from: .bob)
        #expect(rig.next(to: .bob).parameter("algorithm", of: "WWW-Authenticate") == "MD5")
    }

    @Test func eachDeviceHasItsOwnCredentials() {
        let rig = rig()
        #expect(rig.register(.bob).status == 200)
        let request = rig.registerRequest(
            .bob, [("Authorization", "Digest username=\"tablet\", realm=\"home1.test\", nonce=\"\", uri=\"sip:home1.test\", response=\"\"")]
        )
        rig.receive(request, from: .bob)
        let challenge = rig.next(to: .bob)
        #expect(challenge.parameter("algorithm", of: "WWW-Authenticate") == "AKAv1-MD5")
        var sim = USIM(AKATests.others)
        rig.receive(answering(challenge, request, by: &sim, username: "tablet", rig), from: .bob)
        #expect(rig.next(to: .bob).status == 200)
    }

    @Test func aWrongAnswerIsForbiddenAndChangesNothing() {
        let rig = rig()
        var sim = USIM(AKATests.keys)
        #expect(register(rig, by: &sim) == [401, 200])
        var (request, challenge) = challenged(rig)
        let sound = answering(challenge, request, by: &sim, rig)
        let digits = sound.parameter("response", of: "Authorization") ?? ""
        rig.receive(sound.with("Authorization", sound["Authorization"]?.replacing(digits, with: String(digits.reversed()))), from: .alice)
        #expect(rig.next(to: .alice).status == 403)
        #expect(rig.contacts("sip:alice@home1.test").count == 1)
        // A SIM that does not know the network answers nothing, and says so.
        var stranger = USIM(AKATests.others)
        (request, challenge) = challenged(rig)
        rig.receive(answering(challenge, request, by: &stranger, rig), from: .alice)
        let refusal = rig.next(to: .alice)
        #expect(refusal.status == 403 && refusal["Warning"]?.contains("k, opc and amf") == true)
    }

    @Test func anAnswerServesOnce() {
        let rig = rig()
        var sim = USIM(AKATests.keys)
        let (request, challenge) = challenged(rig)
        let answer = answering(challenge, request, by: &sim, rig)
        rig.receive(answer, from: .alice)
        #expect(rig.next(to: .alice).status == 200)
        rig.receive(rig.again(answer), from: .alice)
        let again = rig.next(to: .alice)
        #expect(again.status == 401 && again["WWW-Authenticate"]?.contains("stale=true") == true)
    }

    @Test func aNewRegisterReplacesTheChallenge() {
        let rig = rig()
        var sim = USIM(AKATests.keys)
        let (request, older) = challenged(rig)
        let (_, newer) = challenged(rig)
        rig.receive(answering(older, request, by: &sim, rig), from: .alice)
        let stale = rig.next(to: .alice)
        #expect(stale.status == 401)
        rig.receive(answering(newer, request, by: &sim, rig), from: .alice)
        #expect(rig.next(to: .alice).status == 401)
    }

    @Test(arguments: [nil, 40]) func aChallengeWaitsFourMinutesUnlessTheTopologySaysOtherwise(seconds: Int?) {
        let rig = rig { if let seconds { $0.challengeLifetime = .seconds(seconds) } }
        var sim = USIM(AKATests.keys)
        let (request, challenge) = challenged(rig)
        rig.advance(.seconds((seconds ?? 240) + 1))
        rig.receive(answering(challenge, request, by: &sim, rig), from: .alice)
        #expect(rig.next(to: .alice).status == 401)
    }

    @Test func whoeverHasASIMRegistersBeforeAnythingElse() {
        let rig = rig().registered(.bob)
        var sim = USIM(AKATests.keys)
        #expect(register(rig, by: &sim) == [401, 200])
        _ = rig.taken()
        let elsewhere = Peer("elsewhere", Peer.alice.identity, port: 6666)
        rig.send("MESSAGE", "sip:bob@home1.test", from: elsewhere)
        let answer = rig.first()
        #expect(answer.status == 403 && answer["Warning"]?.contains("register on this flow first") == true)
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice)
        #expect(rig.next(to: .bob).method == "MESSAGE")
    }

    // MARK: Several algorithms

    @Test func severalAlgorithmsAreOfferedInTheirOrder() {
        let rig = CoreRig {
            $0.digestFunctions = [.sha512_256, .sha256, .md5]
            $0.digestQops = [.auth, .authInt]
        }
        let request = rig.registerRequest(.alice)
        rig.receive(request, from: .alice)
        let challenge = rig.next(to: .alice)
        let values = challenge.all("WWW-Authenticate")
        #expect(
            values.map { String($0.split(separator: "algorithm=").last ?? "") } == [
                "SHA-512-256, qop=\"auth,auth-int\"", "SHA-256, qop=\"auth,auth-int\"", "MD5, qop=\"auth,auth-int\"",
            ])
        for value in values {
            let one = challenge.with("WWW-Authenticate", value)
            rig.receive(rig.answering(one, request, username: "alice", password: "wrong"), from: .alice)
            #expect(rig.next(to: .alice).all("WWW-Authenticate").count == 3)
        }
        for (count, value) in values.enumerated() {
            let one = challenge.with("WWW-Authenticate", value)
            rig.receive(rig.answering(one, request, username: "alice", password: "wonderland", count: UInt32(count + 1)), from: .alice)
            #expect(rig.next(to: .alice).status == 200)
        }
    }

    @Test func anAnswerByAnotherAlgorithmIsNone() {
        let rig = CoreRig { $0.digestFunctions = [.sha256] }
        let request = rig.registerRequest(.alice)
        rig.receive(request, from: .alice)
        let challenge = rig.next(to: .alice)
        let weaker = challenge.with("WWW-Authenticate", challenge["WWW-Authenticate"]?.replacing("SHA-256", with: "MD5"))
        for _ in 0..<5 {
            rig.receive(rig.answering(weaker, request, username: "alice", password: "wonderland"), from: .alice)
            #expect(rig.next(to: .alice).status == 401)
        }
    }

    // MARK: The edge's word

    private static let edge = Peer("edge", "sip:alice@home1.test", port: 5555, address: "192.0.2.9")

    private func withEdge(isPersistent: Bool = false, _ change: (inout ServingCSCFConfiguration) -> Void = { _ in }) -> CoreRig {
        rig(isPersistent: isPersistent) {
            $0.trusted = [(network: AKATests.edge.flow.remote.address, prefixLength: 32)]
            change(&$0)
        }
    }

    private func registerRequest(_ rig: CoreRig, _ word: String, username: String = "alice@home1.test", response: String = "") -> SIPText {
        let identity = username.hasPrefix("bob") ? "sip:bob@home1.test" : "sip:alice@home1.test"
        var request = rig.registerRequest(AKATests.edge, contact: "<sip:x@192.0.2.9>")
        request.set("To", "<\(identity)>")
        request.set("From", "<\(identity)>;tag=e")
        request.set(
            "Authorization",
            "Digest username=\"\(username)\", realm=\"home1.test\", nonce=\"n\", uri=\"sip:home1.test\", response=\"\(response)\", "
                + "integrity-protected=\"\(word)\"")
        return request
    }

    /// The answer, wherever it went.
    private func status(_ rig: CoreRig, _ request: SIPText, from peer: Peer) -> Int? {
        _ = rig.taken()
        rig.receive(request, from: peer)
        return rig.first().status
    }

    @Test(arguments: ["yes", "tls-yes", "ip-assoc-yes", "auth-done", "YES"])
    func anEdgeIsBelievedAndNobodyElse(word: String) {
        let rig = withEdge()
        let request = registerRequest(rig, word)
        #expect(status(rig, request, from: .alice) == 401)
        #expect(status(rig, rig.again(registerRequest(rig, word)), from: AKATests.edge) == 403 || word.lowercased() != "yes")
        rig.advance(.seconds(241))
        // The association of a SIM stands for a registration; there is none yet.
        #expect(status(rig, registerRequest(rig, word), from: AKATests.edge) == (word.lowercased() == "yes" ? 500 : 200))
        #expect(status(rig, registerRequest(rig, "auth-done"), from: AKATests.edge) == 200)
        #expect(status(rig, registerRequest(rig, word), from: AKATests.edge) == 200)
        #expect(status(rig, registerRequest(rig, word, username: "bob@home1.test"), from: .bob) == 401)
        #expect(status(rig, registerRequest(rig, word, username: "bob@home1.test"), from: AKATests.edge) == 200)
        #expect(status(rig, registerRequest(rig, word).with("To", "<sip:bob@home1.test>"), from: AKATests.edge) == 403)
    }

    @Test(arguments: ["no", "tls-pending", "ip-assoc-pending", "tls-connected", "", "maybe"])
    func otherWordsOfAnEdgeProveNothing(word: String) {
        let rig = withEdge()
        #expect(status(rig, registerRequest(rig, word), from: AKATests.edge) == 401)
        #expect(status(rig, registerRequest(rig, word, username: "bob@home1.test"), from: AKATests.edge) == 401)
    }

    @Test func anAnswerToAPasswordIsCheckedEvenThroughAnEdge() {
        let rig = withEdge()
        let wrong = String(repeating: "0", count: 32)
        #expect(status(rig, registerRequest(rig, "yes", username: "bob@home1.test", response: wrong), from: AKATests.edge) == 401)
        #expect(status(rig, registerRequest(rig, "tls-yes", username: "bob@home1.test", response: wrong), from: AKATests.edge) == 200)
    }

    @Test func theKeysGoToAnEdgeAlone() throws {
        let rig = withEdge()
        let request = registerRequest(rig, "no")
        rig.receive(request, from: AKATests.edge)
        let challenge = rig.first()
        #expect(challenge.parameter("ik", of: "WWW-Authenticate")?.count == 32)
        #expect(challenge.parameter("ck", of: "WWW-Authenticate")?.count == 32)
        // The answer comes through the association, in the same call.
        var sim = USIM(AKATests.keys)
        var answer = answering(challenge, request, by: &sim, rig)
        answer.set("Authorization", (answer["Authorization"] ?? "") + ", integrity-protected=\"yes\"")
        #expect(status(rig, rig.again(answer).with("Call-ID", "another"), from: AKATests.edge) == 403)
        #expect(status(rig, answer, from: AKATests.edge) == 200)
        // From now on the association is enough.
        #expect(status(rig, registerRequest(rig, "yes", response: "00"), from: AKATests.edge) == 200)
    }

    @Test(arguments: ["yes", "tls-yes"])
    func whomTheNetworkAsksAnewAnEdgeVouchesForInVain(word: String) throws {
        let rig = withEdge()
        #expect(status(rig, registerRequest(rig, "auth-done"), from: AKATests.edge) == 200)
        #expect(status(rig, registerRequest(rig, word), from: AKATests.edge) == 200)
        #expect(rig.onEachShard { $0.reauthenticate("sip:alice@home1.test", at: $1, into: &$2) }.contains(true))
        let request = registerRequest(rig, word)
        _ = rig.taken()
        rig.receive(request, from: AKATests.edge)
        let challenge = rig.first()
        #expect(challenge.status == 401)
        var sim = USIM(AKATests.keys)
        var answer = answering(challenge, request, by: &sim, rig)
        answer.set("Authorization", (answer["Authorization"] ?? "") + ", integrity-protected=\"\(word)\"")
        #expect(status(rig, answer, from: AKATests.edge) == 200)
        #expect(status(rig, registerRequest(rig, word), from: AKATests.edge) == 200)
    }

    @Test func aConnectionWithTLSStandsForTheAnswersOfAKA() {
        let rig = withEdge { $0.akaAlgorithms = [.v2SHA256] }
        func request(response: String, algorithm: String = "AKAv2-SHA-256") -> SIPText {
            let request = registerRequest(rig, "tls-connected", response: response)
            return request.with("Authorization", (request["Authorization"] ?? "") + ", algorithm=\(algorithm)")
        }
        // Who is not registered is to begin without protection.
        #expect(status(rig, request(response: "00"), from: AKATests.edge) == 500)
        let first = request(response: "")
        _ = rig.taken()
        rig.receive(first, from: AKATests.edge)
        let challenge = rig.first()
        #expect(challenge.status == 401 && challenge.parameter("algorithm", of: "WWW-Authenticate") == "AKAv2-SHA-256")
        var sim = USIM(AKATests.keys)
        var answer = answering(challenge, first, by: &sim, rig)
        answer.set("Authorization", (answer["Authorization"] ?? "") + ", integrity-protected=\"tls-connected\"")
        #expect(status(rig, rig.again(answer).with("Call-ID", "another"), from: AKATests.edge) == 403)
        #expect(status(rig, answer, from: AKATests.edge) == 200)
        // With an answer it is a protected one, whatever the answer is; without, or by another algorithm, it is the first of all.
        #expect(status(rig, request(response: "00"), from: AKATests.edge) == 200)
        #expect(status(rig, request(response: "00", algorithm: "AKAv1-MD5"), from: AKATests.edge) != 200)
        #expect(status(rig, request(response: "00"), from: .alice) != 200)
    }

    @Test func aPasswordIsAskedForAnewThroughAnEdgeToo() {
        let rig = withEdge()
        func request(_ word: String) -> SIPText { registerRequest(rig, word, username: "bob@home1.test") }
        #expect(status(rig, request("tls-yes"), from: AKATests.edge) == 200)
        #expect(rig.onEachShard { $0.reauthenticate("sip:bob@home1.test", at: $1, into: &$2) }.contains(true))
        // Who was authenticated elsewhere has nothing to prove here.
        #expect(status(rig, request("auth-done"), from: AKATests.edge) == 200)
        let asked = request("tls-yes")
        rig.receive(asked, from: AKATests.edge)
        let challenge = rig.first()
        #expect(challenge.status == 401)
        var answer = rig.answering(challenge, asked, username: "bob", password: "builder")
        answer.set("Authorization", (answer["Authorization"] ?? "") + ", integrity-protected=\"tls-yes\"")
        #expect(status(rig, answer, from: AKATests.edge) == 200)
        #expect(status(rig, request("tls-yes"), from: AKATests.edge) == 200)
    }

    /// What the network has asked for is not forgotten with the process.
    @Test func aProofThatIsAskedForIsAskedForAfterARestartToo() {
        let rig = withEdge(isPersistent: true)
        func request(_ rig: CoreRig) -> SIPText { registerRequest(rig, "tls-yes", username: "bob@home1.test") }
        #expect(status(rig, request(rig), from: AKATests.edge) == 200)
        #expect(rig.onEachShard { $0.reauthenticate("sip:bob@home1.test", at: $1, into: &$2) }.contains(true))
        let again = rig.restarted()
        let asked = request(again)
        _ = again.taken()
        again.receive(asked, from: AKATests.edge)
        let challenge = again.first()
        #expect(challenge.status == 401)
        #expect(status(again, again.answering(challenge, asked, username: "bob", password: "builder"), from: AKATests.edge) == 200)
        // Once is enough, for the next process too.
        #expect(status(again, request(again), from: AKATests.edge) == 200)
        let last = again.restarted()
        #expect(status(last, request(last), from: AKATests.edge) == 200)
    }

    // MARK: Early IMS

    @Test func anAddressAloneMayDo() {
        let rig = CoreRig {
            $0.subscribers[2].address = Peer.carol.flow.remote.address
        }
        #expect(rig.register(.carol).status == 200)
        let other = Peer("stranger", "sip:carol@home1.test", port: 5999, address: "192.0.2.66")
        rig.receive(rig.registerRequest(other), from: other)
        #expect(rig.first().status == 403)
        rig.send("MESSAGE", "sip:carol@home1.test", from: other)
        #expect(rig.first().status == 403)
        rig.send("MESSAGE", "sip:carol@home1.test", from: Peer("other", "sip:carol@home1.test", port: 6001))
        #expect(rig.next(to: .carol).method == "MESSAGE")
    }

    // MARK: Sequence numbers

    @Test func aSIMThatIsAheadIsFollowed() {
        let rig = rig()
        var sim = USIM(
            AKACredentials(k: AKATests.keys.k, opc: AKATests.keys.opc, amf: 0x8000, sqn: SequenceNumber(rawValue: 0x1234_5678_9ABC)))
        #expect(register(rig, by: &sim) == [401, 401, 200])
        #expect(register(rig, by: &sim) == [401, 200])
    }

    /// Registrations are forgotten, but the numbers are the SIM's: it would take a challenge with an old one for another's.
    @Test(arguments: [false, true])
    func theNumbersOutliveAReset(isPersistent: Bool) {
        var rig = rig(isPersistent: isPersistent)
        var sim = USIM(AKATests.keys)
        for _ in 0..<3 {
            #expect(register(rig, by: &sim) == [401, 200])
            rig.reset()
            #expect(rig.core.registeredCount == 0)
            #expect(rig.records.isEmpty)
        }
        if isPersistent { rig = rig.restarted() }
        #expect(register(rig, by: &sim) == [401, 200])
        #expect(rig.core.registeredCount == 1)
    }

    /// A life of several hundred registrations: SIMs that are changed for one that is behind or ahead, restarts, commits that
    /// fail. The user always gets in, and without a resynchronisation unless the SIM was changed.
    @Test(arguments: [UInt64(1), 2])
    func everyoneGetsInWhateverHappens(seed: UInt64) {
        var random = RandomSource(seed: seed)
        var rig = rig(isPersistent: true)
        var sim = USIM(AKATests.keys)
        var mayBeOld = false
        for _ in 0..<60 {
            switch Int.random(in: 0..<12, using: &random) {
            case 0:
                let sqn = SequenceNumber(rawValue: UInt64.random(in: 0..<(1 << 46), using: &random))
                sim = USIM(AKACredentials(k: AKATests.keys.k, opc: AKATests.keys.opc, amf: 0x8000, sqn: sqn))
                mayBeOld = true
            case 1, 2: rig = rig.restarted(after: .seconds(10))
            case 3:
                // A challenge is lost, and so is what was to be stored with it.
                rig.commits = false
                _ = challenged(rig)
                rig.commit(succeeded: false)
                rig.commits = true
            default: break
            }
            let answers = register(rig, by: &sim, expires: Bool.random(using: &random) ? 3600 : 600)
            #expect(answers == [401, 200] || mayBeOld && answers == [401, 401, 200], "\(answers)")
            mayBeOld = false
            _ = rig.taken()
        }
    }

    private func plan(_ keys: AKACredentials, _ identities: [String]) -> SubscriberPlan {
        var plan = Laboratory.subscriber("alice", identities, password: "none", profile: 0)
        plan.passwords = [nil]
        plan.sims = [keys]
        return plan
    }

    /// TS 33.102 §6.3.2, Annex C: the SIM is the same, whatever its subscriber is called. With one shard, since the new number may
    /// be another shard's, which does not know how far the SIM has come.
    @Test func theNumbersGoOnWithOtherIdentities() {
        var rig = Division.$current.withValue(Division()) { self.rig(isPersistent: true) }
        rig.answers = ["im": 200]
        var sim = USIM(AKATests.keys)
        for _ in 0..<40 { #expect(register(rig, by: &sim) == [401, 200]) }
        let number = rig.change(.replace(0, plan(AKATests.keys, ["sip:alice@home1.test", "sip:alicia@home1.test"])))
        #expect(number == 3)
        #expect(register(rig, by: &sim) == [401, 200])
        rig = rig.restarted()
        #expect(register(rig, by: &sim) == [401, 200])
    }

    @Test func theNumbersOfAnotherSIMBeginWhereItSays() {
        let rig = rig(isPersistent: true)
        var sim = USIM(AKATests.keys)
        #expect(register(rig, by: &sim) == [401, 200])
        let keys = AKACredentials(k: 5, opc: 6, amf: 0x8000, sqn: SequenceNumber(rawValue: 0x40_0000))
        rig.change(.replace(0, plan(keys, ["sip:alice@home1.test", "sip:alicia@home1.test"])))
        var other = USIM(keys)
        #expect(register(rig, by: &other) == [401, 200])
    }

    /// The process dies before the first challenge that would store where the numbers are.
    @Test func whereTheNumbersBeginIsKnownAfterARestartToo() {
        let rig = rig(isPersistent: true)
        _ = challenged(rig)
        #expect(rig.tables[StoreTable.sequenceNumbers]?.count == 1)
        let keys = AKACredentials(k: AKATests.keys.k, opc: AKATests.keys.opc, amf: 0x8000, sqn: SequenceNumber(rawValue: 1 << 40))
        let changed = plan(keys, ["sip:alice@home1.test", "tel:+15550100"])
        rig.change(.replace(0, changed))
        let next = CoreRig(tables: rig.tables) {
            $0.isPersistent = true
            $0.subscribers[0] = changed
        }
        var sim = USIM(keys)
        #expect(register(next, by: &sim) == [401, 200])
    }

    @Test func damagedAndForeignNumbersAreRefused() {
        var effects = Effects()
        let rig = rig(isPersistent: true)
        func restore(_ key: String, _ value: [UInt8]) -> Bool {
            rig.core.restore(
                table: StoreTable.sequenceNumbers, key: Array(key.utf8).span.bytes, value: value.span.bytes, at: rig.now, into: &effects)
        }
        #expect(!restore("alice@home1.test", [1, 2, 3]))
        #expect(!restore("alice@home1.test", [UInt8](repeating: 0xFF, count: 8)))
        #expect(!restore("nobody@home1.test", [UInt8](repeating: 0, count: 8)))
        #expect(restore("alice@home1.test", [0, 1, 0, 0, 0, 0, 0, 0]))
    }
}
