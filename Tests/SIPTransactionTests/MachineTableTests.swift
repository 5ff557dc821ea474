import SIPMessage
import SIPTransaction
import SansIO
import Testing

/// Every event in every state of each machine, over UDP: what is sent, what the layer above hears, and the state after.
struct MachineTableTests {
    // MARK: INVITE server (RFC 3261 §17.2.1, RFC 6026 §7.1)

    static let inviteServer: [String: [String: String]] = [
        "fresh": [
            "request": "absorbed → proceeding", "ACK": "absorbed → proceeding", "1xx": "180 → proceeding", "2xx": "200 → accepted",
            "final": "486 → completed", "timer": "→ proceeding", "failure": "→ proceeding", "CANCEL": "cancel → proceeding",
        ],
        "proceeding": [
            "request": "180 absorbed → proceeding", "ACK": "absorbed → proceeding", "1xx": "180 → proceeding", "2xx": "200 → accepted",
            "final": "486 → completed", "timer": "→ proceeding", "failure": "→ proceeding", "CANCEL": "cancel → proceeding",
        ],
        "completed": [
            "request": "486 absorbed → completed", "ACK": "absorbed → confirmed", "1xx": "→ completed", "2xx": "→ completed",
            "final": "→ completed", "timer": "486 → completed", "failure": "→ completed", "CANCEL": "cancel → completed",
        ],
        "confirmed": [
            "request": "absorbed → confirmed", "ACK": "absorbed → confirmed", "1xx": "→ confirmed", "2xx": "→ confirmed",
            "final": "→ confirmed",
            "timer": "→ gone", "failure": "→ confirmed", "CANCEL": "cancel → confirmed",
        ],
        "accepted": [
            "request": "absorbed → accepted", "ACK": "acknowledgement → accepted", "1xx": "→ accepted", "2xx": "200 → accepted",
            "final": "→ accepted", "timer": "→ gone", "failure": "→ accepted", "CANCEL": "cancel → accepted",
        ],
    ]

    @Test(
        arguments: ["fresh", "proceeding", "completed", "confirmed", "accepted"],
        ["request", "ACK", "1xx", "2xx", "final", "timer", "failure", "CANCEL"])
    func inviteServer(_ state: String, _ event: String) throws {
        let expected = try #require(MachineTableTests.inviteServer[state]?[event])
        var rig = Rig()
        let id = try rig.open(incoming("INVITE"))
        switch state {
        case "proceeding": rig.respond(id, 180)
        case "completed": rig.respond(id, 486)
        case "confirmed":
            rig.respond(id, 486)
            _ = try rig.receive(incoming("ACK", to: ";tag=t"))
        case "accepted": rig.respond(id, 200)
        default: break
        }
        _ = rig.sent()
        var heard = ""
        switch event {
        case "request": heard = "\(try rig.receive(incoming("INVITE")))"
        case "ACK": heard = "\(try rig.receive(incoming("ACK", to: ";tag=t")))"
        case "CANCEL": heard = "\(try rig.receive(incoming("CANCEL")))"
        case "1xx": rig.respond(id, 180)
        case "2xx": rig.respond(id, 200)
        case "final": rig.respond(id, 486)
        case "failure": rig.fail(id)
        default:
            let hasTimer = rig.fireNext(id)
            #expect(hasTimer == (state != "fresh" && state != "proceeding"))
        }
        let summary = rig.summary(of: id, heard)
        #expect(summary == expected)
    }

    // MARK: Non-INVITE server (§17.2.2, RFC 4320 §4.1)

    static let nonInviteServer: [String: [String: String]] = [
        "fresh": [
            "request": "absorbed → trying", "1xx": "100 → proceeding", "final": "200 → completed", "timer": "→ trying", "failure": "→ gone",
            "CANCEL": "cancel → trying", "no answer": "→ completed",
        ],
        "awaiting": [
            "request": "absorbed → trying", "1xx": "100 → proceeding", "final": "200 → completed", "timer": "100 → proceeding",
            "failure": "→ gone", "CANCEL": "cancel → trying", "no answer": "→ completed",
        ],
        "proceeding": [
            "request": "100 absorbed → proceeding", "1xx": "100 → proceeding", "final": "200 → completed", "timer": "→ proceeding",
            "failure": "→ gone", "CANCEL": "cancel → proceeding", "no answer": "→ completed",
        ],
        "completed": [
            "request": "200 absorbed → completed", "1xx": "→ completed", "final": "→ completed", "timer": "→ gone", "failure": "→ gone",
            "CANCEL": "cancel → completed", "no answer": "→ completed",
        ],
        "unanswered": [
            "request": "absorbed → completed", "1xx": "→ completed", "final": "→ completed", "timer": "→ gone", "failure": "→ gone",
            "CANCEL": "cancel → completed", "no answer": "→ completed",
        ],
    ]

    @Test(
        arguments: ["fresh", "awaiting", "proceeding", "completed", "unanswered"],
        ["request", "1xx", "final", "timer", "failure", "CANCEL", "no answer"])
    func nonInviteServer(_ state: String, _ event: String) throws {
        let expected = try #require(MachineTableTests.nonInviteServer[state]?[event])
        var rig = Rig()
        let id = try rig.open(incoming("MESSAGE"))
        switch state {
        case "awaiting": try rig.await(id, incoming("MESSAGE"))
        case "proceeding": rig.respond(id, 100)
        case "completed": rig.respond(id, 200)
        case "unanswered":
            rig.respond(id, 100)
            rig.leaveUnanswered(id)
        default: break
        }
        _ = rig.sent()
        var heard = ""
        switch event {
        case "request": heard = "\(try rig.receive(incoming("MESSAGE")))"
        case "CANCEL": heard = "\(try rig.receive(incoming("CANCEL")))"
        case "no answer": rig.leaveUnanswered(id)
        case "1xx": rig.respond(id, 100)
        case "final": rig.respond(id, 200)
        case "failure": rig.fail(id)
        default:
            let hasTimer = rig.fireNext(id)
            #expect(hasTimer == (state == "awaiting" || state == "completed" || state == "unanswered"))
        }
        let summary = rig.summary(of: id, heard)
        #expect(summary == expected)
    }

    // MARK: INVITE client (§17.1.1, RFC 6026 §7.2, §9.1, §16.8)

    static let inviteClient: [String: [String: String]] = [
        "trying": [
            "1xx": "matched → proceeding", "2xx": "matched → accepted", "final": "ACK matched → completed", "timer": "INVITE → trying",
            "deadline": "timedOut → gone", "cancel": "→ trying", "failure": "transportFailed → gone",
        ],
        "tryingCancelled": [
            "1xx": "CANCEL matched → proceeding", "2xx": "matched → accepted", "final": "ACK matched → completed",
            "timer": "INVITE → trying",
            "deadline": "timedOut → gone", "cancel": "→ trying", "failure": "transportFailed → gone",
        ],
        "proceeding": [
            "1xx": "matched → proceeding", "2xx": "matched → accepted", "final": "ACK matched → completed", "timer": "timerC → proceeding",
            "deadline": "timerC → proceeding", "cancel": "CANCEL → proceeding", "failure": "transportFailed → gone",
        ],
        "cancelled": [
            "1xx": "matched → proceeding", "2xx": "matched → accepted", "final": "ACK matched → completed", "timer": "CANCEL → proceeding",
            "deadline": "timedOut → gone", "cancel": "→ proceeding", "failure": "transportFailed → gone",
        ],
        "completed": [
            "1xx": "absorbed → completed", "2xx": "absorbed → completed", "final": "ACK absorbed → completed", "timer": "→ gone",
            "deadline": "→ gone",
            "cancel": "→ completed", "failure": "→ completed",
        ],
        "accepted": [
            "1xx": "absorbed → accepted", "2xx": "matched → accepted", "final": "absorbed → accepted", "timer": "→ gone",
            "deadline": "→ gone",
            "cancel": "→ accepted", "failure": "→ accepted",
        ],
    ]

    @Test(
        arguments: ["trying", "tryingCancelled", "proceeding", "cancelled", "completed", "accepted"],
        ["1xx", "2xx", "final", "timer", "deadline", "cancel", "failure"])
    func inviteClient(_ state: String, _ event: String) throws {
        let expected = try #require(MachineTableTests.inviteClient[state]?[event])
        var rig = Rig()
        let id = try rig.send("INVITE")
        let invite = rig.sent()[0]
        if state == "tryingCancelled" { rig.cancel(id) }
        if state == "proceeding" || state == "cancelled" { _ = try rig.answer(invite, 180) }
        if state == "cancelled" { rig.cancel(id) }
        if state == "completed" { _ = try rig.answer(invite, 486) }
        if state == "accepted" { _ = try rig.answer(invite, 200) }
        _ = rig.sent()
        var heard = ""
        switch event {
        case "1xx": heard = "\(try rig.answer(invite, 180))"
        case "2xx": heard = "\(try rig.answer(invite, 200))"
        case "final": heard = "\(try rig.answer(invite, 486))"
        case "cancel": rig.cancel(id)
        case "failure": rig.fail(id)
        case "deadline": _ = rig.run(to: 200_000).count
        default:
            let hasTimer = rig.fireNext(id)
            #expect(hasTimer)
        }
        let summary = rig.summary(of: id, heard)
        #expect(summary == expected)
    }

    // MARK: Non-INVITE client (§17.1.2)

    static let nonInviteClient: [String: [String: String]] = [
        "trying": [
            "1xx": "matched → proceeding", "2xx": "matched → completed", "final": "matched → completed", "timer": "MESSAGE → trying",
            "deadline": "timedOut → gone", "cancel": "→ trying", "failure": "transportFailed → gone",
        ],
        "proceeding": [
            "1xx": "matched → proceeding", "2xx": "matched → completed", "final": "matched → completed", "timer": "MESSAGE → proceeding",
            "deadline": "timedOut → gone", "cancel": "→ proceeding", "failure": "transportFailed → gone",
        ],
        "completed": [
            "1xx": "absorbed → completed", "2xx": "absorbed → completed", "final": "absorbed → completed", "timer": "→ gone",
            "deadline": "→ gone",
            "cancel": "→ completed", "failure": "→ completed",
        ],
    ]

    @Test(arguments: ["trying", "proceeding", "completed"], ["1xx", "2xx", "final", "timer", "deadline", "cancel", "failure"])
    func nonInviteClient(_ state: String, _ event: String) throws {
        let expected = try #require(MachineTableTests.nonInviteClient[state]?[event])
        var rig = Rig()
        let id = try rig.send("MESSAGE")
        let message = rig.sent()[0]
        if state == "proceeding" { _ = try rig.answer(message, 100) }
        if state == "completed" { _ = try rig.answer(message, 200) }
        var heard = ""
        switch event {
        case "1xx": heard = "\(try rig.answer(message, 100))"
        case "2xx": heard = "\(try rig.answer(message, 200))"
        case "final": heard = "\(try rig.answer(message, 404))"
        case "cancel": rig.cancel(id)
        case "failure": rig.fail(id)
        case "deadline": _ = rig.run(to: 200_000).count
        default:
            let hasTimer = rig.fireNext(id)
            #expect(hasTimer)
        }
        let summary = rig.summary(of: id, heard)
        #expect(summary == expected)
    }
}

extension Rig {
    /// Lets the next timer fire; false: none is set. A wheel may ask to be called before its first deadline.
    fileprivate mutating func fireNext(_ id: SlotID) -> Bool {
        guard layer.nextDeadline != nil else { return false }
        let before = layer.state(of: id)
        while let next = layer.nextDeadline, !hasEffects, layer.state(of: id) == before { turn(to: next) }
        return true
    }

    /// `sent heard → state`, with what is empty left out.
    fileprivate mutating func summary(of id: SlotID, _ heard: String) -> String {
        var words = sent().map(\.label)
        if !heard.isEmpty { words.append(String(heard.prefix { $0 != "(" })) }
        words += takeEvents().map { String("\($0)".prefix { $0 != "(" }) }
        words.append("→ " + (layer.state(of: id).map { "\($0)" } ?? "gone"))
        return words.joined(separator: " ")
    }
}
