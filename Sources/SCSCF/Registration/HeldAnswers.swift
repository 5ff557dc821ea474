// Answers to users that wait until the application servers have been told: an option, so that what a quick user sends next
// cannot overtake its registration.
//
// When the registration has ended in between, by a server's failure (default handling, TS 24.229 §5.4.1.7) or otherwise, the
// user hears 500: it is not registered.
//
// A user who hears nothing for 64·T1 takes its REGISTER for failed (timer F, RFC 3261 §17.1.2.2), so a server that is silent for
// as long does not delay the answer to the end.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

/// A 200 to a REGISTER that waits.
struct HeldAnswer: BitwiseCopyable {
    var server: SlotID
    var source: Flow
    var subscriber: UInt32
    /// Whether the 200 says that the user is registered.
    var isRegistration: Bool
    /// The REGISTER, and the 200 to it.
    var request: PacketID
    var answer: PacketID
    /// Third-party REGISTER requests without a final answer.
    var outstanding = 0
    /// Ends the wait.
    var timer = TimerID.none
    /// Whether a server's failure has ended the registration.
    var isLostByServer = false
}

extension TimerSettings {
    /// How long an answer is held at most: two intervals of the client's timer E before its timer F, so that an answer which is
    /// lost, as it is sent but once, can still be asked for by a retransmission.
    fileprivate var longestHold: TimeSpan {
        TimeSpan(nanoseconds: max(patience.nanoseconds - 2 * t2.nanoseconds, patience.nanoseconds / 2))
    }
}

extension ServingCSCF {
    /// Whether the answer to the user waits for these requests.
    func isHeld(by list: ThirdPartyList) -> Bool { configuration.thirdParty.holdsAnswer && !list.isEmpty }

    /// Keeps an answer until each of these requests has a final answer. They are sent after this.
    mutating func hold(_ answer: HeldAnswer, until list: ThirdPartyList) {
        let held = heldAnswers.insert(answer)
        var id = list.first
        while !id.isNone {
            thirdParty[id.index].held = held
            heldAnswers[held.index].outstanding += 1
            id = thirdParty[id.index].next
        }
    }

    /// The requests that an answer waits for are being sent: the wait has an end, and the client is told of it in time.
    mutating func limitHold(_ id: SlotID, at now: Now) {
        guard heldAnswers.contains(id) else { return }
        let server = heldAnswers[id.index].server
        transactions[user: server] = id.rawValue
        transactions.awaitResponse(server, at: now.monotonic)
        heldAnswers[id.index].timer = wheel.schedule(
            at: now.monotonic + configuration.timers.longestHold, payload: Owner.heldAnswer(id).rawValue)
    }

    /// The wait is over: the user hears what is known by now, while the servers may still answer.
    mutating func holdEnded(_ id: SlotID, at now: Now, into effects: inout Effects) {
        guard heldAnswers.contains(id) else { return }
        heldAnswers[id.index].timer = .none
        answerHeld(id, at: now, into: &effects)
    }

    /// One of the requests that an answer waits for is done with.
    mutating func heldAnswerLoses(_ id: SlotID, at now: Now, into effects: inout Effects) {
        guard heldAnswers.contains(id) else { return }
        heldAnswers[id.index].outstanding -= 1
        if heldAnswers[id.index].outstanding == 0 { answerHeld(id, at: now, into: &effects) }
    }

    private mutating func answerHeld(_ id: SlotID, at now: Now, into effects: inout Effects) {
        let held = heldAnswers[id.index]
        if held.isRegistration, !registrar.isRegistered(held.subscriber) {
            let reason = held.isLostByServer ? "an application server failed" : "the registration has been ended meanwhile"
            answerAgain(held.server, held.source, held.request, warning: reason, at: now, into: &effects)
        } else {
            let start = effects.wire.bytes.count
            effects.wire.bytes.append(pool.bytes(held.answer))
            transactions.respond(held.server, 200, from: start, at: now.monotonic, into: &effects.wire)
        }
        forgetHeldAnswer(id)
    }

    mutating func forgetHeldAnswer(_ id: SlotID) {
        wheel.cancel(heldAnswers[id.index].timer)
        pool.release(heldAnswers[id.index].request)
        pool.release(heldAnswers[id.index].answer)
        heldAnswers.remove(id.index)
    }

    /// Answers a stored REGISTER 500.
    mutating func answerAgain(
        _ server: SlotID, _ source: Flow, _ request: PacketID, warning: String, at now: Now, into effects: inout Effects
    ) {
        let octets = [UInt8](pool.bytes(request))
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        // It was sound when it came.
        guard let essentials = try? message.essentials() else { return }
        answer(Arrival(server: server, flow: source, essentials: essentials), message, 500, warning: warning, at: now, into: &effects)
    }
}
