// The review: messages in, findings out. It looks at what nodes sent to the core; what the core sent tells it what they had
// to answer to. What a fault rule had its hands in is not judged, but it is known: so an answer that was held back or lost on
// purpose is no silence, and what it challenged may be answered.

import SIPMessage
import SIPTrace
public import SansIO

/// Reads a trace message by message and finds what breaks a rule.
///
/// It is a matter of hindsight: it costs what passes nothing, and keeps what it has read.
public final class Review {
    /// What was found, in the order in which it became clear.
    public private(set) var findings: [Finding] = []
    /// How many messages were read.
    public private(set) var count = 0
    /// The number of the last message.
    public private(set) var last: UInt64 = 0

    private let ledger = Ledger()
    private var scanner = MessageScanner()
    /// What has to be followed by something within 64*T1, the oldest first.
    private var awaited: [Awaited] = []
    private var nextAwaited = 0
    /// Where messages came from, or went to, that a fault rule made unreadable: one of them may have been the answer.
    private var spoilt: Set<Endpoint> = []

    private struct Awaited {
        var due: WallTime
        var exchange: Exchange
        var message: ReadMessage
    }

    /// 64*T1 (RFC 3261 §17.1.2.2) and a second, since a recording has its own delays.
    private static let patience = TimeSpan.seconds(33)
    private static let byOccasion = RulesByOccasion()

    public init() {}

    /// Reads the next message; they come in the order of their numbers.
    public func add(_ observed: ObservedMessage) {
        ledger.begins(at: observed.sequence)
        count += 1
        last = observed.sequence
        advance(to: observed.time)
        let message = ReadMessage(observed, &scanner)
        if observed.mark == .corrupted || observed.mark == .cut { spoilt.insert(observed.remote) }
        guard !message.isBlank, message.isOfUse else { return }
        if observed.isIncoming { judge(Review.byOccasion.form, Subject(message: message, exchange: nil, ledger: ledger)) }
        guard message.fault == nil else { return }
        if message.isRequest { request(message) } else { response(message) }
    }

    /// Says what time it is: what has not come until now may never come.
    public func advance(to time: WallTime) {
        while nextAwaited < awaited.count, awaited[nextAwaited].due < time {
            let (exchange, message) = (awaited[nextAwaited].exchange, awaited[nextAwaited].message)
            nextAwaited += 1
            if spoilt.contains(message.observed.remote) { continue }
            judge(Review.byOccasion.silence, Subject(message: message, exchange: exchange, ledger: ledger))
        }
    }

    // MARK: Requests

    private func request(_ message: ReadMessage) {
        let isIncoming = message.observed.isIncoming
        if message.method == "ACK" { return acknowledgement(message) }
        if let known = ledger.exchange(of: message), known.isCopy(message) {
            // A copy may be a rule's.
            guard message.observed.mark == .none else { return }
            known.repeated(at: message.observed.time)
            if isIncoming { judge(Review.byOccasion.copy, Subject(message: message, exchange: known, ledger: ledger)) }
            return
        }
        let usedBefore = ledger.exchange(of: message)
        let exchange = ledger.open(message)
        if isIncoming {
            incoming(message, exchange, usedBefore)
        } else {
            expect(after: message, of: exchange)
        }
    }

    private func incoming(_ message: ReadMessage, _ exchange: Exchange, _ usedBefore: Exchange?) {
        ledger.noteSender(message)
        let subject = Subject(message: message, exchange: exchange, ledger: ledger, branchUsedBy: usedBefore)
        judge(exchange.origin == nil ? Review.byOccasion.requests(message.method) : Review.byOccasion.relay, subject)
        ledger.noteAttempt(exchange)
        for kind in [HeaderKind.www, .proxy] {
            if let credentials = message.credentials(kind), exchange.isFirstHop { ledger.noteCredentials(credentials, message) }
        }
        if message.method == "CANCEL", let invite = ledger.exchange(of: message, method: "INVITE") { invite.isCancelled = true }
    }

    /// An ACK has no transaction of its own: it belongs to an INVITE.
    private func acknowledgement(_ message: ReadMessage) {
        guard message.observed.isIncoming else { return }
        let invite = ledger.exchange(of: message, method: "INVITE") ?? ledger.invite(of: message)
        if message.vias.count == 1 {
            judge(Review.byOccasion.requests("ACK"), Subject(message: message, exchange: invite, ledger: ledger))
        }
        for call in ledger.exchanges(callID: message.callID) where call.isIncoming && call.request.method == "INVITE" {
            if call.request.from?.tag == message.from?.tag { call.isAcknowledged = true }
        }
    }

    // MARK: Responses

    private func response(_ message: ReadMessage) {
        guard let exchange = ledger.exchange(of: message) else { return stray(message) }
        if message.observed.isIncoming {
            let isNew = !exchange.responses.contains { $0.observed.octets == message.observed.octets }
            let isOwn = !exchange.cameBack
            if isNew, isOwn { judge(Review.byOccasion.response, Subject(message: message, exchange: exchange, ledger: ledger)) }
            _ = exchange.answered(by: message)
            if message.isSuccess, message.method == "SUBSCRIBE" { expect(after: message, of: exchange) }
        } else {
            guard exchange.answered(by: message), message.isFinal else { return }
            if exchange.isFirstHop { answered(exchange, message) }
            if message.method == "INVITE" { expect(after: message, of: exchange) }
        }
    }

    /// The core's final answer to a user's or server's request.
    private func answered(_ exchange: Exchange, _ message: ReadMessage) {
        judge(Review.byOccasion.answered, Subject(message: message, exchange: exchange, ledger: ledger))
        ledger.noteChallenges(message)
        switch message.method {
        case "REGISTER" where message.isSuccess: ledger.noteRegistered(exchange, message)
        case "PUBLISH": ledger.notePublished(exchange, message)
        default: break
        }
    }

    /// A response to nothing that was seen: its Via may have been changed on the way.
    private func stray(_ message: ReadMessage) {
        guard message.observed.isIncoming else { return }
        let exchange = ledger.exchanges(callID: message.callID).first {
            !$0.isIncoming && $0.request.sequenceNumber == message.sequenceNumber && $0.request.method == message.method
                && $0.request.observed.remote == message.observed.remote
        }
        guard let exchange else { return }
        judge(Review.byOccasion.stray, Subject(message: message, exchange: exchange, ledger: ledger))
    }

    // MARK: Findings

    private func expect(after message: ReadMessage, of exchange: Exchange) {
        awaited.append(Awaited(due: message.observed.time + Review.patience, exchange: exchange, message: message))
    }

    private func judge(_ rules: [Rule], _ subject: Subject) {
        // What a fault rule did, or what came of that, is nobody's fault.
        guard subject.message.observed.mark == .none, subject.request.observed.mark == .none else { return }
        for rule in rules { report(rule, rule.examine(subject), subject) }
    }

    private func report(_ rule: Rule, _ fault: Fault?, _ subject: Subject) {
        guard let fault else { return }
        let message = subject.message.observed.isIncoming ? subject.message : subject.request
        let node = message.observed.isIncoming ? ledger.node(of: message) : ledger.receiver(of: message)
        findings.append(
            Finding(
                sequences: fault.others.filter { $0 != message.observed.sequence } + [message.observed.sequence], rule: rule.id,
                severity: rule.severity, node: node, clause: rule.clause, text: fault.text, advice: fault.advice))
    }
}

extension ReadMessage {
    /// Whether what came of it can be understood by it: what a fault rule spoilt, or kept from a node, explains nothing.
    fileprivate var isOfUse: Bool {
        switch observed.mark {
        case .none, .delayed, .duplicated, .reordered, .altered, .outdated: true
        case .corrupted, .cut: false
        // Of a request that was lost the next copy is judged.
        case .dropped, .closed: observed.isIncoming && (!isRequest || method == "ACK")
        // In place of the node that it was for, or the answer that was given then.
        case .answered: observed.isIncoming || !isRequest
        }
    }
}

/// The rules sorted by when they are looked at, once.
private struct RulesByOccasion: Sendable {
    var form: [Rule] = []
    var relay: [Rule] = []
    var copy: [Rule] = []
    var response: [Rule] = []
    var stray: [Rule] = []
    var answered: [Rule] = []
    var silence: [Rule] = []
    private var anyRequest: [Rule] = []
    private var byMethod: [String: [Rule]] = [:]

    init() {
        for rule in Rules.all {
            switch rule.occasion {
            case .form: form.append(rule)
            case .request(let methods) where methods.isEmpty: anyRequest.append(rule)
            case .request(let methods): for method in methods { byMethod[method, default: []].append(rule) }
            case .relay: relay.append(rule)
            case .copy: copy.append(rule)
            case .response: response.append(rule)
            case .stray: stray.append(rule)
            case .answered: answered.append(rule)
            case .silence: silence.append(rule)
            }
        }
    }

    func requests(_ method: String) -> [Rule] { anyRequest + (byMethod[method] ?? []) }
}
