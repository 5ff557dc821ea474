// A request on its way through the application servers of the user it is served for (TS 24.229 §5.4.3.2, §5.4.3.3): the
// criteria in their order, each used once, on the request as the server before left it.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    /// Routes an initial or stand-alone request, or one within a dialog.
    mutating func route(
        _ arrival: Arrival, _ request: borrowing Message, _ requestURI: SIPURI, at now: Now, into effects: inout Effects
    ) {
        let routes = RouteSet(request, requestURI, own: own)
        if routes.isMalformed { return answer(arrival, request, 400, warning: "malformed Route", at: now, into: &effects) }
        var arrival = arrival
        if let restored = routes.requestURIFromLast { arrival.essentials.requestURI = restored }
        if !arrival.essentials.to.tag.isEmpty { return forwardInDialog(arrival, request, routes, at: now, into: &effects) }
        if isOfADialog(request.method) {
            return answer(
                arrival, request, 481,
                warning: "a \(String(octets: request[request.shape.methodName])) belongs to a dialog, and To has no tag",
                at: now, into: &effects)
        }
        if let mark = routes.own, let previous = chainPlace(of: mark, in: request.bytes, at: now) {
            return chainContinues(behind: previous, arrival, request, routes, at: now, into: &effects)
        }
        beginChain(arrival, request, routes, at: now, into: &effects)
    }

    /// Whether a method has a meaning within a dialog only: its requests are never initial or stand-alone ones, of which alone
    /// criteria are asked (RFC 3261 §15, RFC 3262 §3, RFC 3311 §5.1, RFC 6086 §4.2.1; TS 23.218 §5.2.1).
    private func isOfADialog(_ method: Method) -> Bool {
        switch method {
        case .bye, .prack, .update, .info: true
        default: false
        }
    }

    /// A request that continues no chain of ours: who sends it, and on.
    ///
    /// - Parameter use: who is registered on its flow, if the other shards have been asked.
    mutating func beginChain(
        _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, _ use: FlowUse? = nil, at now: Now,
        into effects: inout Effects
    ) {
        switch believe(arrival, request, routes, use, at: now) {
        case .sender(let sender):
            chainBegins(sender, arrival, request, routes, at: now, into: &effects)
        case .refused(_, _) where watchesOwnAbsence(arrival, request, routes):
            answer(arrival, request, 480, warning: "the user is not registered", at: now, into: &effects)
        case .refused(let status, let reason):
            answer(arrival, request, status, warning: reason, at: now, into: &effects)
        case .challenge(let isStale):
            let response = beginAnswer(arrival, request, 407, into: &effects)
            digest.appendChallenge(.proxyAuthenticate, isStale: isStale, at: now.monotonic, into: &effects.wire.bytes)
            effects.wire.bytes.appendEmptyBody()
            transactions.respond(arrival.server, 407, response, at: now.monotonic, into: &effects.wire)
            logAnswer(request, 407, nil, at: now, into: &effects)
        case .elsewhere(let shard):
            relay(nil, .belief, Sender(reason: .foreignNetwork), arrival, request, to: shard, at: now, into: &effects)
        case .undecided:
            askWhoUses(arrival, request, at: now, into: &effects)
        }
    }

    mutating func chainBegins(
        _ sender: Sender, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, at now: Now, into effects: inout Effects
    ) {
        if request.method == .subscribe, let watched = watchedUser(arrival, request, routes) {
            return subscriptionRequested(to: watched, by: sender, arrival, request, at: now, into: &effects)
        }
        if sender.isOriginating, let shard = otherShard(of: sender.originator.subscriber) {
            return relay(nil, .originating, sender, arrival, request, to: shard, at: now, into: &effects)
        }
        let id = open(arrival, request, sender, at: now, into: &effects)
        contexts[id.index].originServer = sender.server
        guard sender.isOriginating else { return beginTerminating(id, arrival, request, routes, at: now, into: &effects) }
        let isRegistered = isRegistered(sender.originator)
        serve(sender.originator, id, arrival.essentials, request)
        contexts[id.index].isRegistered = isRegistered
        contexts[id.index].sessionCase =
            sender.isAfterDiversion ? .originatingCDIV : isRegistered ? .originating : .originatingUnregistered
        evaluate(id, arrival, request, routes, from: 0, at: now, into: &effects)
    }

    /// An application server sent the request back with the identifier that it got: it goes on behind that criterion.
    private mutating func chainContinues(
        behind before: ChainPlace, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, at now: Now,
        into effects: inout Effects
    ) {
        let id = open(arrival, request, Sender(reason: .dialogIdentifier, isTrusted: true), at: now, into: &effects)
        contexts[id.index].served = before.served
        if !before.servedName.isNone {
            let name = [UInt8](pool.bytes(before.servedName))
            contexts[id.index].servedName = pool.store(name.span.bytes)
        }
        contexts[id.index].profile = before.profile
        contexts[id.index].isRegistered = before.isRegistered
        contexts[id.index].sessionCase = before.sessionCase
        guard !before.sessionCase.isOriginating else {
            return evaluate(id, arrival, request, routes, from: Int(before.criterion) + 1, at: now, into: &effects)
        }
        // With more Route values the server has chosen the path itself; with another user's Request-URI the request is
        // diverted: no more terminating criteria, the originating ones of the diverting user instead (§5.4.3.3).
        if !routes.isEmpty { return forwardOnward(id, arrival, request, routes, at: now, into: &effects) }
        guard let requestURI = arrival.essentials.requestURI, let reached = target(of: requestURI, in: request.bytes),
            directory.isAlias(reached, of: before.served)
        else {
            contexts[id.index].sessionCase = .originatingCDIV
            return evaluate(id, arrival, request, routes, from: 0, at: now, into: &effects)
        }
        // From now on the user is served, and called, by the identity in the Request-URI.
        if !reached.isSpecial { contexts[id.index].served = reached }
        evaluate(id, arrival, request, routes, from: Int(before.criterion) + 1, at: now, into: &effects)
    }

    // MARK: Criteria

    /// Tries the criteria from number `start` on; when none is left, the request goes to its target.
    mutating func evaluate(
        _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, from start: Int, at now: Now,
        into effects: inout Effects
    ) {
        let context = contexts[id.index]
        guard context.profile >= 0 else {
            noteCriteria(id, arrival, request, from: start, taken: -1, at: now, into: &effects)
            return criteriaExhausted(id, arrival, request, routes, at: now, into: &effects)
        }
        let number = Int(context.profile)
        let evaluation = EvaluationContext(sessionCase: context.sessionCase, isRegistered: context.isRegistered)
        var index = start
        while let match = configuration.profiles[number].firstMatch(from: index, request, evaluation) {
            index = match + 1
            let route = criteria[number][match]
            guard route.server >= 0 else { continue }
            if route.sender == context.originServer {
                if route.isShortForm { continue }
                if let loop = loops.loop(
                    of: request, arrival.essentials, server: route.sender, at: now.monotonic, patience: configuration.timers.patience)
                {
                    return refuseLoop(loop, match, of: number, id, arrival, request, at: now, into: &effects)
                }
            }
            contexts[id.index].criterion = Int16(match)
            noteCriteria(id, arrival, request, from: start, taken: match, at: now, into: &effects)
            return forwardToServer(route, id, arrival, request, routes, at: now, into: &effects)
        }
        noteCriteria(id, arrival, request, from: start, taken: -1, at: now, into: &effects)
        criteriaExhausted(id, arrival, request, routes, at: now, into: &effects)
    }

    /// A criterion sends a request back to the application server that it came from, again and again.
    private mutating func refuseLoop(
        _ loop: SelfLoop, _ criterion: Int, of profile: Int, _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, at now: Now,
        into effects: inout Effects
    ) {
        let name = configuration.applicationServers[Int(criteria[profile][criterion].server)].name
        let priority = configuration.profiles[profile].criteria[criterion].priority
        var reason = "the criterion of priority \(priority) sends the request back to \(name)"
        if loop == .renewed { reason += ", which sent \(SelfLoopMemory.mostAlike) like it here lately, each as a new one" }
        refuse(id, arrival, request, 482, warning: reason, at: now, into: &effects)
    }

    private mutating func forwardToServer(
        _ route: CriterionRoute, _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, at now: Now,
        into effects: inout Effects
    ) {
        contexts[id.index].isAlive = false
        guard let flow = outgoing(route.destination) else {
            return forwardToNamedServer(route, id, arrival, request, routes, at: now, into: &effects)
        }
        send(to: route, id, arrival, request, routes, over: flow, at: now, into: &effects)
    }

    /// To an application server whose address is not known from the start.
    private mutating func forwardToNamedServer(
        _ route: CriterionRoute, _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet,
        reusing waiting: SlotID? = nil, at now: Now, into effects: inout Effects
    ) {
        guard let name = configuration.applicationServers[Int(route.server)].location else {
            return applicationServerFailed(id, 503, arrival, request, routes, at: now, into: &effects)
        }
        let branch = waiting ?? addBranch(.applicationServer, to: id)
        branches[branch.index].state = .answered
        switch course(to: name, of: branch, server: route.name, at: now, into: &effects) {
        case .over(let flow): send(to: route, id, arrival, request, routes, reusing: branch, over: flow, at: now, into: &effects)
        case .waiting: break
        case .nowhere: applicationServerFailed(id, 503, arrival, request, routes, at: now, into: &effects)
        }
    }

    /// A branch goes on to the application server whose criterion is being tried.
    ///
    /// - Parameter target: the one of its targets to send to; nil: the first of them.
    mutating func forwardToCurrentServer(
        _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, reusing branch: SlotID, over target: Flow?,
        at now: Now, into effects: inout Effects
    ) {
        let context = contexts[id.index]
        guard context.criterion >= 0, context.profile >= 0 else { return }
        let route = criteria[Int(context.profile)][Int(context.criterion)]
        if let target {
            send(to: route, id, arrival, request, routes, reusing: branch, over: target, at: now, into: &effects)
        } else {
            forwardToNamedServer(route, id, arrival, request, routes, reusing: branch, at: now, into: &effects)
        }
    }

    private mutating func send(
        to route: CriterionRoute, _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet,
        reusing waiting: SlotID? = nil, over flow: Flow, at now: Now, into effects: inout Effects
    ) {
        guard mayTake(arrival.essentials.requestURI, flow) else {
            return applicationServerFailed(id, 503, arrival, request, routes, at: now, into: &effects)
        }
        guard
            sendBranch(
                .applicationServer, id, arrival, request, routes, to: .applicationServer(route, id),
                uri: request[arrival.essentials.requestURI?.all ?? request.shape.requestURI], reusing: waiting, over: flow, at: now,
                into: &effects)
        else { return refuseOverloaded(id, arrival, request, at: now, into: &effects) }
        if waiting != nil { pin(route, id, to: flow) }
        // Timer F ends the wait at the latest, but not that for an answer to INVITE: a 100 is enough to stop timer B.
        if contexts[id.index].timer.isNone, request.method == .invite || route.answerWithin < configuration.timers.patience {
            contexts[id.index].timer = wheel.schedule(at: now.monotonic + route.answerWithin, payload: id.rawValue)
        }
    }

    /// What is sent to a target of a server that is known by name is followed by what is sent later: for a user who is not
    /// registered, and in place of the target that heard of the registration and has failed (TS 24.229 §5.4.0).
    private mutating func pin(_ route: CriterionRoute, _ id: SlotID, to flow: Flow) {
        let subscriber = contexts[id.index].served.subscriber
        guard !contexts[id.index].isRegistered || pins[subscriber, route.name] != nil else { return }
        pins[subscriber, route.name] = flow
    }

    mutating func criteriaExhausted(
        _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, at now: Now, into effects: inout Effects
    ) {
        contexts[id.index].criterion = -1
        if !routes.isEmpty { return forwardOnward(id, arrival, request, routes, at: now, into: &effects) }
        if contexts[id.index].sessionCase.isOriginating {
            beginTerminating(id, arrival, request, routes, at: now, into: &effects)
        } else {
            reachUser(id, arrival, request, routes, at: now, into: &effects)
        }
    }

    // MARK: The original dialog identifier

    /// `odi_` with the context's slot, its shard's number in it, and a proof that it is ours: nobody can make one up. It is of one
    /// criterion: when default handling has gone on without a server, what that server still sends is no part of the chain.
    func appendDialogIdentifier(_ id: SlotID, into bytes: inout OctetBuffer) {
        bytes.append("odi_")
        bytes.appendHex(id.marked(with: place.number).rawValue)
        bytes.appendHex(dialogProof(id, at: contexts[id.index].criterion))
    }

    private func dialogProof(_ id: SlotID, at criterion: Int16) -> UInt64 {
        var hasher = KeyHasher(secret)
        hasher.combine(id.rawValue)
        hasher.combine(UInt64(truncatingIfNeeded: Int(criterion)))
        return hasher.finish().low
    }

    /// Where the chain is whose dialog identifier a Route value of ours holds, while it lives and a little longer. Nil: nobody's,
    /// made up or out of date; then the request begins anew, and who sends it is asked as of any other (TS 24.229 §5.4.3.1 goes
    /// by identifiers of requests that went to an application server before, and says nothing of others).
    private mutating func chainPlace(of mark: SIPURI, in bytes: RawSpan, at now: Now) -> ChainPlace? {
        guard let (marked, proof) = bytes[mark.user].dialogIdentifier, marked.shardMark == place.number else { return nil }
        let id = marked.unmarked
        let isLive = contexts.contains(id)
        guard let found = isLive ? ChainPlace(contexts[id.index]) : endedChains.place(of: id, at: now.monotonic),
            dialogProof(id, at: found.criterion) == proof
        else { return nil }
        if isLive { contexts[id.index].isAlive = true }
        return found
    }
}

extension RawSpan {
    /// The slot, with the mark of its shard, and the proof that an original dialog identifier holds.
    var dialogIdentifier: (slot: SlotID, proof: UInt64)? {
        guard byteCount == 36, part(0, 4).equals("odi_"), let slotHigh = hexadecimalWord(at: 4), let slotLow = hexadecimalWord(at: 12),
            let proofHigh = hexadecimalWord(at: 20), let proofLow = hexadecimalWord(at: 28)
        else { return nil }
        return (SlotID(index: slotLow, generation: slotHigh), UInt64(proofHigh) << 32 | UInt64(proofLow))
    }
}

extension SessionCase {
    var isOriginating: Bool {
        switch self {
        case .originating, .originatingUnregistered, .originatingCDIV: true
        case .terminating, .terminatingUnregistered: false
        }
    }
}
