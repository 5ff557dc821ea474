import IMSProfile
import SCSCF
import SIPTransaction
import SansIO
import Testing

/// What becomes of requests when there is hardly room for more (RFC 3261 §21.5.4, RFC 7339 §5.10.1). Of several shards each
/// has its part of the room, so one is enough here.
@Suite struct OverloadTests {
    private let toBob = "sip:bob@home1.test"

    /// Alice and Bob are registered, nothing is under way.
    private func rig(_ change: (inout ServingCSCFConfiguration) -> Void) -> CoreRig {
        let rig = CoreRig(Division(), change).registered(.alice, .bob)
        rig.advance(.seconds(40))
        _ = rig.taken()
        #expect(TransactionKindCount.all(rig.core) == 0)
        return rig
    }

    private func within(_ rig: CoreRig, _ method: String) {
        rig.receive(rig.request(method, "sip:bob@127.0.0.1:5072", from: .alice).with("To", "<\(toBob)>;tag=remote"), from: .alice)
    }

    @Test func newWorkIsRefusedBeforeWhatIsUnderWay() {
        let rig = rig { $0.transactionLimit = 64 }
        for _ in 0..<56 { rig.send("OPTIONS", "sip:home1.test", from: .stranger) }
        #expect(rig.trace().allSatisfy { $0 == "stranger 200 OPTIONS" })
        rig.send("MESSAGE", toBob, from: .alice)
        let refused = rig.next(to: .alice)
        #expect(refused.status == 503)
        #expect(refused["Retry-After"] == "5")
        #expect(rig.dropped(.overload) == 1)
        for _ in 0..<3 { within(rig, "INFO") }
        #expect(rig.trace() == ["bob INFO", "bob INFO", "bob INFO"])
        // The last of the room is for those who leave.
        within(rig, "INFO")
        #expect(rig.trace() == ["alice 503 INFO"])
        #expect(rig.dropped(.overloadWithinDialog) == 1)
        within(rig, "BYE")
        #expect(rig.trace() == ["bob BYE"])
        #expect(rig.dropped(.overload) == 1 && rig.dropped(.overloadMemory) == 0)
        // Room comes back with time.
        rig.advance(.seconds(70))
        _ = rig.taken()
        rig.send("MESSAGE", toBob, from: .alice)
        #expect(rig.trace() == ["bob MESSAGE"])
    }

    @Test func aCallCanBeCancelledWhateverTheLoad() {
        let rig = rig { $0.transactionLimit = 64 }
        let invite = rig.send("INVITE", toBob, from: .alice)
        let atBob = rig.next(to: .bob)
        rig.receive(atBob.response(180), from: .bob)
        for _ in 0..<60 { rig.send("OPTIONS", "sip:home1.test", from: .stranger) }
        _ = rig.taken()
        var cancel = invite.with("CSeq", invite["CSeq"]?.replacing("INVITE", with: "CANCEL")).with("Contact", nil)
        cancel.startLine = invite.startLine.replacing("INVITE", with: "CANCEL")
        rig.receive(cancel, from: .alice)
        #expect(rig.trace() == ["alice 200 CANCEL", "bob CANCEL"])
        rig.receive(atBob.response(487), from: .bob)
        #expect(rig.trace() == ["bob ACK", "alice 487 INVITE"])
    }

    @Test func aRequestThatIsTakenAndCannotBeSentIsRefusedTheSameWay() {
        let rig = CoreRig(Division()) { $0.transactionLimit = 2 }
        rig.register(.carol)
        rig.advance(.seconds(40))
        rig.send("OPTIONS", "sip:home1.test", from: .stranger)
        _ = rig.taken()
        rig.send("MESSAGE", "sip:x@127.0.0.1:6070", from: .carol)
        let answer = rig.next(to: .carol)
        #expect(answer.status == 503)
        #expect(answer["Retry-After"] == "5")
        #expect(rig.dropped(.overload) == 1)
    }

    @Test func anApplicationServerIsNotPassedOverForWantOfRoom() {
        let rig = CoreRig(Division()) {
            $0.transactionLimit = 2
            $0.profiles = [Laboratory.profile([Laboratory.criterion(0, [.method("MESSAGE")], 0)])]
            $0.subscribers[2] = Laboratory.subscriber("carol", ["sip:carol@home1.test"], password: nil, profile: 0)
        }
        rig.register(.carol)
        rig.advance(.seconds(40))
        rig.send("OPTIONS", "sip:home1.test", from: .stranger)
        _ = rig.taken()
        rig.send("MESSAGE", "sip:x@127.0.0.1:6070", from: .carol)
        #expect(rig.trace() == ["carol 503 MESSAGE"])
    }

    @Test func whatIsKeptForRetransmissionIsBounded() {
        let rig = rig {
            $0.keptLimit = 1 << 20
            $0.udpSizeLimit = 0
        }
        let body = String(repeating: "x", count: 30_000)
        for _ in 0..<40 { rig.send("MESSAGE", toBob, from: .alice, body: body) }
        let trace = rig.trace()
        #expect(trace.filter { $0 == "bob MESSAGE" }.count == 28)
        #expect(trace.filter { $0 == "alice 503 MESSAGE" }.count == 12)
        #expect(rig.dropped(.overloadMemory) == 12 && rig.dropped(.overload) == 0)
        rig.advance(.seconds(70))
        _ = rig.taken()
        rig.send("MESSAGE", toBob, from: .alice, body: body)
        #expect(rig.trace() == ["bob MESSAGE"])
    }
}
