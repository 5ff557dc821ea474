// Why a request went where it went: what was decided about it, and in one sentence the whole. For what no application server
// took, the criterion that was missed by the least.

public import IMSProfile
import SansIO

/// The answer to why.
public struct Explanation: Sendable {
    /// A user whose criteria were tried.
    public struct Part: Sendable {
        var time: WallTime
        public var servedUser: String
        public var sessionCase: SessionCase
        /// Of a REGISTER: before it.
        public var isRegistered: Bool
        /// In the order in which they are tried.
        public var criteria: [Criterion] = []
        /// Of a REGISTER that changed something: what it did.
        var registrationType: RegistrationType?
        /// The number of the first that was tried, and of those that took the request, one after another.
        var startsAt = 0
        var taken: [Int] = []
        /// When default handling went on behind each of them; the last may have had none.
        var wentOn: [WallTime] = []

        /// When an application server's turn came.
        func begin(of place: Int) -> WallTime { place == 0 ? time : wentOn[place - 1] }

        mutating func goesOn(with number: Int, at time: WallTime) {
            wentOn.append(time)
            if number >= 0 { taken.append(number) }
        }
    }

    /// A criterion and what became of it.
    public struct Criterion: Sendable {
        public enum Use: String, Sendable {
            case matched
            case notMatched = "not_matched"
            /// One before it took the request.
            case notReached = "not_reached"
            /// It holds, but its server sent the request itself, or was told already, or nobody knows it.
            case skipped
            /// Before the request was sent back: each is used once (TS 23.218 §5.2.3).
            case triedBefore = "tried_before"
        }
        public var verdict: CriterionVerdict
        /// The name of its application server, or the URI of one that nobody knows.
        public var server: String
        public var use: Use
        var isShortForm: Bool
        /// SESSION_TERMINATED.
        var endsSession: Bool
        var answerWithin: TimeSpan
    }

    /// A contact of the user whom the request is for.
    public struct Contact: Sendable {
        public enum Use: String, Sendable {
            case tried
            case notTried = "not_tried"
            /// The caller's preferences rule it out (RFC 3841 §7.2.4).
            case discarded
        }
        public var uri: String
        /// Contact parameters as registered.
        public var parameters: String
        /// In thousandths, 1000 if none was given.
        public var q: Int
        /// The caller's preference, 0 to 1.
        public var score: Double
        public var use: Use

        init(uri: String, parameters: String, q: Int, score: Double, isDiscarded: Bool) {
            self.uri = uri
            self.parameters = parameters
            self.q = q
            self.score = score
            use = isDiscarded ? .discarded : .notTried
        }
    }

    /// Why the sender was believed; nil: it was not, or it did not matter.
    public let believedBecause: String?
    /// Those who were served, in their order.
    public let parts: [Part]
    /// The user whose service the request came to; nil: none did.
    public let served: Part?
    /// The others that were served before or after, by the core at once.
    public let others: [Part]
    public let contacts: [Contact]
    /// Where it went; nil: nowhere.
    public let nextHop: String?
    /// Of a request that no application server took: which criterion would have taken it, and what it lacks.
    public let nearestMiss: String?
    /// All of it in one.
    public let sentence: String

    /// - Parameter accounts: of all shards.
    public init(_ story: RequestStory, _ accounts: [DecisionAccount]) {
        let parts = accounts.flatMap(\.parts).sorted {
            ($0.time, $0.sessionCase.isOriginating ? 0 : 1) < ($1.time, $1.sessionCase.isOriginating ? 0 : 1)
        }
        // A PUBLISH to oneself is tried for the same user as a called one too: that is an aside.
        let isAside = parts.last?.servedUser == parts.first?.servedUser && parts.allSatisfy(\.taken.isEmpty)
        let main = parts.isEmpty ? nil : isAside ? 0 : parts.count - 1
        believedBecause = accounts.lazy.compactMap(\.belief).first
        self.parts = parts
        served = main.map { parts[$0] }
        others = parts.indices.filter { $0 != main }.map { parts[$0] }
        contacts = accounts.flatMap(\.contacts).map { contact in
            var contact = contact
            if contact.use == .notTried, story.sent.contains(where: { $0.uri == contact.uri }) { contact.use = .tried }
            return contact
        }
        let teller = Teller(story: story, parts: parts, contacts: contacts, barred: accounts.lazy.compactMap(\.barred).first)
        nextHop = teller.nextHop
        nearestMiss = teller.nearestMiss
        sentence = teller.sentence
    }
}

/// Puts an explanation into words.
private struct Teller {
    var story: RequestStory
    var parts: [Explanation.Part]
    var contacts: [Explanation.Contact]
    var barred: String?

    private var isRegister: Bool { story.method == "REGISTER" }
    private var takers: [Explanation.Criterion] { parts.flatMap { part in part.taken.map { part.criteria[$0] } } }

    // MARK: Where to

    var nextHop: String? {
        guard story.sent.isEmpty else {
            let hops = story.sent.map { "\($0.peer) (\($0.uri))" }
            return isRegister || takers.isEmpty ? hops.joined(separator: ", ") : hops.last
        }
        return takers.last?.server
    }

    /// Only what was not taken has one: where a criterion took it, the others are no riddle.
    var nearestMiss: String? {
        guard takers.isEmpty else { return nil }
        var nearest: Explanation.Criterion?
        for part in parts {
            for criterion in part.criteria where criterion.use == .notMatched {
                if nearest.map({ criterion.verdict.isNearer(than: $0.verdict) }) ?? true { nearest = criterion }
            }
        }
        return nearest.flatMap { $0.verdict.miss(server: $0.server) }
    }

    // MARK: The sentence

    var sentence: String {
        let clauses = self.clauses
        let miss = nearestMiss.map { "; nearest miss: \($0)" } ?? ""
        return subject + ": " + clauses.joined(separator: "; ") + miss
    }

    private var subject: String {
        guard let first = parts.first else { return story.method }
        return "\(story.method) \(first.sessionCase.isOriginating ? "of" : "to") \(first.servedUser)"
    }

    private var clauses: [String] {
        if let fault = story.fault { return ["it is malformed (\(fault)), so nothing was decided about it"] }
        guard story.isIncoming else { return ["the core made it by itself, no request that came in is behind it"] }
        if isRegister { return registration }
        switch story.method {
        case "ACK", "CANCEL": return ["it goes where its INVITE went; no criterion is asked"]
        default: break
        }
        if story.isWithinDialog {
            return ["it is within a dialog and follows its Route; criteria are for initial and stand-alone requests"] + outcome
        }
        var clauses: [String] = []
        for part in parts where barred == nil || part.servedUser != barred { clauses += served(part, isRepeated: !clauses.isEmpty) }
        if let barred { clauses.append("\(barred) is barred, so its criteria are not asked") }
        return clauses + reached + outcome
    }

    /// What the criteria of a user did.
    private func served(_ part: Explanation.Part, isRepeated: Bool) -> [String] {
        let state = "\(part.sessionCase.name), \(part.isRegistered ? "registered" : "not registered")"
        guard !part.taken.isEmpty else {
            if part.criteria.isEmpty { return ["\(part.servedUser) has no filter criteria (\(state))"] }
            let skipped = part.criteria.filter { $0.use == .skipped }
            let none = part.startsAt > 0 ? "no further criterion" : "no criterion"
            return ["\(none) of \(part.servedUser) (\(state)) took it"]
                + skipped.map { "criterion \($0.verdict.priority) for `\($0.server)` holds, but the request came from there" }
        }
        return part.taken.enumerated().map { place, number in
            let criterion = part.criteria[number]
            let start = "criterion \(criterion.verdict.priority) of \(part.servedUser) (\(state)) took it to `\(criterion.server)`"
            return start + outcome(of: criterion, number: place, of: part)
        }
    }

    /// What an application server did with it.
    private func outcome(of criterion: Explanation.Criterion, number: Int, of part: Explanation.Part) -> String {
        // Requests to application servers have an identifier, and go one after another.
        let sent = story.sent.filter { !$0.identifier.isEmpty }
        let earlier = parts.prefix { $0.servedUser != part.servedUser || $0.sessionCase != part.sessionCase }
        let before = earlier.reduce(0) { $0 + $1.taken.count }
        let hasSuccessor = number < part.wentOn.count
        let handling = criterion.endsSession ? "session_terminated" : "session_continued"
        guard before + number < sent.count else {
            if hasSuccessor {
                return ", which \(absence(of: criterion, number, part)), and default handling (\(handling)) went on without it"
            }
            guard !story.isTraced, criterion.endsSession, let final = story.final else { return "" }
            return ", which failed or gave no answer, and default handling (\(handling)) ended it with \(final.status)"
        }
        let hop = sent[before + number]
        if hop.cameBack { return ", which sent it back, and the chain went on" }
        if hasSuccessor {
            let failure = hop.final.map { "failed with \($0)" } ?? absence(of: criterion, number, part)
            return ", which \(failure), and default handling (\(handling)) went on without it"
        }
        guard let status = hop.final, !(status == 487 && story.final?.status == 408) else {
            guard let final = story.final else { return ", which gave no answer" }
            return ", which gave no answer within \(duration(criterion.answerWithin)), and default handling (\(handling)) ended it with "
                + "\(final.status)"
        }
        if (300...302).contains(status), story.final?.status != status { return ", which redirected it (\(status)), and the core followed" }
        return status < 300 ? ", which answered \(status): the chain ended there" : ", which ended the chain with \(status)"
    }

    /// Why default handling went on without a server that gave no answer which is known.
    private func absence(of criterion: Explanation.Criterion, _ number: Int, _ part: Explanation.Part) -> String {
        let isTimeOver = part.wentOn[number] - part.begin(of: number) >= criterion.answerWithin
        if isTimeOver { return "gave no answer within \(duration(criterion.answerWithin))" }
        return story.isTraced ? "could not be reached" : "failed or could not be reached"
    }

    private func duration(_ span: TimeSpan) -> String {
        let milliseconds = span.nanoseconds / 1_000_000
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
    }

    /// Which contacts, or which other place, it went to.
    private var reached: [String] {
        var clauses: [String] = []
        let tried = contacts.filter { $0.use == .tried }
        if !tried.isEmpty {
            clauses.append("it went to \(tried.count == 1 ? "the contact" : "the contacts") \(tried.map(\.uri).joined(separator: ", "))")
        } else if !contacts.isEmpty {
            let discarded = contacts.count { $0.use == .discarded }
            if discarded == contacts.count { clauses.append("the caller's preferences rule out each contact") }
        }
        let onward = story.sent.filter { sent in sent.identifier.isEmpty && !contacts.contains { $0.uri == sent.uri } }
        clauses += onward.map { "it went on to \($0.peer) (\($0.uri))" }
        return clauses
    }

    /// The core's own answer, or the one that came back from where the request was sent.
    private var outcome: [String] {
        guard let final = story.final else { return [] }
        if story.isOwn(final) {
            // What default handling answered has been told.
            guard !takers.contains(where: \.endsSession) || final.warning != nil else { return [] }
            switch final.status {
            case 401, 407: return ["the core challenged its sender (\(final.status))"]
            default: return ["the core answered \(final.status)" + (final.warning.map { ": \($0)" } ?? "")]
            }
        }
        return takers.isEmpty || !contacts.isEmpty ? ["the answer was \(final.status)"] : []
    }

    // MARK: REGISTER

    private var registration: [String] {
        guard let final = story.final else { return ["it has no answer yet; criteria are asked once it is accepted"] }
        guard final.status == 200 else {
            let reason = final.status == 401 ? "the core challenged the user (401)" : "the core answered \(final.status)"
            return [reason + (final.warning.map { ": \($0)" } ?? ""), "criteria are asked once it is accepted"]
        }
        let type = parts.lazy.compactMap(\.registrationType).first
        guard let type else { return ["it was accepted (200) and changed nothing, so no application server hears of it"] }
        var clauses = ["it was accepted (200, \(type))"]
        if parts.allSatisfy(\.criteria.isEmpty) { clauses.append("the user has no filter criteria, so no application server hears of it") }
        for criterion in takers {
            let sent = story.sent.first { $0.peer == criterion.server }
            let outcome = sent.map { $0.final.map { ", which answered \($0)" } ?? ", which gave no answer or was not reached" } ?? ""
            clauses.append("criterion \(criterion.verdict.priority) told `\(criterion.server)`\(outcome)")
        }
        if takers.isEmpty, !parts.allSatisfy(\.criteria.isEmpty) {
            clauses.append("no criterion asks for it, so no application server hears of it")
        }
        return clauses
    }
}
