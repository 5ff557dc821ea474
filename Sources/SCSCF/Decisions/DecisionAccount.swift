// What one shard remembers of the decisions about a request, worked out: the criteria are held against the message again,
// those of the profile that the user then had, in the state that the user then was in.

import IMSProfile
import SIPMessage
import SIPRegistrar
import SIPTransaction
import SansIO

/// What a shard can tell of a request.
public struct DecisionAccount: Sendable {
    /// Why its sender was believed; nil: nobody was.
    var belief: String?
    var parts: [Explanation.Part] = []
    var contacts: [Explanation.Contact] = []
    /// The identity that is barred.
    var barred: String?
}

extension ServingCSCF {
    /// What this shard decided about a request.
    public mutating func account(of story: RequestStory) -> DecisionAccount {
        var scanner = MessageScanner()
        var account = DecisionAccount()
        let octets = story.octets.span.bytes
        guard case .message = scanner.scan(octets) else { return account }
        let request = scanner.message(octets)
        guard let essentials = try? request.essentials() else { return account }
        for decision in decisions.decisions(decisionKey(request, essentials.via, essentials)) {
            let lines = decisions.text(of: decision).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            let user = lines.first ?? ""
            if account.belief == nil { account.belief = belief(decision, user, request, story) }
            switch decision.kind {
            case .criteria: tried(decision, by: user, request, into: &account)
            case .registration:
                guard story.final?.status == 200 else { continue }
                account.parts.append(registered(decision, user, essentials, request))
            case .contacts: account.contacts = lines.dropFirst().compactMap { contact($0, request) }
            case .barred:
                account.barred = user
                account.parts.append(part(decision, user))
            }
        }
        return account
    }

    private func belief(
        _ decision: Decision, _ user: String, _ request: borrowing Message, _ story: RequestStory
    ) -> String? {
        if decision.kind == .registration {
            guard story.final?.status == 200 else { return nil }
            return request.has(.authorization) ? "its credentials were right" : "no credentials are asked of the user"
        }
        let peer = decision.peer >= 0 ? "the application server \(serverName(Int(decision.peer)))" : nil
        switch decision.reason {
        case .dialogIdentifier: return "its Route has the original dialog identifier that the core gave out: the chain goes on"
        case .trustedPeer: return "it comes from \(peer ?? "an address of a network or block that is trusted")"
        case .registeredFlow: return "it comes on the flow of a registration"
        case .credentials: return "its sender answered a challenge"
        case .noAuthentication: return "its sender is registered, and no credentials are asked of it"
        case .vouchedFor: return "whoever runs the core sends it on the user's behalf"
        case .foreignNetwork: return "its sender is nobody of ours, so it comes from another network"
        }
    }

    private func serverName(_ number: Int) -> String { configuration.applicationServers[number].name }

    private func part(_ decision: Decision, _ user: String) -> Explanation.Part {
        Explanation.Part(
            time: decision.time, servedUser: user, sessionCase: decision.sessionCase, isRegistered: decision.isRegistered)
    }

    // MARK: Criteria

    /// The criteria that were tried for a user. What default handling went on with belongs to the same.
    private func tried(_ decision: Decision, by user: String, _ request: borrowing Message, into account: inout DecisionAccount) {
        if decision.start > 0, let last = account.parts.indices.last, account.parts[last].servedUser == user,
            account.parts[last].sessionCase == decision.sessionCase, let taken = account.parts[last].taken.last, taken < Int(decision.start)
        {
            for i in account.parts[last].criteria.indices.dropFirst(Int(decision.start)) {
                account.parts[last].criteria[i].use = use(i, decision, account.parts[last].criteria[i].verdict)
            }
            return account.parts[last].goesOn(with: Int(decision.taken), at: decision.time)
        }
        var part = part(decision, user)
        part.startsAt = Int(decision.start)
        if decision.taken >= 0 { part.taken = [Int(decision.taken)] }
        if decision.profile >= 0 {
            let context = EvaluationContext(sessionCase: decision.sessionCase, isRegistered: decision.isRegistered)
            part.criteria = criteria(of: Int(decision.profile), request, context)
            for i in part.criteria.indices { part.criteria[i].use = use(i, decision, part.criteria[i].verdict) }
        }
        account.parts.append(part)
    }

    private func use(_ index: Int, _ decision: Decision, _ verdict: CriterionVerdict) -> Explanation.Criterion.Use {
        if index < Int(decision.start) { return .triedBefore }
        if index == Int(decision.taken) { return .matched }
        if decision.taken >= 0, index > Int(decision.taken) { return .notReached }
        return verdict.isFulfilled ? .skipped : .notMatched
    }

    private func criteria(
        of profile: Int, _ request: borrowing Message, _ context: EvaluationContext
    ) -> [Explanation.Criterion] {
        var found: [Explanation.Criterion] = []
        for i in 0..<configuration.profiles[profile].count {
            let route = criteria[profile][i]
            let verdict = configuration.profiles[profile].verdict(at: i, request, context)
            let isKnown = route.server >= 0
            found.append(
                Explanation.Criterion(
                    verdict: verdict, server: isKnown ? serverName(Int(route.server)) : verdict.serverURI, use: .notMatched,
                    isShortForm: route.isShortForm, endsSession: route.endsSession,
                    answerWithin: isKnown ? min(route.answerWithin, configuration.timers.patience) : .zero))
        }
        return found
    }

    // MARK: REGISTER

    /// Each criterion that a REGISTER fulfils has a third-party REGISTER sent; a server of the short form one.
    private func registered(
        _ decision: Decision, _ user: String, _ essentials: Essentials, _ request: borrowing Message
    ) -> Explanation.Part {
        var part = part(decision, user)
        let type = registrationType(wasRegistered: decision.isRegistered, request)
        part.registrationType = type
        guard decision.profile >= 0 else { return part }
        let number = Int(decision.profile)
        guard let type else { return part }
        part.criteria = criteria(of: number, request, .registration(type))
        for i in part.criteria.indices where part.criteria[i].verdict.isFulfilled {
            let route = criteria[number][i]
            let isToldBefore = route.isShortForm && criteria[number][..<i].contains { $0.isShortForm && $0.server == route.server }
            part.criteria[i].use = route.server >= 0 && !isToldBefore ? .matched : .skipped
            if part.criteria[i].use == .matched { part.taken.append(i) }
        }
        return part
    }

    /// What a REGISTER that was accepted did; nil: it only asked (RFC 3261 §10.2.3).
    private func registrationType(wasRegistered: Bool, _ request: borrowing Message) -> RegistrationType? {
        guard request.has(.contact) else { return nil }
        let bytes = request.bytes
        let all = request.value(.expires).flatMap { bytes.deltaSeconds($0) }
        var isKept = false
        request.forEachValue(.contact) { value in
            guard let contact = bytes.nameAddress(value) else { return true }
            isKept = (bytes.parameter("expires", in: contact.parameters).flatMap { bytes.deltaSeconds($0) } ?? all) != 0
            return !isKept
        }
        if isKept { return wasRegistered ? .reregistration : .initial }
        return wasRegistered ? .deregistration : nil
    }

    // MARK: Contacts

    private func contact(_ line: String, _ request: borrowing Message) -> Explanation.Contact? {
        let parts = line.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else { return nil }
        let parameters = Array(parts[1].utf8)
        let bytes = parameters.span.bytes
        let rating = CallerPreferences(request).rating(contactParameters: bytes)
        let q = bytes.parameter("q", in: Slice(0, parameters.count)).flatMap { bytes.qvalue($0) }
        return Explanation.Contact(
            uri: parts[0], parameters: parts[1], q: Int(q ?? 1000), score: rating.preference, isDiscarded: rating.isDiscarded)
    }
}
