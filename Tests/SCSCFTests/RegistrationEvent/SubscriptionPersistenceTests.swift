import SCSCF
import SansIO
import Testing

/// With a database a subscription is answered once it is stored, and goes on after any death of the process.
@Suite(.overShards) struct SubscriptionPersistenceTests {
    private let contact = "sip:alice@127.0.0.1:5071"

    private func watched() -> (CoreRig, Watcher) {
        let rig = CoreRig.watched(.alice) { $0.isPersistent = true }
        let watcher = Watcher(rig)
        _ = watcher.notified()
        return (rig, watcher)
    }

    @Test func theAnswerAndTheNotifyWaitForTheCommit() {
        let rig = CoreRig.watched(.alice) { $0.isPersistent = true }
        rig.commits = false
        let watcher = Watcher(rig)
        #expect(watcher.answer.status == nil)
        // Nothing of it is told while it may yet fail.
        rig.advance(.seconds(1))
        #expect(!rig.taken().contains { $0.message.method == "NOTIFY" })
        rig.commit()
        #expect(rig.trace() == ["alice 200 SUBSCRIBE", "alice NOTIFY"])
    }

    @Test func aFailedCommitUndoesIt() {
        let rig = CoreRig.watched(.alice) { $0.isPersistent = true }
        rig.commits = false
        _ = Watcher(rig)
        rig.commit(succeeded: false)
        #expect(rig.trace() == ["alice 500 SUBSCRIBE"])
        #expect(rig.core.subscriptionCount == 0)
        rig.commits = true
        #expect(Watcher(rig).answer.status == 200)
    }

    @Test func aFailedRefreshLeavesWhatWas() throws {
        let (rig, watcher) = watched()
        rig.commits = false
        watcher.subscribe(expires: 6000) { $0.set("Contact", "<sip:alice@127.0.0.1:5073>") }
        watcher.subscribe(expires: 0)
        rig.commit(succeeded: false)
        #expect(Set(rig.trace()) == ["alice 500 SUBSCRIBE", "alice NOTIFY"])
        rig.commits = true
        #expect(rig.core.subscriptionCount == 1)
        rig.advance(.seconds(30))
        #expect(rig.core.subscriptionCount == 1)
        rig.advance(.seconds(600))
        #expect(rig.core.subscriptionCount == 0)
        #expect(rig.subscriptionRecords.isEmpty)
    }

    @Test func aChangeIsToldOnceItIsSafe() throws {
        let (rig, watcher) = watched()
        rig.commits = false
        let request = rig.registerRequest(.alice)
        rig.receive(request, from: .alice)
        rig.receive(
            rig.answering(rig.next(to: .alice), request, username: "alice@home1.test", password: "wonderland"), from: .alice)
        #expect(rig.trace() == [])
        rig.commit()
        #expect(rig.next(to: .alice).summary == "200 REGISTER")
        #expect(try watcher.told().contacts == ["active refreshed \(contact)"])
    }

    @Test func aChangeThatIsUndoneIsNotTold() {
        let (rig, _) = watched()
        rig.commits = false
        #expect(rig.deregister("sip:alice@home1.test"))
        rig.commit(succeeded: false)
        #expect(rig.trace() == [])
        #expect(rig.core.subscriptionCount == 1)
    }

    @Test func whileALaterChangeIsUnsafeNothingOfItShows() throws {
        let (rig, watcher) = watched()
        rig.commits = false
        func register(contact: String) {
            let request = rig.registerRequest(.alice, contact: contact)
            rig.receive(request, from: .alice)
            rig.receive(
                rig.answering(rig.next(to: .alice), request, username: "alice@home1.test", password: "wonderland"), from: .alice)
        }
        register(contact: "<\(contact)>")
        register(contact: "<sip:alice@127.0.0.1:9>")
        rig.commit(succeeded: false)
        #expect(rig.trace() == ["alice 500 REGISTER", "alice 500 REGISTER"])
        rig.commits = true
        rig.register(.alice)
        #expect(try watcher.told().contacts == ["active refreshed \(contact)"])
    }

    // MARK: After a restart

    @Test func aSubscriptionOutlivesTheProcess() throws {
        let (rig, watcher) = watched()
        rig.register(.alice)
        #expect(watcher.notified()["CSeq"] == "2 NOTIFY")
        let restarted = rig.restarted(after: .seconds(100))
        watcher.rig = restarted
        #expect(restarted.core.subscriptionCount == 1)
        restarted.advance(.seconds(1))
        let notify = watcher.notified()
        let number = try #require(notify["CSeq"]?.split(separator: " ").first.flatMap { Int($0) })
        #expect(number > 2)
        #expect(notify["Subscription-State"] == "active;expires=500")
        #expect(notify["From"] == watcher.answer["To"] && notify["To"] == watcher.request["From"])
        #expect(notify["Call-ID"] == watcher.request["Call-ID"])
        let info = try RegistrationInfo(notify)
        #expect(info.version == number - 1 && info.state == "full")
        #expect(info.contacts == ["active registered \(contact)"])
        // It goes on as it would have.
        #expect(watcher.subscribe(expires: 300).status == 200)
        #expect(try watcher.told().version == number)
        restarted.register(.alice, expires: 0)
        #expect(watcher.notified()["Subscription-State"] == "terminated;reason=deactivated")
        #expect(restarted.subscriptionRecords.isEmpty && restarted.records.isEmpty)
    }

    @Test func severalSubscriptionsOfADialogOutliveTheProcess() throws {
        let (rig, watcher) = watched()
        #expect(watcher.subscribe(expires: 500) { $0.set("Event", "reg;id=b") }.status == 200)
        var last = try number(watcher.notified())
        var current = rig
        // More than is set aside at once, told to both; then a little.
        for count in [130, 5] {
            for _ in 0..<count {
                current.register(.alice)
                for _ in 0..<2 {
                    let next = try number(watcher.notified())
                    #expect(next > last, "after \(last)")
                    last = next
                }
            }
            current = current.restarted()
            watcher.rig = current
            #expect(current.core.subscriptionCount == 2)
            current.advance(.milliseconds(100))
            for _ in 0..<2 {
                let next = try number(watcher.notified())
                #expect(next > last, "after \(last)")
                last = next
            }
        }
        #expect(current.subscriptionRecords.count == 2)
        #expect(watcher.subscribe(expires: 0) { $0.set("Event", "reg;id=b") }.status == 200)
        #expect(watcher.notified()["Event"] == "reg;id=b")
        #expect(current.subscriptionRecords.count == 1)
    }

    private func number(_ notify: SIPText) throws -> Int {
        try #require(notify["CSeq"]?.split(separator: " ").first.flatMap { Int($0) })
    }

    @Test func versionsRiseThroughManyDeaths() throws {
        var (rig, watcher) = watched()
        var last = 1
        for _ in 0..<2 {
            for _ in 0..<200 {
                rig.register(.alice)
                let notify = watcher.notified()
                let number = try #require(notify["CSeq"]?.split(separator: " ").first.flatMap { Int($0) })
                #expect(number > last, "after \(last)")
                last = number
                _ = rig.taken()
            }
            rig = rig.restarted()
            watcher.rig = rig
            rig.answers["im"] = 200
            rig.advance(.milliseconds(50))
            let number = try #require(watcher.notified()["CSeq"]?.split(separator: " ").first.flatMap { Int($0) })
            #expect(number > last)
            last = number
        }
    }

    @Test func withoutVersionsSetAsideNothingIsTold() throws {
        let (rig, watcher) = watched()
        rig.commits = false
        let restarted = rig.restarted()
        restarted.commits = false
        watcher.rig = restarted
        restarted.advance(.milliseconds(50))
        #expect(restarted.trace() == [])
        restarted.commit(succeeded: false)
        #expect(restarted.trace() == [])
        restarted.commits = true
        restarted.advance(.seconds(6))
        #expect(watcher.notified().method == "NOTIFY")
    }

    @Test func whatEndedMeanwhileIsToldAsEnded() throws {
        let (rig, watcher) = watched()
        var restarted = rig.restarted(after: .seconds(700))
        watcher.rig = restarted
        restarted.advance(.seconds(1))
        #expect(watcher.notified()["Subscription-State"] == "terminated;reason=timeout")
        #expect(restarted.subscriptionRecords.isEmpty)

        let (other, second) = watched()
        second.subscribe(expires: 100_000)
        _ = second.notified()
        restarted = other.restarted(after: .seconds(4000))
        second.rig = restarted
        restarted.advance(.seconds(1))
        let notify = second.notified()
        #expect(notify["Subscription-State"] == "terminated;reason=deactivated")
        let info = try RegistrationInfo(notify)
        #expect(info.registrations.map(\.state) == ["terminated", "terminated"])
        #expect(info.registrations.flatMap(\.contacts).map(\.event) == ["expired", "expired"])
        #expect(restarted.subscriptionRecords.isEmpty)
    }

    @Test func theSubscriptionOfAUserWhoIsGoneIsForgotten() {
        let (rig, _) = watched()
        #expect(rig.subscriptionRecords.count == 1)
        // And of the registration.
        let next = CoreRig(tables: rig.tables, losing: 2) {
            $0.isPersistent = true
            $0.subscribers.removeFirst()
        }
        #expect(next.subscriptionRecords.isEmpty)
    }

    /// Re-authentication by the network is told once it is stored.
    @Test func aShorterIntervalIsToldOnceItIsStored() throws {
        let (rig, watcher) = watched()
        func reauthenticate() -> Bool {
            rig.onEachShard { $0.reauthenticate("sip:alice@home1.test", at: $1, into: &$2) }.contains(true)
        }
        rig.commits = false
        #expect(reauthenticate())
        #expect(rig.trace() == [])
        rig.commit()
        #expect(try RegistrationInfo(watcher.notified()).registrations.flatMap(\.contacts).allSatisfy { $0.event == "shortened" })
        #expect(reauthenticate())
        rig.commit(succeeded: false)
        #expect(!rig.trace().contains("alice NOTIFY"))
    }

    @Test func theNumberOfShardsMayChange() throws {
        let (rig, watcher) = watched()
        for shards in [3, 1, 4] {
            let other = rig.restarted(as: Division(shards: shards, seed: 9))
            watcher.rig = other
            other.advance(.seconds(1))
            #expect(watcher.notified().method == "NOTIFY", "\(shards) shards")
            #expect(watcher.subscribe(expires: 600).status == 200, "\(shards) shards")
        }
    }

    @Test func aLookIsNotStored() {
        let rig = CoreRig.watched(.alice) { $0.isPersistent = true }
        rig.commits = false
        #expect(Watcher(rig, expires: 0).answer.status == 200)
        #expect(!rig.hasPendingChanges)
    }

    @Test func theEndRemovesTheRecord() {
        let (rig, watcher) = watched()
        #expect(rig.subscriptionRecords.count == 1)
        watcher.subscribe(expires: 0)
        #expect(rig.subscriptionRecords.isEmpty)
        let refusing = Watcher(rig)
        #expect(rig.subscriptionRecords.count == 1)
        _ = refusing.notified(481)
        #expect(rig.subscriptionRecords.isEmpty)
    }

    @Test func damagedAndForeignRecordsAreRefused() throws {
        let (rig, _) = watched()
        let (key, value) = try #require(rig.subscriptionRecords.first)
        func isTaken(_ key: [UInt8], _ value: [UInt8], by other: CoreRig = CoreRig(Division())) -> Bool {
            var effects = Effects()
            return other.core.restore(
                table: StoreTable.subscriptions, key: key.span.bytes, value: value.span.bytes, at: rig.now, into: &effects)
        }
        #expect(isTaken(key, value))
        #expect(!isTaken(Array("x".utf8), value))
        #expect(!isTaken(key, []))
        for i in stride(from: 0, to: value.count, by: 3) {
            var damaged = value
            damaged[i] ^= 0x10
            #expect(!isTaken(key, damaged), "octet \(i)")
            #expect(!isTaken(key, Array(value[..<i])), "\(i) octets")
        }
        #expect(!isTaken(key, value, by: CoreRig(Division()) { $0.subscribers.removeFirst() }))
    }
}
