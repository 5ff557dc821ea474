// Answers to users that wait until the application servers have been told: an option, so that what a quick user sends next
// cannot overtake its registration.
//
// When a server's failure ended the registration in between (default handling, TS 24.229 §5.4.1.7), the user hears 500: it
// is not registered.

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

    /// One of the requests that an answer waits for is done with.
    mutating func heldAnswerLoses(_ id: SlotID, at now: Now, into effects: inout Effects) {
        guard heldAnswers.contains(id) else { return }
        heldAnswers[id.index].outstanding -= 1
        guard heldAnswers[id.index].outstanding == 0 else { return }
        let held = heldAnswers[id.index]
        if held.isRegistration, !registrar.isRegistered(held.subscriber) {
            answerAgain(held.server, held.source, held.request, warning: "an application server failed", at: now, into: &effects)
        } else {
            let start = effects.wire.bytes.count
            effects.wire.bytes.append(pool.bytes(held.answer))
            transactions.respond(held.server, 200, from: start, at: now.monotonic, into: &effects.wire)
        }
        forgetHeldAnswer(id)
    }

    mutating func forgetHeldAnswer(_ id: SlotID) {
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
