import SCSCF
import SansIO
import Testing

/// With a database nothing that depends on a change leaves before the change is safe.
@Suite(.overShards) struct PersistenceTests {
    private func rig() -> CoreRig {
        CoreRig {
            $0.isPersistent = true
            $0.subscribers[0].isAuthenticated = false
        }
    }

    private func waiting() -> CoreRig {
        let rig = rig()
        rig.commits = false
        return rig
    }

    @Test func theAnswerAndTheServersWaitForTheCommit() {
        let rig = waiting()
        let request = rig.registerRequest(.alice)
        rig.receive(request, from: .alice)
        rig.receive(request, from: .alice)
        #expect(rig.trace() == [])
        rig.commit()
        #expect(rig.trace() == ["alice 200 REGISTER", "im REGISTER"])
        rig.receive(request, from: .alice)
        #expect(rig.trace() == ["alice 200 REGISTER"])
    }

    @Test func aFetchWaitsForNothing() {
        let rig = waiting()
        rig.receive(rig.registerRequest(.alice, contact: ""), from: .alice)
        #expect(rig.trace() == ["alice 200 REGISTER"])
    }

    @Test func aFailedCommitUndoesTheChanges() {
        let rig = rig()
        rig.register(.alice)
        _ = rig.taken()
        rig.commits = false
        rig.receive(rig.registerRequest(.alice, contact: "<sip:alice@127.0.0.1:9>"), from: .alice)
        rig.receive(rig.registerRequest(.carol), from: .carol)
        rig.receive(rig.registerRequest(.alice, expires: 0, contact: "*"), from: .alice)
        rig.commit(succeeded: false)
        #expect(Set(rig.trace()) == ["alice 500 REGISTER", "carol 500 REGISTER"])
        #expect(rig.contacts("sip:alice@home1.test") == ["sip:alice@127.0.0.1:5071"])
        #expect(rig.contacts("sip:carol@home1.test") == [])
        rig.commits = true
        #expect(rig.register(.carol).status == 200)
    }

    @Test func aRegistrationOutlivesTheProcess() {
        let rig = rig()
        rig.answers["im"] = 200
        rig.register(.alice, [("Path", "<sip:127.0.0.1:5099;lr>")])
        let restarted = rig.restarted(after: .seconds(600))
        #expect(restarted.trace() == [])
        let contact = restarted.core.registeredIdentity("sip:alice@home1.test", at: restarted.now.monotonic)?.contacts.first
        #expect(contact?.uri == "sip:alice@127.0.0.1:5071")
        #expect(contact?.expires == 3000)
        #expect(contact?.path == "<sip:127.0.0.1:5099;lr>")
    }

    @Test func whatExpiredMeanwhileIsToldAndForgotten() {
        let rig = rig()
        rig.register(.alice)
        let restarted = rig.restarted(after: .seconds(4000))
        #expect(restarted.contacts("sip:alice@home1.test") == [])
        let told = restarted.next(to: .im)
        #expect(told["Expires"] == "0")
        #expect(restarted.records.isEmpty)
    }

    @Test func deregistrationRemovesTheRecord() {
        let rig = rig()
        rig.register(.alice)
        #expect(rig.records.count == 1)
        rig.register(.alice, expires: 0)
        #expect(rig.records.isEmpty)
    }

    @Test func expiryIsToldOnceItIsStored() {
        let rig = rig()
        rig.answers["im"] = 200
        rig.register(.alice, expires: 60)
        _ = rig.taken()
        rig.commits = false
        rig.advance(.seconds(61))
        #expect(rig.trace() == [])
        rig.commit()
        #expect(rig.trace() == ["im REGISTER"])
        #expect(rig.records.isEmpty)
    }

    @Test func deregistrationByTheNetworkIsToldOnceItIsStored() {
        let rig = rig()
        rig.answers["im"] = 200
        rig.register(.alice)
        _ = rig.taken()
        rig.commits = false
        #expect(rig.deregister("sip:alice@home1.test"))
        #expect(rig.trace() == [])
        rig.commit()
        #expect(rig.trace() == ["im REGISTER"])
    }

    @Test func aFailedCommitUndoesADeregistrationByTheNetwork() {
        let rig = rig()
        rig.answers["im"] = 200
        rig.register(.alice)
        _ = rig.taken()
        rig.commits = false
        #expect(rig.deregister("sip:alice@home1.test"))
        rig.commit(succeeded: false)
        #expect(rig.trace() == [])
        #expect(rig.contacts("sip:alice@home1.test").count == 1)
    }

    /// The file may have been changed between two runs.
    @Test func aRegistrationMovesToTheFirstIdentityOfItsSet() {
        let rig = rig().registered(.alice)
        #expect(Array(rig.records.keys) == [Array("sip:alice@home1.test".utf8)])
        let identities = ["tel:+15550100", "sip:alice@home1.test"]
        let next = CoreRig(tables: rig.tables) {
            $0.isPersistent = true
            $0.subscribers[0] = Laboratory.subscriber("alice", identities, password: "wonderland", profile: 0)
        }
        #expect(next.contacts("sip:alice@home1.test").count == 1)
        #expect(Array(next.records.keys) == [Array("tel:+15550100".utf8)])
        next.answers["im"] = 200
        next.register(.alice, expires: 0)
        #expect(next.records.isEmpty && next.restarted().core.registeredCount == 0)
    }

    /// Whoever has the identity at the next start has not registered it, and the servers that were told hear of its end.
    @Test func aRegistrationDoesNotBecomeAnothers() {
        let rig = rig().registered(.alice)
        let renamed = CoreRig(tables: rig.tables, losing: 1) {
            $0.isPersistent = true
            $0.subscribers[0] = Laboratory.subscriber("mallory", ["sip:alice@home1.test"], password: "wonderland", profile: 0)
        }
        #expect(renamed.contacts("sip:alice@home1.test") == [])
        #expect(renamed.next(to: .im)["Expires"] == "0")
        #expect(renamed.records.isEmpty)
        // The identity under which it is stored may be another's while the user keeps the rest.
        let identities = ["tel:+15550100", "sip:alice@home1.test"]
        let set = CoreRig {
            $0.isPersistent = true
            $0.subscribers[0] = Laboratory.subscriber("alice", identities, password: "wonderland", profile: 0)
            $0.subscribers[0].isAuthenticated = false
        }.registered(.alice)
        let divided = CoreRig(tables: set.tables, losing: 1) {
            $0.isPersistent = true
            $0.subscribers.append(Laboratory.subscriber("dave", ["sip:dave@home1.test", "tel:+15550100"], password: "d", profile: 0))
        }
        #expect(divided.contacts("sip:dave@home1.test") == [] && divided.contacts("tel:+15550100") == [])
        #expect(divided.records.isEmpty)
    }

    @Test func devicesThatChangedPlacesHaveNoContacts() {
        func rig(_ devices: [String], tables: [UInt8: [[UInt8]: [UInt8]]] = [:], losing: Int = 0) -> CoreRig {
            CoreRig(tables: tables, losing: losing) {
                $0.isPersistent = true
                $0.subscribers[1].privateIdentities = devices.map { IdentityTemplate($0) }
                $0.subscribers[1].passwords = devices.map { _ in IdentityTemplate("builder") }
            }
        }
        let first = rig(["bob@home1.test", "bob-tablet@home1.test"]).registered(.bob)
        #expect(first.contacts("sip:bob@home1.test").count == 1)
        let swapped = rig(["bob-tablet@home1.test", "bob@home1.test"], tables: first.tables, losing: 1)
        #expect(swapped.contacts("sip:bob@home1.test") == [])
        let same = rig(["bob@home1.test", "bob-tablet@home1.test", "bob-watch@home1.test"], tables: first.tables)
        #expect(same.contacts("sip:bob@home1.test").count == 1)
    }

    @Test func aDeviceThatIsNotThereAnyMoreHasNoContacts() {
        let rig = CoreRig {
            $0.isPersistent = true
            $0.subscribers[1].privateIdentities.append(IdentityTemplate("bob-tablet@home1.test"))
            $0.subscribers[1].passwords.append(IdentityTemplate("builder"))
        }.registered(.bob)
        #expect(rig.register(.bobTablet, privateIdentity: "bob-tablet@home1.test").status == 200)
        #expect(rig.restarted().contacts("sip:bob@home1.test").count == 2)
        let next = CoreRig(tables: rig.tables) { $0.isPersistent = true }
        #expect(next.core.registeredIdentity("sip:bob@home1.test", at: next.now.monotonic)?.privateIdentity == "bob@home1.test")
        #expect(next.contacts("sip:bob@home1.test") == ["sip:bob@127.0.0.1:5072"])
        #expect(next.restarted().contacts("sip:bob@home1.test").count == 1)
    }

    @Test func damagedAndForeignRecordsAreRefused() {
        var effects = Effects()
        let rig = rig()
        let (key, junk) = (Array("sip:alice@home1.test".utf8), [UInt8](repeating: 0xFF, count: 40))
        let isDamagedTaken = rig.core.restore(key: key.span.bytes, value: junk.span.bytes, at: rig.now, into: &effects)
        #expect(!isDamagedTaken)
        let nobody = Array("sip:nobody@home1.test".utf8)
        let isForeignTaken = rig.core.restore(key: nobody.span.bytes, value: junk.span.bytes, at: rig.now, into: &effects)
        #expect(!isForeignTaken)
    }
}
