import SCSCF
import SIPRegistrar
import SansIO
import Testing

/// Digest authentication of REGISTER and of requests (RFC 2617 as TS 24.229 §5.4.1.2.1B uses it).
@Suite(.overShards) struct DigestTests {
    private let password = "wonderland"

    private func challenged(_ rig: CoreRig) -> (request: SIPText, challenge: SIPText) {
        let request = rig.registerRequest(.alice)
        rig.receive(request, from: .alice)
        return (request, rig.next(to: .alice))
    }

    @Test func theChallengeNamesTheRealm() {
        let rig = CoreRig()
        let (_, challenge) = challenged(rig)
        #expect(challenge.status == 401)
        #expect(challenge.parameter("realm", of: "WWW-Authenticate") == "home1.test")
        #expect(challenge.parameter("algorithm", of: "WWW-Authenticate") == "MD5")
        #expect(challenge.parameter("qop", of: "WWW-Authenticate") == "auth")
        #expect(rig.contacts("sip:alice@home1.test") == [])
        #expect(rig.trace() == [])
    }

    @Test func aUsernameWithoutDomainStandsForTheOneOfOurs() {
        let rig = CoreRig()
        let (request, challenge) = challenged(rig)
        rig.receive(rig.answering(challenge, request, username: "alice", password: password), from: .alice)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 200)
        #expect(answer.has("Authentication-Info"))
    }

    /// RFC 7616 §3.4.4: who looks on does not see who registers.
    @Test(arguments: [
        ("alice@home1.test", "1c846c9d03a21aca8a2ef75692e3937a", "bf897c32e4701aa516c9cfb816666d7a0990157e09ea59e979f56054c56ada99"),
        ("alice", "345cfe0968aa832ecc450066ad323883", "18b3d83202eacf9ac8bd75182795656f7e7a614628ec612d23d347d7b995bf76"),
    ])
    func aHashDoesForTheName(name: String, md5: String, sha256: String) {
        for (function, hash) in [(DigestFunction.md5, md5), (.sha256, sha256)] {
            let rig = CoreRig {
                $0.digestFunctions = [function]
                $0.offersUserHash = true
                $0.subscribers[0].privateIdentities.append(IdentityTemplate("tablet@home1.test"))
                $0.subscribers[0].passwords.append(IdentityTemplate("other"))
            }
            let (request, challenge) = challenged(rig)
            #expect(challenge.parameter("userhash", of: "WWW-Authenticate") == "true")
            func answer(_ hash: String, _ mark: String) -> Int? {
                let sound = rig.answering(
                    challenge, request, username: name, password: password, count: UInt32(rig.now.wall.seconds & 0xFFFF))
                let hidden = sound["Authorization"]?.replacing("username=\"\(name)\"", with: "username=\"\(hash)\", userhash=\(mark)")
                rig.receive(sound.with("Authorization", hidden), from: .alice)
                rig.advance(.seconds(1))
                return rig.next(to: .alice).status
            }
            #expect(answer(hash, "true") == 200)
            #expect(answer(hash, "false") == 403)
            #expect(answer(String(hash.reversed()), "true") == 403)
            #expect(answer("alice", "true") == 403)
            #expect(answer(name, "false") == 200)
        }
    }

    @Test func aHashIsOnlyOfferedIfAskedFor() {
        #expect(challenged(CoreRig()).challenge["WWW-Authenticate"]?.contains("userhash") == false)
    }

    /// RFC 8187: names that quotes cannot hold.
    @Test func aNameMayBeAnExtendedValue() {
        let rig = CoreRig {
            $0.subscribers[0].privateIdentities = [IdentityTemplate("Jäsøn@home1.test")]
        }
        let (request, challenge) = challenged(rig)
        func answer(_ username: String) -> Int? {
            let sound = rig.answering(
                challenge, request, username: "Jäsøn", password: password, count: UInt32(rig.now.wall.seconds & 0xFFFF))
            let extended = sound["Authorization"]?.replacing("username=\"Jäsøn\"", with: username)
            rig.receive(sound.with("Authorization", extended), from: .alice)
            rig.advance(.seconds(1))
            return rig.next(to: .alice).status
        }
        #expect(answer("username*=UTF-8''J%C3%A4s%C3%B8n") == 200)
        #expect(answer("username*=utf-8'de'J%C3%A4s%c3%b8n") == 200)
        #expect(answer("username*=ISO-8859-1''J%E4s%F8n") == 403)
        #expect(answer("username*=UTF-8''J%C") == 403)
        #expect(answer("username=\"Jäsøn\", username*=UTF-8''J%C3%A4s%C3%B8n") == 400)
    }

    @Test func theFourthWrongAnswerIsForbidden() {
        let rig = CoreRig()
        var (request, challenge) = challenged(rig)
        for _ in 0..<3 {
            request = rig.answering(challenge, request, username: "alice", password: "wrong").with("Authorization", nil)
            rig.receive(rig.answering(challenge, request, username: "alice", password: "wrong"), from: .alice)
            challenge = rig.next(to: .alice)
            #expect(challenge.status == 401)
        }
        rig.receive(rig.answering(challenge, request, username: "alice", password: "wrong"), from: .alice)
        #expect(rig.next(to: .alice).status == 403)
        // The 403 clears the count.
        (request, challenge) = challenged(rig)
        rig.receive(rig.answering(challenge, request, username: "alice", password: "wrong"), from: .alice)
        #expect(rig.next(to: .alice).status == 401)
        #expect(rig.register(.alice).status == 200)
    }

    @Test func credentialsOfAnotherUserAreForbidden() {
        let rig = CoreRig()
        let (request, challenge) = challenged(rig)
        rig.receive(rig.answering(challenge, request, username: "bob", password: "builder"), from: .alice)
        #expect(rig.next(to: .alice).status == 403)
    }

    @Test(arguments: ["sip:home1.test", "sip:127.0.0.1:5060", "sip:127.0.0.1"])
    func theURIOfTheCredentialsMayNameUs(_ uri: String) {
        let rig = CoreRig()
        let (request, challenge) = challenged(rig)
        rig.receive(rig.answering(challenge, request, username: "alice", password: password, uri: uri), from: .alice)
        #expect(rig.next(to: .alice).status == 200)
    }

    @Test func anotherURIInTheCredentialsIsABadRequest() {
        let rig = CoreRig()
        let (request, challenge) = challenged(rig)
        rig.receive(rig.answering(challenge, request, username: "alice", password: password, uri: "sip:elsewhere.test"), from: .alice)
        #expect(rig.next(to: .alice).status == 400)
    }

    @Test func anotherRealmIsNoCredentials() {
        let rig = CoreRig()
        let (request, challenge) = challenged(rig)
        let sound = rig.answering(challenge, request, username: "alice", password: password)
        let other = sound["Authorization"]?.replacing("realm=\"home1.test\"", with: "realm=\"elsewhere.test\"")
        rig.receive(sound.with("Authorization", other), from: .alice)
        #expect(rig.next(to: .alice).status == 401)
    }

    @Test func anEmptyNonceAsksForAChallenge() {
        let rig = CoreRig()
        let credentials = "Digest username=\"alice@home1.test\", realm=\"home1.test\", nonce=\"\", uri=\"sip:home1.test\", response=\"\""
        rig.receive(rig.registerRequest(.alice, [("Authorization", credentials)]), from: .alice)
        #expect(rig.next(to: .alice).status == 401)
    }

    /// TS 24.229 §5.4.1.2.1: whose it is, is asked before anything is proved.
    @Test(arguments: [
        ("username=\"bob@home1.test\", ", 403), ("username=\"nobody@home1.test\", ", 403), ("username=\"alice\", ", 401), ("", 401),
    ])
    func theFirstRequestNamesAPrivateIdentityOfTheUser(name: String, status: Int) {
        let rig = CoreRig()
        let credentials = "Digest \(name)realm=\"home1.test\", nonce=\"\", uri=\"sip:home1.test\", response=\"\""
        rig.receive(rig.registerRequest(.alice, [("Authorization", credentials)]), from: .alice)
        #expect(rig.next(to: .alice).status == status)
    }

    @Test func anAnswerWithoutNameIsABadRequest() {
        let rig = CoreRig()
        let (request, challenge) = challenged(rig)
        let sound = rig.answering(challenge, request, username: "alice", password: password)
        let nameless = sound["Authorization"]?.replacing("username=\"alice\", ", with: "")
        #expect(nameless != sound["Authorization"])
        rig.receive(sound.with("Authorization", nameless), from: .alice)
        #expect(rig.next(to: .alice).status == 400)
    }

    /// However the contact comes to its end.
    @Test(arguments: ["expiry", "network", "user", "one of two"])
    func aNonceIsUsedNoLongerThanItsContactLives(end: String) {
        let rig = CoreRig {
            $0.subscribers[0].privateIdentities.append(IdentityTemplate("tablet@home1.test"))
            $0.subscribers[0].passwords.append(IdentityTemplate("other"))
            $0.subscribers[0].sims.append(nil)
        }
        let tablet = rig.registerRequest(.alice, contact: "<sip:tablet@192.0.2.5>")
        if end == "one of two" {
            rig.receive(tablet, from: .alice)
            rig.receive(rig.answering(rig.next(to: .alice), tablet, username: "tablet", password: "other"), from: .alice)
            #expect(rig.next(to: .alice).status == 200)
        }
        let request = rig.registerRequest(.alice, expires: 60)
        rig.receive(request, from: .alice)
        let challenge = rig.next(to: .alice)
        func answer(_ count: UInt32, _ request: SIPText) -> SIPText {
            rig.receive(rig.answering(challenge, request, username: "alice", password: password, count: count), from: .alice)
            return rig.next(to: .alice)
        }
        #expect(answer(1, request).status == 200)
        #expect(answer(2, request).status == 200)
        var count: UInt32 = 3
        switch end {
        case "expiry": rig.advance(.seconds(61))
        case "network": #expect(rig.deregister("sip:alice@home1.test"))
        default:
            #expect(answer(count, request.with("Expires", "0")).status == 200)
            count += 1
        }
        let last = answer(count, request)
        #expect(last.status == 401)
        #expect(last.parameter("stale", of: "WWW-Authenticate") == "true")
    }

    // MARK: Options

    @Test func aChallengeLivesAsLongAsTheTopologySays() {
        let rig = CoreRig { $0.challengeLifetime = .seconds(40) }
        for (wait, status) in [(40, 200), (41, 401)] {
            let (request, challenge) = challenged(rig)
            rig.advance(.seconds(wait))
            rig.receive(rig.answering(challenge, request, username: "alice", password: password), from: .alice)
            #expect(rig.next(to: .alice).status == status)
        }
    }

    /// RFC 2069: HA1, nonce and HA2 alone.
    @Test(arguments: [(false, 200), (true, 400)])
    func answersWithoutQopAreTakenUnlessItIsRequired(isRequired: Bool, status: Int) {
        let rig = CoreRig { $0.requiresQop = isRequired }
        let (request, challenge) = challenged(rig)
        let old = challenge.with("WWW-Authenticate", challenge["WWW-Authenticate"]?.replacing(", qop=\"auth\"", with: ""))
        let answer = rig.answering(old, request, username: "alice", password: password)
        #expect(answer["Authorization"]?.contains("qop") == false)
        rig.receive(answer, from: .alice)
        #expect(rig.next(to: .alice).status == status)
    }

    @Test(arguments: [
        (ServingCSCFConfiguration.AuthenticationInfo.none, false, false), (.proof, true, false), (.nextNonce, true, true),
    ])
    func theCoreProvesItselfAsTheTopologySays(info: ServingCSCFConfiguration.AuthenticationInfo, isThere: Bool, hasNonce: Bool) {
        let rig = CoreRig { $0.authenticationInfo = info }
        let (request, challenge) = challenged(rig)
        rig.receive(rig.answering(challenge, request, username: "alice", password: password), from: .alice)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 200)
        #expect(answer.has("Authentication-Info") == isThere)
        let next = answer.parameter("nextnonce", of: "Authentication-Info")
        #expect((next != nil) == hasNonce)
        guard let next, let first = challenge.parameter("nonce", of: "WWW-Authenticate") else { return }
        // It serves as one of a challenge, and the first is void then.
        let renewed = challenge.with("WWW-Authenticate", challenge["WWW-Authenticate"]?.replacing(first, with: next))
        rig.receive(rig.answering(renewed, request, username: "alice", password: password), from: .alice)
        #expect(rig.next(to: .alice).status == 200)
        rig.receive(rig.answering(challenge, request, username: "alice", password: password, count: 2), from: .alice)
        #expect(rig.next(to: .alice).status == 401)
    }

    @Test func aReplayIsStale() {
        let rig = CoreRig()
        let (request, challenge) = challenged(rig)
        let sound = rig.answering(challenge, request, username: "alice", password: password)
        rig.receive(sound, from: .alice)
        #expect(rig.next(to: .alice).status == 200)
        rig.receive(rig.again(sound), from: .alice)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 401)
        #expect(answer["WWW-Authenticate"]?.contains("stale=true") == true)
    }

    @Test func aNonceServesAgainWithAHigherCount() {
        let rig = CoreRig()
        let (request, challenge) = challenged(rig)
        for count in 1...3 {
            rig.receive(
                rig.answering(challenge, request, username: "alice", password: password, count: UInt32(count)), from: .alice)
            #expect(rig.next(to: .alice).status == 200)
        }
    }

    @Test func anUnprotectedUserMayNameAPrivateIdentityOfItsOwn() {
        let rig = CoreRig()
        let mine = "Digest username=\"carol@home1.test\", realm=\"home1.test\", nonce=\"\", uri=\"sip:home1.test\", response=\"\""
        #expect(rig.register(.carol, [("Authorization", mine)]).status == 200)
        let others = mine.replacing("carol@", with: "bob@")
        #expect(rig.register(.carol, [("Authorization", others)]).status == 403)
    }

    @Test func aRequestFromElsewhereIsChallengedAndThenTaken() {
        let rig = CoreRig().registered(.alice, .bob)
        let elsewhere = Peer("elsewhere", Peer.alice.identity, port: 6666)
        let request = rig.request("MESSAGE", "sip:bob@home1.test", from: elsewhere)
        rig.receive(request, from: elsewhere)
        let challenge = rig.first()
        #expect(challenge.status == 407)
        #expect(challenge.has("Proxy-Authenticate"))
        rig.receive(rig.answering(challenge, request, username: "alice", password: password), from: elsewhere)
        let message = rig.next(to: .bob)
        #expect(message.method == "MESSAGE")
        #expect(message["P-Asserted-Identity"] == "<sip:alice@home1.test>, <tel:+15550100>")
        #expect(!message.has("Proxy-Authorization"))
    }

    @Test func wrongAnswersToRequestsAreCountedToo() {
        let rig = CoreRig().registered(.alice, .bob)
        let elsewhere = Peer("elsewhere", Peer.alice.identity, port: 6666)
        let request = rig.request("MESSAGE", "sip:bob@home1.test", from: elsewhere)
        rig.receive(request, from: elsewhere)
        var answer = rig.first()
        for expected in [407, 407, 407, 403] {
            rig.receive(rig.answering(answer, request, username: "alice", password: "wrong"), from: elsewhere)
            answer = rig.first()
            #expect(answer.status == expected)
        }
    }
}
