// Who is registered on a flow, over all shards: asked only when a request names nobody who is registered on the flow that
// it came on. The shard that wants to know asks all others and keeps the request until the last has answered.

import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

/// How many subscribers have a contact that was registered over a flow, and who it is if it is one.
struct FlowUse: BitwiseCopyable {
    var subscribers: UInt32 = 0
    var one: UInt32 = 0

    var soleSubscriber: UInt32? { subscribers == 1 ? one : nil }

    mutating func add(_ other: FlowUse) {
        if other.subscribers == 1 { one = other.one }
        subscribers += other.subscribers
    }
}

/// Questions to the other shards that are not all answered.
struct Questions {
    struct Question {
        /// The context of the request that waits.
        var context: SlotID
        var unanswered: Int
        var use: FlowUse
    }
    private var asked: [UInt64: Question] = [:]
    private var last: UInt64 = 0

    mutating func ask(_ question: Question) -> UInt64 {
        last += 1
        asked[last] = question
        return last
    }

    /// Takes in an answer, and takes the question out if it was the last one.
    mutating func answered(_ number: UInt64, _ use: FlowUse) -> Question? {
        guard var question = asked[number] else { return nil }
        question.use.add(use)
        question.unanswered -= 1
        asked[number] = question.unanswered > 0 ? question : nil
        return question.unanswered > 0 ? nil : question
    }
}

extension ServingCSCF {
    /// What is known of several shards without asking; nil: it depends on the others.
    func knownUse(of flow: Flow) -> FlowUse? {
        let use = useHere(of: flow)
        return use.subscribers > 1 ? use : nil
    }

    private func useHere(of flow: Flow) -> FlowUse {
        if let subscriber = registrar.soleSubscriber(on: flow) { return FlowUse(subscribers: 1, one: subscriber) }
        return FlowUse(subscribers: UInt32(clamping: registrar.subscriberCount(on: flow)))
    }

    mutating func askWhoUses(_ arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects) {
        let id = openSilently(arrival, request, keepingOriginal: true)
        let number = relays.questions.ask(
            Questions.Question(context: id, unanswered: Int(place.count) - 1, use: useHere(of: arrival.flow)))
        for shard in 0..<place.count where shard != place.number {
            effects.wire.handOver(
                HandOver(.question, from: place.number, to: shard, token: number, flow: arrival.flow), from: effects.wire.bytes.count)
        }
        transactions.awaitResponse(arrival.server, to: request, arrival.essentials, from: arrival.flow.remote, at: now.monotonic)
    }

    mutating func flowQuestioned(_ handOver: HandOver, into effects: inout Effects) {
        let use = useHere(of: handOver.flow)
        effects.wire.handOver(
            HandOver(
                .answer, from: place.number, to: handOver.source, token: handOver.token,
                note: UInt64(use.subscribers) << 32 | UInt64(use.one)), from: effects.wire.bytes.count)
    }

    mutating func flowAnswered(_ handOver: HandOver, at now: Now, into effects: inout Effects) {
        let use = FlowUse(subscribers: UInt32(handOver.note >> 32), one: UInt32(truncatingIfNeeded: handOver.note))
        guard let question = relays.questions.answered(handOver.token, use), contexts.contains(question.context) else { return }
        withOriginal(of: question.context) { core, arrival, request, routes in
            let isCancelled = core.contexts[question.context.index].isCancelled
            core.close(question.context)
            if isCancelled { return core.answer(arrival, request, 487, at: now, into: &effects) }
            core.beginChain(arrival, request, routes, question.use, at: now, into: &effects)
        }
    }
}
