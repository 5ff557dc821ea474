import SCSCF
import SIPTransaction
import SansIO
import Testing

enum TransactionKindCount {
    /// Transactions of all kinds that are alive.
    static func all(_ core: ShardedCore) -> Int { TransactionKind.allCases.reduce(0) { $0 + core.transactionCount(of: $1) } }
}

/// A core in several shards does what it does in one.
@Suite struct ShardTests {
    @Test(arguments: 1...8 as ClosedRange<UInt64>) func thePeersCannotTellShardsApart(seed: UInt64) {
        let whole = RandomLife(seed: seed, Division())
        whole.live(steps: 120)
        #expect(whole.told.count >= 8)
        for shards in 2...4 {
            let parted = RandomLife(seed: seed, Division(shards: shards, seed: seed &* 77))
            parted.live(steps: 120)
            expectSame(whole, parted, "seed \(seed), \(shards) shards")
            for purpose in [HandOver.Purpose.arrival, .request, .response, .question, .answer] {
                #expect(parted.handOvers[purpose, default: 0] > 0, "\(purpose)")
            }
        }
    }

    /// The same for each peer, but for the order of what comes at one instant.
    private func expectSame(_ whole: RandomLife, _ parted: RandomLife, _ what: String) {
        #expect(whole.told.keys.sorted() == parted.told.keys.sorted(), "\(what)")
        for (peer, expected) in whole.told {
            func ordered(_ told: [(at: Instant, text: String)]) -> [String] {
                told.sorted { ($0.at, $0.text) < ($1.at, $1.text) }.map { "\($0.at.nanoseconds / 1_000_000) ms: \($0.text)" }
            }
            let (one, other) = (ordered(expected), ordered(parted.told[peer] ?? []))
            let difference = zip(one, other).first { $0 != $1 }
            #expect(one.count == other.count, "\(peer), \(what)")
            #expect(difference == nil, "\(peer), \(what)")
        }
    }

    /// While hand-overs are late the order of things is another than in one shard, but nothing is left behind.
    @Test(arguments: 1...8 as ClosedRange<UInt64>) func lateHandOversLoseNothing(seed: UInt64) {
        for shards in 2...4 {
            let life = RandomLife(seed: seed, Division(shards: shards, seed: seed), holdsHandOvers: true)
            life.live(steps: 120)
            #expect(life.transactionsLeft == 0, "seed \(seed), \(shards) shards")
        }
    }

    // MARK: What shards have to agree on

    @Test func aCancelOvertakesNothing() {
        for shards in 2...4 {
            for seed in 1...10 as ClosedRange<UInt64> {
                let rig = CoreRig(Division(shards: shards, seed: seed)).registered(.alice, .bob)
                rig.holdsHandOvers = true
                let invite = rig.send("INVITE", "sip:bob@home1.test", from: .alice)
                var cancel = invite.with("CSeq", invite["CSeq"]?.replacing("INVITE", with: "CANCEL")).with("Contact", nil)
                cancel.startLine = invite.startLine.replacing("INVITE", with: "CANCEL")
                rig.receive(cancel, from: .alice)
                rig.holdsHandOvers = false
                rig.deliver()
                let sent = rig.taken()
                // Found: 481 would say that there is no such INVITE. It may come before its INVITE only if the network
                // brought it to another shard first, which reads in an order of its own.
                let answer = sent.first { $0.destination == "alice" && $0.message.method == "CANCEL" }
                let toBob = sent.first { $0.destination == "bob" }
                #expect([200, 481].contains(answer?.message.status), "\(sent.map(\.message.summary))")
                #expect(toBob?.message.method == "INVITE")
                guard let toBob, answer?.message.status == 200 else { continue }
                rig.receive(toBob.message.response(180), from: .bob)
                #expect(rig.taken().contains { $0.destination == "bob" && $0.message.method == "CANCEL" })
            }
        }
    }

    @Test func nothingOfShardsIsSeenOutside() throws {
        let rig = CoreRig(Division(shards: 3, seed: 5)).registered(.alice, .bob)
        rig.send("INVITE", "sip:bob@home1.test", from: .alice)
        let invite = try #require(rig.taken().first { $0.destination == "bob" }).message
        #expect(invite.all("Via").count == 2)
        #expect(invite.all("Record-Route").count == 1)
        #expect(invite["Max-Forwards"] == "69")
        rig.receive(invite.response(180), from: .bob)
        #expect(rig.next(to: .alice).all("Via").count == 1)
    }
}
