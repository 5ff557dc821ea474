// Responses to forwarded requests (RFC 3261 §16.7), and what takes the place of one that did not come (§16.8, §16.9).

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    mutating func responseReceived(
        _ response: borrowing Message, _ essentials: Essentials, over flow: Flow, at now: Now, into effects: inout Effects
    ) {
        switch transactions.responseReceived(response, essentials, at: now.monotonic, into: &effects.wire) {
        case .stray: counters.countDropped(.strayResponse)
        case .absorbed: counters.retransmissionsAbsorbed += 1
        case .matched(let client, let user):
            switch Owner(rawValue: user) {
            case .nobody, .heldAnswer: break
            case .branch(let branch): branchAnswered(branch, response, essentials, at: now, into: &effects)
            case .thirdParty(let id): thirdPartyAnswered(id, by: client, response, at: now, into: &effects)
            case .subscription(let id): notifyAnswered(id, response, at: now, into: &effects)
            case .ownRequest(let number): ownRequestAnswered(number, response)
            }
        }
    }

    mutating func transactionChanged(_ event: TransactionEvent, at now: Now, into effects: inout Effects) {
        switch event {
        case .timedOut(let client, let user): unanswered(Owner(rawValue: user), client, 408, at: now, into: &effects)
        case .transportFailed(let client, let user): unanswered(Owner(rawValue: user), client, 503, at: now, into: &effects)
        case .timerC(let client, _): transactions.cancel(client, at: now.monotonic, into: &effects.wire)
        case .fellBack(let remote): fallbacks.remember(remote, at: now.monotonic)
        case .answerDelayed(let server, let user): answerDelayed(server, user, at: now, into: &effects)
        case .acknowledgementMissing: break
        }
    }

    private mutating func unanswered(
        _ owner: Owner, _ client: SlotID, _ status: UInt16, at now: Now, into effects: inout Effects
    ) {
        switch owner {
        case .nobody, .heldAnswer: break
        case .branch(let branch): branchUnanswered(branch, status, at: now, into: &effects)
        case .thirdParty(let id):
            if isAwaited(client, by: id) { thirdPartyUnanswered(id, status, at: now, into: &effects) }
        case .subscription(let id): notifyUnanswered(id, into: &effects)
        case .ownRequest(let number): ownRequestUnanswered(number)
        }
    }

    // MARK: A branch

    private mutating func branchAnswered(
        _ branch: SlotID, _ response: borrowing Message, _ essentials: Essentials, at now: Now, into effects: inout Effects
    ) {
        guard branches.contains(branch), response.status > 100, branches[branch.index].state != .abandoned else { return }
        let id = branches[branch.index].context
        let kind = branches[branch.index].kind
        guard response.status >= 200 else {
            contexts[id.index].isAlive = true
            // A provisional response to another method than INVITE is no use to anybody (RFC 4320 §4.1).
            if contexts[id.index].method == .invite, !contexts[id.index].isSettled {
                passBack(id, response, essentials, from: kind, at: now, into: &effects)
            }
            return
        }
        let isFirstFinal = branches[branch.index].state == .sent
        if isFirstFinal {
            branches[branch.index].state = .answered
            branches[branch.index].status = response.status
            contexts[id.index].pendingBranches -= 1
        }
        if response.status < 300 { return succeeded(id, response, essentials, from: kind, at: now, into: &effects) }
        guard isFirstFinal, !contexts[id.index].isSettled else { return }
        if response.status == 503, sendToNextTarget(branch, at: now, into: &effects) { return }
        if kind == .applicationServer, isFailure(response.status), !contexts[id.index].isAlive, !contexts[id.index].isCancelled,
            !endsSession(id)
        {
            return withOriginal(of: id) { core, arrival, request, routes in
                core.applicationServerFailed(id, response.status, arrival, request, routes, at: now, into: &effects)
            }
        }
        if kind == .contact, response.status == 430 || response.status == 408,
            triesAnotherFlow(after: branch, of: id, isGone: response.status == 430, at: now, into: &effects)
        {
            return
        }
        if (300...302).contains(response.status) {
            if kind == .applicationServer, followServer(id, response, at: now, into: &effects) { return }
            if mayFollow(id, from: kind) { return redirected(branch, response, essentials, from: kind, at: now, into: &effects) }
        }
        failed(id, response, essentials, from: kind, at: now, into: &effects)
    }

    /// A 2xx goes back at once, an INVITE's each time; the other branches are cancelled (§16.7 steps 5 and 10).
    private mutating func succeeded(
        _ id: SlotID, _ response: borrowing Message, _ essentials: Essentials, from kind: Branch.Kind, at now: Now,
        into effects: inout Effects
    ) {
        passBack(id, response, essentials, from: kind, at: now, into: &effects)
        settle(id, at: now, into: &effects)
    }

    /// A 2xx has gone back: only further ones are still of use, to an INVITE.
    mutating func settle(_ id: SlotID, at now: Now, into effects: inout Effects) {
        guard contexts[id.index].method == .invite else { return end(id, at: now) }
        guard !contexts[id.index].isSettled else { return }
        contexts[id.index].isSettled = true
        contexts[id.index].waitingBranches = 0
        // Who asks for `no-cancel` ends the others by itself (RFC 3841 §9.1).
        if contexts[id.index].pendingBranches > 0, !contexts[id.index].disposition.contains(.noCancel) {
            var reason = OctetBuffer(capacity: 64)
            reason.appendReason(200, "Call completed elsewhere")
            cancelPendingBranches(of: id, reason: reason.bytes, at: now, into: &effects)
        }
        // Nothing begins anew with the request any more.
        pool.release(contexts[id.index].original)
        contexts[id.index].original = .none
        // Repeated 2xx pass for as long as the transactions know them (RFC 6026 §7.2).
        wheel.cancel(contexts[id.index].timer)
        contexts[id.index].timer = wheel.schedule(at: now.monotonic + configuration.timers.patience, payload: id.rawValue)
    }

    /// A final response that is none of success: the best of all branches goes back when the last has answered.
    mutating func failed(
        _ id: SlotID, _ response: borrowing Message, _ essentials: Essentials, from kind: Branch.Kind, at now: Now,
        into effects: inout Effects
    ) {
        if response.status >= 600 {
            contexts[id.index].waitingBranches = 0
            var reason = OctetBuffer(capacity: 64)
            reason.appendReason(response.status, StatusReason.text(response.status))
            cancelPendingBranches(of: id, reason: reason.bytes, at: now, into: &effects)
        }
        if contexts[id.index].loopToken != 0, response.status == 401 || response.status == 407 { collectChallenges(of: response, in: id) }
        let context = contexts[id.index]
        let isLast = context.pendingBranches == 0 && context.waitingBranches == 0
        guard ResponseChoice.isBetter(response.status, than: context.bestStatus) else {
            return isLast ? passBackBest(id, at: now, into: &effects) : nextTargets(id, at: now, into: &effects)
        }
        if isLast {
            passBack(id, response, essentials, from: kind, at: now, into: &effects)
            return end(id, at: now)
        }
        pool.release(context.best)
        contexts[id.index].best = pool.store(response.bytes)
        contexts[id.index].bestStatus = response.status
        contexts[id.index].bestKind = kind
        nextTargets(id, at: now, into: &effects)
    }

    /// When every branch that was sent has failed, the next contacts have their turn.
    mutating func nextTargets(_ id: SlotID, at now: Now, into effects: inout Effects) {
        guard contexts[id.index].pendingBranches == 0, contexts[id.index].waitingBranches > 0 else { return }
        withOriginal(of: id) { core, arrival, request, routes in
            core.sendWaitingBranches(id, arrival, request, routes, at: now, into: &effects)
        }
    }

    /// No response came on a branch: as if it had been a 408 (§16.9: a 503 for a transport that failed).
    private mutating func branchUnanswered(_ branch: SlotID, _ status: UInt16, at now: Now, into effects: inout Effects) {
        guard branches.contains(branch), branches[branch.index].state == .sent else { return }
        branches[branch.index].state = .answered
        branches[branch.index].status = status
        let id = branches[branch.index].context
        contexts[id.index].pendingBranches -= 1
        guard !contexts[id.index].isSettled else { return }
        if sendToNextTarget(branch, at: now, into: &effects) { return }
        if branches[branch.index].kind == .applicationServer, !contexts[id.index].isAlive, !contexts[id.index].isCancelled {
            return withOriginal(of: id) { core, arrival, request, routes in
                core.applicationServerFailed(id, status, arrival, request, routes, at: now, into: &effects)
            }
        }
        if branches[branch.index].kind == .contact {
            // Where no proxy stands in between, a transport that fails is a flow that failed.
            let isGone = status == 503 ? isFlowOfOurs(branches[branch.index].binding) : false
            if status == 408 || isGone, triesAnotherFlow(after: branch, of: id, isGone: isGone, at: now, into: &effects) { return }
        }
        let context = contexts[id.index]
        if ResponseChoice.isBetter(status, than: context.bestStatus) {
            pool.release(context.best)
            contexts[id.index].best = .none
            contexts[id.index].bestStatus = status
        }
        if context.pendingBranches == 0, context.waitingBranches == 0 {
            passBackBest(id, at: now, into: &effects)
        } else {
            nextTargets(id, at: now, into: &effects)
        }
    }

    // MARK: Back to the sender

    /// Sends a response back without our Via. A 503 would keep the client from all of us, so it becomes a 500
    /// (§16.7 step 6).
    private mutating func passBack(
        _ id: SlotID, _ response: borrowing Message, _ essentials: Essentials, from kind: Branch.Kind, at now: Now,
        into effects: inout Effects
    ) {
        let context = contexts[id.index]
        if response.status == 408, context.method != .invite {
            // RFC 4320 §4.2: a 408 to another method than INVITE is never sent.
            return transactions.leaveUnanswered(context.server, at: now.monotonic, into: &effects.wire)
        }
        let isOverload = response.status == 503
        let status = isOverload ? 500 : response.status
        var leftOut = leftOutOfResponse(response, context, from: kind)
        if isOverload { leftOut.insert(.retryAfter) }
        var collected: [UInt8] = []
        if !context.challenges.isNone, status == 401 || status == 407 {
            leftOut = leftOut.union([.wwwAuthenticate, .proxyAuthenticate])
            collected = [UInt8](pool.bytes(context.challenges))
        }
        let answerer = answerer(of: response, context, from: kind)
        let charging = response.status < 300 ? context.sender.chargingReceiver : nil
        if charging != nil { leftOut.insert(.pChargingVector) }
        let start = effects.wire.bytes.count
        effects.wire.bytes.appendForwarded(response, essentials.via, as: isOverload ? 500 : nil, leavingOut: leftOut) { bytes in
            switch answerer {
            case .nobody: break
            case .called: appendAssertedIdentity(context.served, name: context.servedName, into: &bytes)
            case .preferred(let identity): appendAssertedIdentity(identity, into: &bytes)
            case .alsoCalled(let identity): appendOnlyAssertedIdentity(identity, into: &bytes)
            }
            if let charging { appendChargingVector(to: charging, answering: context, response, essentials, into: &bytes) }
            bytes.append(collected)
        }
        transactions.respond(context.server, status, from: start, at: now.monotonic, into: &effects.wire)
    }

    /// Whom the core asserts to have answered.
    private enum Answerer {
        /// Nobody, or whom the response asserts.
        case nobody
        /// The user, by the identity that it was called by.
        case called
        /// By the one that it prefers.
        case preferred(IdentityReference)
        /// By a second one, beside the one that the response asserts.
        case alsoCalled(IdentityReference)
    }

    /// A user of ours who answers is asserted by the identity that it prefers, if it may use that, else by the one that it was
    /// called by (TS 24.229 §5.2.6.4). What an application server says in a user's place gets the user's second identity.
    private mutating func answerer(of response: borrowing Message, _ context: RequestContext, from kind: Branch.Kind) -> Answerer {
        guard response.status < 300 else { return .nobody }
        switch kind {
        case .contact:
            guard !hidesFromSender(response, context) else { return .nobody }
            guard response.has(.pPreferredIdentity), let preferred = identity(ofFirst: .pPreferredIdentity, in: response),
                preferred.subscriber == context.served.subscriber, !preferred.isSpecial, directory.isUsable(preferred)
            else { return .called }
            return .preferred(preferred)
        case .applicationServer where !context.sessionCase.isOriginating && response.has(.pAssertedIdentity):
            guard !hidesFromSender(response, context) else { return .nobody }
            return secondIdentity(of: context.served, response).map { .alsoCalled($0) } ?? .nobody
        case .applicationServer, .route, .redirection, .shard: return .nobody
        }
    }

    /// Identity header fields are believed from trusted peers only, and some of them stay among those (RFC 3325 §5).
    private func leftOutOfResponse(_ response: borrowing Message, _ context: RequestContext, from kind: Branch.Kind) -> HeaderSet {
        var leftOut: HeaderSet = kind == .contact || kind == .redirection ? ServingCSCF.trustedOnly : []
        if !context.sender.isTrusted { leftOut = leftOut.union(ServingCSCF.inside) }
        if hidesFromSender(response, context) { leftOut.insert(.pAssertedIdentity) }
        return leftOut
    }

    /// Whether the one who answers asks that the sender, who is not trusted, is not told its identity.
    private func hidesFromSender(_ response: borrowing Message, _ context: RequestContext) -> Bool {
        !context.sender.isTrusted && asksToHideIdentity(response)
    }

    /// Keeps the challenges of one of several contacts (§16.7 step 7).
    private mutating func collectChallenges(of response: borrowing Message, in id: SlotID) {
        var fields = OctetBuffer(capacity: 512)
        let earlier = contexts[id.index].challenges
        if !earlier.isNone { fields.append(pool.bytes(earlier)) }
        fields.appendFields(of: response, .wwwAuthenticate)
        fields.appendFields(of: response, .proxyAuthenticate)
        pool.release(earlier)
        contexts[id.index].challenges = pool.store(fields.bytes)
    }

    mutating func passBackBest(_ id: SlotID, at now: Now, into effects: inout Effects) {
        let context = contexts[id.index]
        guard context.best.isNone else {
            let octets = [UInt8](pool.bytes(context.best))
            var scanner = MessageScanner()
            _ = scanner.scan(octets.span.bytes)
            let response = scanner.message(octets.span.bytes)
            if let essentials = try? response.essentials() {
                passBack(id, response, essentials, from: context.bestKind, at: now, into: &effects)
            }
            return end(id, at: now)
        }
        withOriginal(of: id) { core, arrival, request, _ in
            core.answerUnanswered(id, arrival, request, at: now, into: &effects)
        }
    }

    /// Nothing came back at all: 408 for an INVITE, silence for other methods (RFC 4320 §4.2), 487 if it was cancelled.
    private mutating func answerUnanswered(
        _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects
    ) {
        let context = contexts[id.index]
        let status: UInt16 = context.isCancelled ? 487 : context.bestStatus == 503 ? 500 : context.bestStatus
        close(id)
        if status == 408, request.method != .invite {
            return transactions.leaveUnanswered(arrival.server, at: now.monotonic, into: &effects.wire)
        }
        answer(arrival, request, status, at: now, into: &effects)
    }

    // MARK: Application servers

    private func isFailure(_ status: UInt16) -> Bool { status == 408 || (500..<600).contains(status) }

    private func endsSession(_ id: SlotID) -> Bool {
        let context = contexts[id.index]
        guard context.criterion >= 0 else { return true }
        return criteria[Int(context.profile)][Int(context.criterion)].endsSession
    }

    /// Default handling (TS 24.229 §5.4.3.2): SESSION_CONTINUED goes on with the request as it was before the server,
    /// SESSION_TERMINATED answers it.
    mutating func applicationServerFailed(
        _ id: SlotID, _ status: UInt16, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, at now: Now,
        into effects: inout Effects
    ) {
        wheel.cancel(contexts[id.index].timer)
        contexts[id.index].timer = .none
        forgetPin(id)
        guard endsSession(id) else {
            contexts[id.index].hasLostServer = true
            return evaluate(
                id, arrival, request, routes, from: Int(contexts[id.index].criterion) + 1, at: now, into: &effects)
        }
        contexts[id.index].criterion = -1
        contexts[id.index].bestStatus = status
        answerUnanswered(id, arrival, request, at: now, into: &effects)
    }

    /// The server that failed need not get the user's next request.
    private mutating func forgetPin(_ id: SlotID) {
        let context = contexts[id.index]
        guard !pins.isEmpty, context.profile >= 0, context.criterion >= 0 else { return }
        pins[context.served.subscriber, criteria[Int(context.profile)][Int(context.criterion)].name] = nil
    }

    /// A context's timer: a settled INVITE is over, or an application server gave no sign in time.
    mutating func applicationServerSilent(_ id: SlotID, at now: Now, into effects: inout Effects) {
        guard contexts.contains(id) else { return }
        contexts[id.index].timer = .none
        if contexts[id.index].isSettled { return end(id, at: now) }
        guard !contexts[id.index].isAlive, !contexts[id.index].isCancelled else { return }
        // Its late answer is absorbed: the branch is done.
        var branch = contexts[id.index].firstBranch
        while !branch.isNone {
            if branches[branch.index].state == .sent, branches[branch.index].kind == .applicationServer {
                branches[branch.index].state = .abandoned
                contexts[id.index].pendingBranches -= 1
                transactions.cancel(branches[branch.index].client, at: now.monotonic, into: &effects.wire)
            }
            branch = branches[branch.index].next
        }
        withOriginal(of: id) { core, arrival, request, routes in
            core.applicationServerFailed(id, 408, arrival, request, routes, at: now, into: &effects)
        }
    }
}
