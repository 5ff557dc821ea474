import SIPMessage
import SIPTransaction
import SansIO
import Testing

/// Who is still taken when there is hardly room left (RFC 3261 §21.5.4, RFC 7339 §5.10.1).
struct AdmissionTests {
    /// Opens transactions for so many new requests.
    private func filled(_ rig: inout Rig, _ count: Int, _ method: String = "OPTIONS") throws {
        for number in 0..<count { _ = try rig.open(incoming(method, branch: "z9hG4bKfill\(number)")) }
    }

    private func isTaken(_ rig: inout Rig, _ method: String, _ branch: String, isWithinDialog: Bool) throws -> Bool {
        let outcome = try rig.receive(incoming(method, branch: "z9hG4bK" + branch, to: isWithinDialog ? ";tag=t" : ""))
        return outcome != .overloaded
    }

    @Test func newWorkIsRefusedFirst() throws {
        var rig = Rig(limit: 320)
        try filled(&rig, 279)
        let last = try isTaken(&rig, "INVITE", "last", isWithinDialog: false)
        let refused = try isTaken(&rig, "INVITE", "refused", isWithinDialog: false)
        let inDialog = try isTaken(&rig, "INVITE", "dialog", isWithinDialog: true)
        #expect(last && !refused && inDialog)
        #expect(rig.layer.hasRoomToSend(.invite) == true)
    }

    @Test func thenWhatIsWithinADialogButBYE() throws {
        var rig = Rig(limit: 320)
        try filled(&rig, 280)
        for number in 280..<310 {
            let isTaken = try isTaken(&rig, "INFO", "\(number)", isWithinDialog: true)
            #expect(isTaken)
        }
        let refused = try isTaken(&rig, "INFO", "refused", isWithinDialog: true)
        #expect(!refused)
        #expect(rig.layer.hasRoomToSend(.message) == false && rig.layer.hasRoomToSend(.bye) == true)
        for number in 310..<320 {
            let isTaken = try isTaken(&rig, "BYE", "\(number)", isWithinDialog: true)
            #expect(isTaken)
        }
        let lastBye = try isTaken(&rig, "BYE", "bye", isWithinDialog: true)
        #expect(!lastBye)
    }

    @Test func aBYEWithoutADialogIsNewWork() throws {
        var rig = Rig(limit: 320)
        try filled(&rig, 280)
        let isTaken = try isTaken(&rig, "BYE", "bye", isWithinDialog: false)
        #expect(!isTaken)
    }

    @Test func theCANCELOfARequestThatIsHereIsAlwaysTaken() throws {
        var rig = Rig(limit: 2)
        _ = try rig.open(incoming("INVITE", branch: "z9hG4bK1"))
        _ = try rig.open(incoming("INVITE", branch: "z9hG4bK2"))
        guard case .cancel(_, of: _?) = try rig.receive(incoming("CANCEL", branch: "z9hG4bK1")) else { throw Unexpected() }
        let unknown = try isTaken(&rig, "CANCEL", "3", isWithinDialog: false)
        #expect(!unknown)
    }

    @Test func responsesAndACKsNeedNoRoom() throws {
        var rig = Rig(limit: 2)
        let client = try rig.send("MESSAGE")
        let message = rig.sent()[0]
        _ = try rig.open(incoming("INVITE", branch: "z9hG4bK1"))
        let acknowledgement = try rig.receive(incoming("ACK", branch: "z9hG4bK9", to: ";tag=t"))
        #expect(acknowledgement == .acknowledgement)
        let answered = try rig.answer(message, 200)
        #expect(answered == .matched(client, user: 42))
    }

    @Test func whatIsKeptIsBoundedToo() throws {
        var rig = Rig(keptLimit: 8192)
        #expect(rig.layer.isKeepingTooMuch == false)
        var sent = 0
        // Each is kept for retransmission, in a block of 3072 octets.
        while rig.layer.isKeepingTooMuch == false, sent < 10 {
            _ = try rig.send("MESSAGE", fields: "X: \(String(repeating: "x", count: 2500))\n")
            sent += 1
        }
        #expect(sent == 3)
        let isTaken = try isTaken(&rig, "OPTIONS", "new", isWithinDialog: false)
        #expect(!isTaken)
        _ = rig.run(to: 40_000)
        #expect(rig.layer.isKeepingTooMuch == false)
        let isTakenAgain = try self.isTaken(&rig, "OPTIONS", "again", isWithinDialog: false)
        #expect(isTakenAgain)
    }

    @Test func aRequestThatIsNeverAnsweredIsAbsorbedUntilTimerJ() throws {
        var rig = Rig()
        let id = try rig.open(incoming("MESSAGE"))
        _ = rig.run(to: 5000)
        rig.leaveUnanswered(id)
        let again = try rig.receive(incoming("MESSAGE"))
        #expect(again == .absorbed)
        #expect(rig.run(to: 36_999).isEmpty)
        #expect(rig.layer.contains(id) == true)
        _ = rig.run(to: 37_000)
        #expect(rig.isEmpty == true)
        // On a stream nothing is sent again, so nothing has to be kept.
        let stream = try rig.open(incoming("MESSAGE", branch: "z9hG4bKstream"), over: Rig.tcp)
        rig.leaveUnanswered(stream)
        #expect(rig.isEmpty == true)
    }
}
