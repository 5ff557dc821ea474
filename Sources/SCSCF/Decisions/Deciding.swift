// Where decisions are noted. Nothing is done unless they are kept, which they are where messages are recorded.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    /// The criteria of the served user were tried, from number `start` on.
    ///
    /// - Parameter taken: the one that took the request, or -1.
    mutating func noteCriteria(
        _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, from start: Int, taken: Int, at now: Now,
        into effects: inout Effects
    ) {
        guard decisions.isKept else { return }
        note(.criteria, contexts[id.index], arrival, request, start: start, taken: taken, at: now) { _, _ in }
        if taken >= 0 { logDecision(request, at: now, into: &effects) }
    }

    /// The contacts of the served user are about to be chosen from.
    mutating func noteContacts(
        _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, at now: Now
    ) {
        guard decisions.isKept else { return }
        let subscriber = contexts[id.index].served.subscriber
        note(.contacts, contexts[id.index], arrival, request, at: now) { core, text in
            core.registrar.forEachBinding(of: subscriber) { view in
                text.append(view.uri)
                text.append("\t")
                text.append(view.parameters)
                text.append("\n")
            }
        }
    }

    mutating func noteBarred(
        _ user: IdentityReference, _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, at now: Now
    ) {
        guard decisions.isKept else { return }
        var context = contexts[id.index]
        context.served = user
        context.servedName = .none
        context.isRegistered = registrar.isRegistered(user.subscriber)
        context.sessionCase = context.isRegistered ? .terminating : .terminatingUnregistered
        context.profile = -1
        note(.barred, context, arrival, request, at: now) { _, _ in }
    }

    /// A REGISTER that is believed, before anything is done with it: its criteria are those of each service profile of the set.
    /// Of others nothing is told.
    mutating func noteRegistration(of user: IdentityReference, _ arrival: Arrival, _ request: borrowing Message, at now: Now) {
        guard decisions.isKept else { return }
        var context = RequestContext(
            server: arrival.server, source: arrival.flow, method: request.method, original: .none,
            sender: Sender(reason: .credentials, originator: user, isOriginating: true))
        context.served = user
        context.sessionCase = .originating
        context.isRegistered = registrar.isRegistered(user.subscriber)
        var walk = ProfileWalk()
        while let (number, _) = directory.nextProfile(of: user, &walk) {
            context.profile = Int32(number)
            note(.registration, context, arrival, request, at: now) { _, _ in }
        }
        if context.profile < 0 { note(.registration, context, arrival, request, at: now) { _, _ in } }
    }

    private mutating func note(
        _ kind: Decision.Kind, _ context: RequestContext, _ arrival: Arrival, _ request: borrowing Message, start: Int = 0, taken: Int = -1,
        at now: Now, lines: (borrowing ServingCSCF, inout OctetBuffer) -> Void
    ) {
        var text = decisions.takeBlank()
        appendServedName(context, into: &text)
        text.append("\n")
        lines(self, &text)
        var decision = Decision(
            kind: kind, key: decisionKey(request, arrival.essentials.via, arrival.essentials), time: now.wall,
            sessionCase: context.sessionCase, isRegistered: context.isRegistered, reason: context.sender.reason, peer: context.sender.server
        )
        decision.profile = context.profile
        decision.start = Int16(clamping: start)
        decision.taken = Int16(clamping: taken)
        decisions.append(decision, text)
    }

    /// What tells a request from others: the same for its retransmissions, and in each shard.
    ///
    /// - Parameter via: the topmost one, or in a request that the core has sent on the one below its own.
    func decisionKey(_ request: borrowing Message, _ via: Via, _ essentials: Essentials) -> UInt64 {
        var hasher = KeyHasher(commonSecret)
        hasher.combine(request[via.branch])
        hasher.combine(request[essentials.callID])
        hasher.combine(UInt64(essentials.sequence))
        return hasher.finish().low
    }

    // MARK: The log

    /// One line at debug for a request that goes on to somebody.
    mutating func logDecision(_ request: borrowing Message, at now: Now, into effects: inout Effects) {
        guard configuration.logsDecisions else { return }
        logDecision([UInt8](request.bytes), answer: nil, at: now, into: &effects)
    }

    /// The same for one that the core answers itself.
    mutating func logAnswer(
        _ request: borrowing Message, _ status: UInt16, _ reason: String?, at now: Now, into effects: inout Effects
    ) {
        guard configuration.logsDecisions else { return }
        logDecision([UInt8](request.bytes), answer: RequestStory.Answer(status: status, warning: reason), at: now, into: &effects)
    }

    private mutating func logDecision(
        _ octets: [UInt8], answer: RequestStory.Answer?, at now: Now, into effects: inout Effects
    ) {
        guard var story = RequestStory(octets, at: now.wall) else { return }
        story.isTraced = false
        if let answer { story.answers.append(answer) }
        effects.notices.append(Notice(.debug, Explanation(story, [account(of: story)]).sentence))
    }
}
