import IMSProfile
import SCSCF
import SansIO
import Testing

extension CoreRig {
    /// Makes a change in all shards, as the shell does.
    ///
    /// - Returns: the number that stands for the subscriber afterwards.
    @discardableResult
    func change(_ change: SubscriberChange, profiles: [ServiceProfile] = []) -> UInt32 {
        let numbers = onEachShard { core, now, effects in core.change(change, profiles: profiles, at: now, into: &effects) }
        #expect(numbers.allSatisfy { $0 == numbers[0] })
        if case .remove = change { return numbers[0] }
        _ = onEachShard { core, _, _ in core.publish(numbers[0]) }
        return numbers[0]
    }

    /// Registers with credentials of one's own.
    func register(_ peer: Peer, as username: String, _ password: String, expires: Int = 3600) -> SIPText {
        let request = registerRequest(peer, expires: expires)
        receive(request, from: peer)
        let challenge = next(to: peer)
        guard challenge.status == 401 else { return challenge }
        receive(answering(challenge, request, username: username, password: password), from: peer)
        return next(to: peer)
    }
}

/// Subscribers that are put, changed and removed while the core runs.
@Suite(.overShards) struct ProvisioningTests {
    private typealias L = Laboratory
    private let dave = Peer("stranger", "sip:dave@home1.test", port: 5999, address: "192.0.2.66")
    private let alice: UInt32 = 0

    private func plan(_ name: String, password: String? = "secret", profile: Int? = 0, _ identities: [String]? = nil) -> SubscriberPlan {
        L.subscriber(name, identities ?? ["sip:\(name)@home1.test"], password: password, profile: profile)
    }

    private func alicePlan(password: String = "wonderland", profile: Int? = 0) -> SubscriberPlan {
        plan("alice", password: password, profile: profile, ["sip:alice@home1.test", "tel:+15550100"])
    }

    // MARK: Coming

    @Test func whoIsAddedMayRegisterAndIsReached() {
        let rig = CoreRig().registered(.alice)
        #expect(rig.register(dave, as: "dave", "secret").status == 404)
        #expect(rig.change(.add(plan("dave"))) == 3)
        #expect(rig.register(dave, as: "dave", "wrong").status == 401)
        #expect(rig.register(dave, as: "dave", "secret").status == 200)
        #expect(rig.trace() == ["im REGISTER"])
        rig.send("MESSAGE", "sip:dave@home1.test", from: .alice)
        #expect(rig.next(to: dave).method == "MESSAGE")
    }

    @Test func aNewProfileIsCompiledAndUsed() {
        let rig = CoreRig()
        let profile = L.profile([L.criterion(0, [.method("REGISTER")], 1)])
        rig.change(.add(plan("dave", profile: 1)), profiles: [profile])
        #expect(rig.register(dave, as: "dave", "secret").status == 200)
        #expect(rig.trace() == ["second REGISTER"])
    }

    @Test func whatIsAnothersIsToldOf() {
        let rig = CoreRig { $0.subscribers.append(L.range()) }
        let clashes = rig.onEachShard { core, _, _ in core.clash(plan("x", ["sip:u0007@home1.test"]), replacing: nil) }
        #expect(clashes.allSatisfy { $0 == SubscriberClash(identity: "sip:u0007@home1.test", holder: "u0007") })
        let own = rig.onEachShard { core, _, _ in core.clash(alicePlan(), replacing: alice) }
        #expect(own.allSatisfy { $0 == nil })
    }

    // MARK: Changing

    @Test func otherCredentialsLeaveTheRegistrationAndChallengeTheNextOne() {
        let rig = CoreRig()
        let request = rig.registerRequest(.alice)
        rig.receive(request, from: .alice)
        let challenge = rig.next(to: .alice)
        rig.receive(rig.answering(challenge, request, username: "alice", password: "wonderland"), from: .alice)
        #expect(rig.next(to: .alice).status == 200)
        _ = rig.taken()
        #expect(rig.change(.replace(alice, alicePlan(password: "mirror"))) == alice)
        #expect(rig.trace() == [])
        #expect(rig.contacts("sip:alice@home1.test") == ["sip:alice@127.0.0.1:5071"])
        // The nonce in use is void, whichever password answers it.
        for password in ["wonderland", "mirror"] {
            rig.receive(rig.answering(challenge, rig.again(request), username: "alice", password: password, count: 2), from: .alice)
            let answer = rig.next(to: .alice)
            #expect(answer.status == 401)
            #expect(answer.parameter("stale", of: "WWW-Authenticate") == "true")
        }
        #expect(rig.register(.alice, as: "alice", "wonderland").status == 401)
        #expect(rig.register(.alice, as: "alice", "mirror").status == 200)
    }

    @Test func otherCredentialsVoidAnOpenChallengeToo() {
        let rig = CoreRig()
        let request = rig.registerRequest(.alice)
        rig.receive(request, from: .alice)
        let challenge = rig.next(to: .alice)
        rig.change(.replace(alice, alicePlan(password: "mirror")))
        rig.receive(rig.answering(challenge, request, username: "alice", password: "mirror"), from: .alice)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 401)
        #expect(answer.parameter("stale", of: "WWW-Authenticate") == "true")
        rig.receive(rig.answering(answer, request, username: "alice", password: "mirror"), from: .alice)
        #expect(rig.next(to: .alice).status == 200)
    }

    /// Another set of identities has another number, and what was answered under the old one must not count again.
    @Test func anAnswerDoesNotCountAgainUnderOtherIdentities() {
        let rig = CoreRig()
        let request = rig.registerRequest(.alice)
        rig.receive(request, from: .alice)
        let challenge = rig.next(to: .alice)
        let sound = rig.answering(challenge, request, username: "alice", password: "wonderland")
        rig.receive(sound, from: .alice)
        #expect(rig.next(to: .alice).status == 200)
        rig.change(.replace(alice, plan("alice", password: "wonderland", ["sip:alicia@home1.test", "sip:alice@home1.test"])))
        _ = rig.taken()
        rig.receive(rig.again(sound), from: .alice)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 401)
        #expect(answer.parameter("stale", of: "WWW-Authenticate") == "true")
        #expect(rig.contacts("sip:alice@home1.test") == [])
        #expect(rig.register(.alice).status == 200)
    }

    @Test func theSameAgainChangesNothing() {
        let rig = CoreRig()
        let request = rig.registerRequest(.alice)
        rig.receive(request, from: .alice)
        let challenge = rig.next(to: .alice)
        rig.receive(rig.answering(challenge, request, username: "alice", password: "wonderland"), from: .alice)
        _ = rig.taken()
        #expect(rig.change(.replace(alice, alicePlan())) == alice)
        rig.receive(rig.answering(challenge, rig.again(request), username: "alice", password: "wonderland", count: 2), from: .alice)
        #expect(rig.next(to: .alice).status == 200)
    }

    @Test func otherIdentitiesEndTheRegistration() {
        let rig = CoreRig().registered(.alice, .bob)
        let number = rig.change(.replace(alice, plan("alice", password: "wonderland", ["sip:alicia@home1.test", "sip:alice@home1.test"])))
        #expect(number == 3)
        let gone = rig.next(to: .im)
        #expect(gone.method == "REGISTER")
        #expect(gone["Expires"] == "0")
        #expect(gone["To"] == "<sip:alice@home1.test>")
        #expect(rig.contacts("sip:alice@home1.test") == [])
        #expect(rig.core.registeredCount == 1)
        rig.send("MESSAGE", "tel:+15550100", from: .bob)
        #expect(rig.next(to: .bob).status == 404)
        #expect(rig.register(.alice).status == 200)
        let registered = rig.core.registeredIdentity("sip:alicia@home1.test", at: rig.now.monotonic)
        #expect(registered?.implicitSet == ["sip:alicia@home1.test", "sip:alice@home1.test"])
    }

    /// What a request at an application server has begun it ends, also when the subscriber has other criteria by then.
    @Test func aChainGoesOnAsItBegan() {
        let rig = CoreRig {
            $0.profiles = [L.profile([L.criterion(0, [], 0), L.criterion(1, [], 1)])]
        }.registered(.alice)
        rig.send("MESSAGE", "sip:alice@home1.test", from: .alice)
        let atFirst = rig.next(to: .im)
        #expect(atFirst.method == "MESSAGE")
        rig.change(.replace(alice, alicePlan(profile: nil)))
        rig.receive(atFirst.forwarded(by: .im, branch: "im1"), from: .im)
        #expect(rig.trace().contains("second MESSAGE"))
        // The next one has no criteria to meet.
        rig.send("MESSAGE", "sip:alice@home1.test", from: .alice)
        #expect(rig.trace() == ["alice MESSAGE"])
    }

    @Test func aServerThatFailsAfterAChangeIsHandledByTheOldCriteria() {
        let rig = CoreRig {
            $0.profiles = [L.profile([L.criterion(0, [], 0), L.criterion(1, [], 1)])]
        }.registered(.alice)
        rig.send("MESSAGE", "sip:bob@elsewhere.test", from: .alice)
        let request = rig.next(to: .im)
        rig.change(.replace(alice, alicePlan(profile: nil)))
        rig.receive(request.response(503), from: .im)
        #expect(rig.next(to: .second).method == "MESSAGE")
    }

    // MARK: Going

    @Test func whoIsRemovedStaysAwayThoughTheCommitFails() {
        let rig = CoreRig { $0.isPersistent = true }.registered(.alice)
        rig.commits = false
        rig.change(.remove(alice))
        rig.commit(succeeded: false)
        #expect(rig.next(to: .im)["Expires"] == "0")
        #expect(rig.core.registeredCount == 0)
    }

    @Test func whatComesAgainWhenItsUserIsGoneHasTheSameAnswer() {
        let rig = CoreRig()
        let requests = (0..<8).map { _ in rig.registerRequest(.alice) }
        let answers = requests.map { request in
            rig.receive(request, from: .alice)
            return rig.next(to: .alice).text
        }
        rig.change(.remove(alice))
        for (request, answer) in zip(requests, answers) {
            rig.receive(request, from: .alice)
            #expect(rig.next(to: .alice).text == answer)
        }
        #expect(rig.register(.alice).status == 404)
    }

    @Test func whoIsRemovedIsDeregisteredAndUnknown() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.change(.remove(alice))
        #expect(rig.next(to: .im)["Expires"] == "0")
        #expect(rig.register(.alice).status == 404)
        rig.send("MESSAGE", "sip:alice@home1.test", from: .bob)
        #expect(rig.next(to: .bob).status == 404)
        // Back with the same identities it has its number, and nothing of before.
        #expect(rig.change(.replace(alice, alicePlan(password: "mirror"))) == alice)
        #expect(rig.contacts("sip:alice@home1.test") == [])
        #expect(rig.register(.alice, as: "alice", "mirror").status == 200)
    }

    @Test func oneOfARangeGoesAndTheOthersStay() {
        let rig = CoreRig { $0.subscribers.append(L.range()) }
        let seven = Peer("stranger", "sip:u0007@home1.test", port: 5999, address: "192.0.2.66")
        let eight = Peer("alice", "sip:u0008@home1.test", port: 5071)
        #expect(rig.register(seven, as: "u0007", "pw-u0007").status == 200)
        #expect(rig.register(eight, as: "u0008", "pw-u0008").status == 200)
        _ = rig.taken()
        rig.change(.remove(3 + 7))
        #expect(rig.trace() == ["im REGISTER"])
        #expect(rig.register(seven, as: "u0007", "pw-u0007").status == 404)
        #expect(rig.register(eight, as: "u0008", "pw-u0008").status == 200)
        #expect(rig.change(.replace(3 + 7, plan("u0007", password: "own"))) == 3 + 7)
        #expect(rig.register(seven, as: "u0007", "pw-u0007").status == 401)
        #expect(rig.register(seven, as: "u0007", "own").status == 200)
    }

    // MARK: Re-authentication

    @Test func theNetworkMayHaveAUserProveItselfAgain() {
        let rig = CoreRig()
        let request = rig.registerRequest(.alice)
        rig.receive(request, from: .alice)
        let challenge = rig.next(to: .alice)
        rig.receive(rig.answering(challenge, request, username: "alice", password: "wonderland"), from: .alice)
        _ = rig.taken()
        #expect(rig.onEachShard { core, now, effects in core.reauthenticate("tel:+15550100", at: now, into: &effects) }.contains(true))
        let shortened = rig.core.registeredIdentity("sip:alice@home1.test", at: rig.now.monotonic)
        #expect(shortened?.contacts.map(\.expires) == [60])
        rig.receive(rig.answering(challenge, rig.again(request), username: "alice", password: "wonderland", count: 2), from: .alice)
        let again = rig.next(to: .alice)
        #expect(again.status == 401)
        rig.receive(rig.answering(again, rig.again(request), username: "alice", password: "wonderland"), from: .alice)
        #expect(rig.next(to: .alice).status == 200)
        rig.advance(.seconds(61))
        #expect(rig.contacts("sip:alice@home1.test").count == 1)
        for nobody in ["sip:bob@home1.test", "sip:nobody@home1.test", "no uri"] {
            #expect(!rig.onEachShard { core, now, effects in core.reauthenticate(nobody, at: now, into: &effects) }.contains(true))
        }
    }

    @Test func whatShortensARegistrationIsStoredLaterIfItsCommitFails() {
        let rig = CoreRig { $0.isPersistent = true }.registered(.alice, .bob)
        rig.commits = false
        _ = rig.onEachShard { core, now, effects in core.reauthenticate("sip:alice@home1.test", at: now, into: &effects) }
        rig.commit(succeeded: false)
        rig.commits = true
        // The database takes changes again.
        _ = rig.onEachShard { core, now, effects in core.committed(upTo: 0, succeeded: true, at: now, into: &effects) }
        let restarted = rig.restarted(after: .seconds(1))
        #expect(restarted.core.registeredIdentity("sip:alice@home1.test", at: restarted.now.monotonic)?.contacts.map(\.expires) == [59])
    }

    @Test func whoDoesNotIsGoneAfterAMinute() {
        let rig = CoreRig { $0.isPersistent = true }.registered(.alice)
        _ = rig.onEachShard { core, now, effects in core.reauthenticate("sip:alice@home1.test", at: now, into: &effects) }
        // It is so after a restart too.
        let restarted = rig.restarted(after: .seconds(30))
        #expect(restarted.contacts("sip:alice@home1.test").count == 1)
        restarted.answers["im"] = 200
        restarted.advance(.seconds(29))
        #expect(restarted.contacts("sip:alice@home1.test").count == 1)
        restarted.advance(.seconds(2))
        #expect(restarted.trace() == ["im REGISTER"])
        #expect(restarted.core.registeredCount == 0)
    }

    // MARK: The database

    @Test func aRegistrationGoesWithItsSubscriber() {
        let rig = CoreRig { $0.isPersistent = true }.registered(.alice)
        #expect(rig.records.count == 1)
        rig.commits = false
        rig.change(.remove(alice))
        // The servers hear of it when it is safe.
        #expect(rig.trace() == [])
        rig.commit()
        #expect(rig.trace() == ["im REGISTER"])
        #expect(rig.records.isEmpty)
    }

    /// A process that died between two commits may have left what belongs to nobody.
    @Test func whoIsNewBeginsWithNothing() {
        let rig = CoreRig { $0.isPersistent = true }.registered(.carol)
        let left = rig.records
        let next = CoreRig { $0.isPersistent = true }
        next.change(.remove(2))
        #expect(left.count == 1)
        next.leaveRecords(left)
        next.change(.replace(2, plan("carol", password: nil, profile: nil)))
        #expect(next.records.isEmpty)
    }

    /// What the commit of a change is to hold beside it, from the shard that has the registration.
    private func prepared(_ change: SubscriberChange, _ rig: CoreRig) -> PreparedChange? {
        let all = rig.onEachShard { core, _, _ in core.prepare(change) }
        #expect(Set(all.map { $0?.subscriber }).count == 1)
        return all.first { $0?.registration != nil } ?? all[0]
    }

    /// The process dies between the commit of a change and that of the deregistration to which it leads.
    @Test func aChangeIsStoredWithTheEndOfTheRegistration() throws {
        let rig = CoreRig { $0.isPersistent = true }.registered(.alice)
        let fewer = plan("alice", password: "wonderland", ["sip:alice@home1.test"])
        let change = try #require(prepared(.replace(alice, fewer), rig))
        #expect(change.registration == Array("sip:alice@home1.test".utf8))
        // Nothing is stored of her meanwhile.
        #expect(rig.register(.alice).status == 404)
        rig.leaveRecords([try #require(change.registration): PreparedChange.withdrawn])
        let next = CoreRig(tables: rig.tables) {
            $0.isPersistent = true
            _ = $0.takeOver([.init(number: 0, plan: fewer)])
        }
        let told = next.taken()
        #expect(told.map(\.destination) == ["im"] && told.allSatisfy { $0.message["Expires"] == "0" })
        #expect(next.core.registeredCount == 0 && next.records.isEmpty)
        #expect(next.register(.alice).status == 200)
    }

    @Test func theRecordOfOneWhoIsGoneIsTakenOut() throws {
        let rig = CoreRig { $0.isPersistent = true }.registered(.alice)
        let change = try #require(prepared(.remove(alice), rig))
        let key = try #require(change.registration)
        for value in [PreparedChange.withdrawn, try #require(rig.records[key])] {
            let next = CoreRig {
                $0.isPersistent = true
                _ = $0.takeOver([.init(number: 0, plan: nil)])
            }
            next.leaveRecords([key: value])
            let taken = next.onEachShard { core, now, effects in
                core.restore(
                    table: StoreTable.registrations, key: key.span.bytes, value: value.span.bytes, at: now, into: &effects)
            }
            #expect(taken.filter { !$0 }.count == 1)
            #expect(next.records.isEmpty)
        }
    }

    @Test func whatIsGivenUpIsAsBefore() throws {
        let rig = CoreRig { $0.isPersistent = true }.registered(.alice)
        let change = try #require(prepared(.remove(alice), rig))
        #expect(rig.register(.alice).status == 404)
        _ = rig.onEachShard { core, _, _ in core.giveUp(change) }
        #expect(rig.contacts("tel:+15550100").count == 1)
        #expect(rig.register(.alice).status == 200)
        #expect(rig.trace() == ["im REGISTER"])
    }

    @Test func whatEndsNoRegistrationNeedsNothing() {
        let rig = CoreRig { $0.isPersistent = true }.registered(.alice)
        #expect(prepared(.replace(alice, alicePlan(password: "mirror", profile: nil)), rig) == nil)
        #expect(prepared(.add(plan("dave")), rig) == nil)
        #expect(prepared(.remove(1), rig)?.registration == nil)
        #expect(rig.register(.alice).status == 200)
        let inMemory = CoreRig().registered(.alice)
        #expect(prepared(.remove(alice), inMemory) == nil)
    }

    @Test func aResetKeepsWhoIsProvisioned() {
        let rig = CoreRig()
        rig.change(.add(plan("dave")))
        rig.change(.remove(alice))
        _ = rig.register(dave, as: "dave", "secret")
        rig.core.reset(at: rig.now)
        _ = rig.taken()
        #expect(rig.core.registeredCount == 0)
        #expect(rig.register(.alice).status == 404)
        #expect(rig.register(dave, as: "dave", "secret").status == 200)
    }
}

/// What an earlier run has changed, and the file since.
struct TakingOverTests {
    private typealias L = Laboratory
    private typealias Stored = ServingCSCFConfiguration.StoredSubscriber

    private func plan(_ name: String, _ identities: [String]) -> SubscriberPlan {
        L.subscriber(name, identities, password: "secret", profile: 0)
    }

    private func rig(_ stored: [Stored], _ results: inout [ServingCSCFConfiguration.TakenOver]) -> CoreRig {
        var found: [ServingCSCFConfiguration.TakenOver] = []
        let rig = CoreRig { found = $0.takeOver(stored) }
        results = found
        return rig
    }

    private func status(_ rig: CoreRig, _ identity: String) -> Int? {
        let peer = Peer("stranger", identity, port: 5999, address: "192.0.2.66")
        rig.receive(rig.registerRequest(peer), from: peer)
        return rig.next(to: peer).status
    }

    @Test func theChangesHoldAgain() {
        var results: [ServingCSCFConfiguration.TakenOver] = []
        let rig = rig(
            [
                Stored(number: nil, plan: plan("dave", ["sip:dave@home1.test"])), Stored(number: 2, plan: nil),
                Stored(number: 1, plan: plan("bob", ["sip:robert@home1.test"])),
            ], &results)
        #expect(results == [.made(3), .made(2), .made(4)])
        #expect(status(rig, "sip:alice@home1.test") == 401)
        #expect(status(rig, "sip:dave@home1.test") == 401)
        #expect(status(rig, "sip:robert@home1.test") == 401)
        #expect(status(rig, "sip:bob@home1.test") == 404)
        #expect(status(rig, "sip:carol@home1.test") == 404)
    }

    /// Whatever order they are in: each has what it had last.
    @Test func identitiesMayHaveChangedHands() {
        var results: [ServingCSCFConfiguration.TakenOver] = []
        let rig = rig(
            [
                Stored(number: 0, plan: plan("alice", ["sip:bob@home1.test"])),
                Stored(number: 1, plan: plan("bob", ["sip:alice@home1.test"])),
            ], &results)
        #expect(results == [.made(3), .made(4)])
        #expect(rig.register(.alice, as: "bob", "secret").status == 200)
        #expect(rig.register(.bob, as: "alice", "secret").status == 200)
    }

    @Test func whatTheFileHasGivenToOthersIsLeftOut() {
        var results: [ServingCSCFConfiguration.TakenOver] = []
        let rig = rig(
            [
                Stored(number: 0, plan: plan("alice", ["sip:alice@home1.test", "sip:bob@home1.test"])),
                Stored(number: nil, plan: plan("dave", ["sip:carol@home1.test"])),
            ], &results)
        #expect(
            results == [
                .clash(SubscriberClash(identity: "sip:bob@home1.test", holder: "bob")),
                .clash(SubscriberClash(identity: "sip:carol@home1.test", holder: "carol")),
            ])
        // The file's holds.
        #expect(rig.register(.alice).status == 200)
        #expect(rig.register(.bob).status == 200)
    }
}
