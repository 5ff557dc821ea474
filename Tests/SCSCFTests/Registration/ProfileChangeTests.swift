import IMSProfile
import SIPRegistrar
import SansIO
import Testing

@testable import SCSCF

/// A change of a registered user's criteria (TS 24.229 §5.4.1.8): who is told of the registration.
@Suite(.overShards) struct ProfileChangeTests {
    private typealias L = Laboratory

    private func rig(tells: Bool = true, isPersistent: Bool = false) -> CoreRig {
        CoreRig {
            $0.profiles = [
                L.profile([
                    L.criterion(0, [.method("REGISTER")], 0),
                    L.criterion(1, [.method("REGISTER", registrationTypes: [.initial]), .header("Contact", content: "alice@127")], 1),
                    L.criterion(2, [.method("REGISTER", registrationTypes: [.deregistration])], 2),
                ])
            ]
            $0.subscribers[0].isAuthenticated = false
            $0.thirdParty.tellsProfileChanges = tells
            $0.isPersistent = isPersistent
        }
    }

    /// Tells each shard that the profile has changed, and that these servers were told of alice before.
    private func change(_ rig: CoreRig, from before: [Int32]) {
        rig.onEachShard { core, effects in
            guard core.otherShard(of: 0) == nil else { return }
            core.profileChanged(of: 0, toldBefore: before, at: rig.now, into: &effects)
        }
    }

    @Test(arguments: [false, true])
    func serversThatAProfileBringsInHear(_ isPersistent: Bool) {
        let rig = rig(isPersistent: isPersistent)
        rig.answers = ["im": 200, "second": 200]
        rig.register(.alice)
        rig.advance(.seconds(600))
        _ = rig.taken()
        change(rig, from: [0])
        let told = rig.taken().filter { $0.message.isRequest }
        #expect(told.map(\.destination) == ["second"])
        #expect(told.first?.message["Expires"] == "3000")
        #expect(told.first?.message["To"] == "<sip:alice@home1.test>")
        change(rig, from: [])
        #expect(rig.taken().filter { $0.message.isRequest }.map(\.destination) == ["im", "second"])
        change(rig, from: [1, 0])
        #expect(rig.trace() == [])
        #expect(rig.tables[StoreTable.thirdParty]?.count ?? 0 == 0)
    }

    @Test func theServersToldBeforeAreKnown() {
        let rig = rig()
        var told: [[Int32]] = []
        rig.onEachShard { core, _ in told.append(core.serversTold(of: 0, at: rig.now)) }
        #expect(told.allSatisfy { $0.isEmpty })
        rig.register(.alice)
        _ = rig.taken()
        told = []
        rig.onEachShard { core, _ in told.append(core.serversTold(of: 0, at: rig.now)) }
        #expect(told.filter { !$0.isEmpty } == [[0, 1]])
        #expect(rig.trace() == [])
    }

    @Test func nobodyHearsUnasked() {
        let rig = rig(tells: false)
        rig.register(.alice)
        _ = rig.taken()
        change(rig, from: [])
        #expect(rig.trace() == [])
    }

    @Test func nobodyHearsOfOneWhoIsAway() {
        let rig = rig()
        change(rig, from: [])
        #expect(rig.trace() == [])
    }
}
