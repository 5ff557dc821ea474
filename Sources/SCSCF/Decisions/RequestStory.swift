// What a trace tells of one request: which incoming one it is, where it was sent, and what was answered. An outgoing request
// has the story of the incoming one that it was made of.

import SIPMessage
public import SansIO

/// A message of a trace.
public struct TracedMessage: Sendable {
    public var sequence: UInt64
    public var time: WallTime
    /// Whether the core received it.
    public var isIncoming: Bool
    /// The name of the node at the other end, or its address.
    public var peer: String
    public var octets: [UInt8]

    public init(sequence: UInt64, time: WallTime, isIncoming: Bool, peer: String, octets: [UInt8]) {
        self.sequence = sequence
        self.time = time
        self.isIncoming = isIncoming
        self.peer = peer
        self.octets = octets
    }
}

/// A request and what came of it.
public struct RequestStory: Sendable {
    /// Why there is none.
    public enum Failure: Error, Sendable {
        case notKept, isResponse
    }

    /// A request that was sent on for it.
    struct Sent: Sendable {
        var peer: String
        var uri: String
        var branch: [UInt8]
        /// The original dialog identifier that went with it.
        var identifier: [UInt8]
        /// Of the responses so far.
        var statuses: [UInt16] = []
        /// Whether it was sent back with its identifier.
        var cameBack = false

        var final: UInt16? { statuses.last { $0 >= 200 } }
    }

    /// A response to it.
    struct Answer: Sendable {
        var status: UInt16
        /// The text of its Warning.
        var warning: String?
    }

    let octets: [UInt8]
    let time: WallTime
    let method: String
    let isWithinDialog: Bool
    /// Whether it came in; else the core made it by itself.
    var isIncoming = true
    /// Whether what it was sent on as, and the responses to that, are here.
    var isTraced = true
    var sent: [Sent] = []
    var answers: [Answer] = []
    /// Of a malformed one: what is wrong with it.
    var fault: String?

    var final: Answer? { answers.last { $0.status >= 200 } }
    /// Whether an answer is the core's own, not one that came back from where the request was sent.
    func isOwn(_ answer: Answer) -> Bool { !sent.contains { $0.statuses.contains(answer.status) } }

    /// - Returns: nil if it is no request.
    init?(_ octets: [UInt8], at time: WallTime) {
        var scanner = MessageScanner()
        let verdict = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        guard message.isRequest, !message.shape.methodName.isEmpty else { return nil }
        self.octets = octets
        self.time = time
        method = String(octets: message[message.shape.methodName])
        do throws(MessageFault) {
            if case .fault(let fault) = verdict { throw fault }
            isWithinDialog = try !message.essentials().to.tag.isEmpty
        } catch {
            isWithinDialog = false
            var text = OctetBuffer(capacity: 128)
            text.append(error)
            fault = String(octets: text.bytes)
        }
    }

    /// The story of a message.
    ///
    /// - Parameter trace: the whole of it.
    public init(of sequence: UInt64, in trace: TraceDigest) throws(Failure) {
        let messages = trace.messages
        guard let place = trace.place(of: sequence) else { throw .notKept }
        let origin = messages[place].isIncoming ? place : trace.origin(of: place)
        let told = messages[origin ?? place]
        guard let story = RequestStory(told.octets, at: told.time) else { throw .isResponse }
        self = story
        isIncoming = origin != nil
        if let origin { trace.tell(&self, from: origin) }
    }
}

/// A trace, and what is compared of its messages, by their Call-ID. To read 20,000 of them takes a tenth of a second and more, so
/// whoever has many questions keeps this and adds what is recorded meanwhile.
public struct TraceDigest: Sendable {
    struct Entry: Sendable {
        var isRequest = false
        var method = Method.other
        var status: UInt16 = 0
        var sequence: UInt32 = 0
        var callID: [UInt8] = []
        /// The branches of the first two Via values.
        var branch: [UInt8] = []
        var lowerBranch: [UInt8]?
        var identifier: [UInt8] = []
        /// Of REGISTER and its answers: the identity in To.
        var user: [UInt8] = []
    }

    private(set) var messages: [TracedMessage] = []
    private var entries: [Entry?] = []
    /// Where messages of a Call-ID are, those with an original dialog identifier, and REGISTER requests with their answers.
    private var callIDs: [[UInt8]: [Int]] = [:]
    private var identifiers: [[UInt8]: [Int]] = [:]
    private var registers: [Int] = []

    /// - Parameter messages: the whole trace, in order.
    public init(_ messages: [TracedMessage]) { append(messages) }

    /// How many messages it has, and the number of the last.
    public var count: Int { messages.count }
    public var newest: UInt64 { messages.last?.sequence ?? 0 }

    /// Adds what was recorded since, in order.
    public mutating func append(_ later: [TracedMessage]) {
        var scanner = MessageScanner()
        for message in later {
            let octets = message.octets.span.bytes
            var entry: Entry?
            if case .message = scanner.scan(octets) { entry = TraceDigest.entry(scanner.message(octets)) }
            if let entry {
                callIDs[entry.callID, default: []].append(messages.count)
                if !entry.identifier.isEmpty { identifiers[entry.identifier, default: []].append(messages.count) }
                if entry.method == .register { registers.append(messages.count) }
            }
            messages.append(message)
            entries.append(entry)
        }
    }

    private func places(of callID: [UInt8]) -> [Int] { callIDs[callID] ?? [] }

    private static func entry(_ message: borrowing Message) -> Entry? {
        guard let essentials = try? message.essentials() else { return nil }
        let bytes = message.bytes
        var entry = Entry(isRequest: message.isRequest, method: essentials.method, status: message.status, sequence: essentials.sequence)
        entry.callID = [UInt8](message[essentials.callID])
        entry.branch = [UInt8](message[essentials.via.branch])
        var count = 0
        message.forEachValue(.via) { value in
            count += 1
            if count == 2, let via = bytes.via(value) { entry.lowerBranch = [UInt8](bytes[via.branch]) }
            return count < 2
        }
        message.forEachValue(.route) { value in
            guard let address = bytes.nameAddress(value), bytes[address.uri.user].dialogIdentifier != nil else { return true }
            entry.identifier = [UInt8](bytes[address.uri.user])
            return false
        }
        if essentials.method == .register {
            var canonical = OctetBuffer(capacity: 128)
            canonical.appendIdentity(essentials.to.uri, in: bytes)
            entry.user = [UInt8](canonical.bytes)
        }
        return entry
    }

    /// Where a message is; sequence numbers rise.
    func place(of sequence: UInt64) -> Int? {
        var (low, high) = (0, messages.count)
        while low < high {
            let middle = (low + high) / 2
            if messages[middle].sequence < sequence { low = middle + 1 } else { high = middle }
        }
        return low < messages.count && messages[low].sequence == sequence ? low : nil
    }

    // MARK: From an outgoing request to its incoming one

    func origin(of place: Int) -> Int? {
        guard let entry = entries[place], entry.isRequest else { return nil }
        if let lower = entry.lowerBranch {
            return places(of: entry.callID).last { $0 < place && messages[$0].isIncoming && isRequest($0, like: entry, branch: lower) }
        }
        switch entry.method {
        case .register: return registration(before: place, of: entry.user)
        case .ack, .cancel:
            // They have the branch of the request that they are for.
            let request = places(of: entry.callID).last { candidate in
                guard candidate < place, let other = entries[candidate] else { return false }
                return other.isRequest && other.lowerBranch != nil && other.branch == entry.branch
            }
            return request.flatMap { origin(of: $0) }
        default: return nil
        }
    }

    private func isRequest(_ place: Int, like entry: Entry, branch: [UInt8]) -> Bool {
        guard let other = entries[place] else { return false }
        return other.isRequest && other.branch == branch && other.callID == entry.callID && other.sequence == entry.sequence
            && (other.method == entry.method || entry.method == .ack || entry.method == .cancel)
    }

    /// The REGISTER that a third-party REGISTER tells of: the last one before it that was accepted and names this user, or
    /// one of the same implicit set.
    private func registration(before place: Int, of user: [UInt8]) -> Int? {
        var member: Int?
        for candidate in registers.reversed() where candidate < place && messages[candidate].isIncoming {
            guard let entry = entries[candidate], entry.isRequest, entry.method == .register,
                let answer = acceptance(of: candidate, entry)
            else { continue }
            if entry.user == user { return candidate }
            if member == nil, hasAssociated(user, messages[answer].octets) { member = candidate }
        }
        return member
    }

    private func acceptance(of place: Int, _ request: Entry) -> Int? {
        places(of: request.callID).first { i in
            guard i >= place, !messages[i].isIncoming, let entry = entries[i], !entry.isRequest, entry.status == 200 else { return false }
            return entry.branch == request.branch && entry.sequence == request.sequence
        }
    }

    /// Whether P-Associated-URI of an answer names a user.
    private func hasAssociated(_ user: [UInt8], _ answer: [UInt8]) -> Bool {
        var scanner = MessageScanner()
        let octets = answer.span.bytes
        guard case .message = scanner.scan(octets) else { return false }
        let message = scanner.message(octets)
        var isFound = false
        message.forEachAddress(.pAssociatedURI) { address in
            var canonical = OctetBuffer(capacity: 128)
            canonical.appendIdentity(address.uri, in: octets)
            isFound = canonical.bytes.equals(user)
            return !isFound
        }
        return isFound
    }

    // MARK: From an incoming request to what came of it

    /// Adds to a story what follows its request.
    func tell(_ story: inout RequestStory, from origin: Int) {
        guard let request = entries[origin], request.isRequest else { return }
        // Third-party REGISTER requests have a Call-ID of their own; what a server sends back may have one.
        for place in request.method == .register ? registers : places(of: request.callID) where place > origin {
            guard let entry = entries[place] else { continue }
            switch (entry.isRequest, messages[place].isIncoming) {
            case (true, false): sentOn(entry, place, of: request, origin, into: &story)
            case (true, true): continue
            case (false, true):
                if let i = story.sent.firstIndex(where: { $0.branch == entry.branch }), entry.method == request.method {
                    story.sent[i].statuses.append(entry.status)
                }
            case (false, false):
                guard entry.branch == request.branch, entry.callID == request.callID, entry.sequence == request.sequence,
                    entry.method == request.method
                else { continue }
                story.answers.append(RequestStory.Answer(status: entry.status, warning: warning(in: messages[place].octets)))
            }
        }
        for i in story.sent.indices where !story.sent[i].identifier.isEmpty {
            let places = identifiers[story.sent[i].identifier] ?? []
            story.sent[i].cameBack = places.contains { $0 > origin && messages[$0].isIncoming }
        }
    }

    private func sentOn(_ entry: Entry, _ place: Int, of request: Entry, _ origin: Int, into story: inout RequestStory) {
        guard entry.method == request.method, !story.sent.contains(where: { $0.branch == entry.branch }) else { return }
        let isOurs: Bool
        if let lower = entry.lowerBranch {
            isOurs = lower == request.branch && entry.callID == request.callID && entry.sequence == request.sequence
        } else {
            isOurs = entry.method == .register && registration(before: place, of: entry.user) == origin
        }
        guard isOurs, let sent = RequestStory(messages[place].octets, at: messages[place].time) else { return }
        story.sent.append(
            RequestStory.Sent(peer: messages[place].peer, uri: sent.requestURI, branch: entry.branch, identifier: entry.identifier))
    }

    private func warning(in octets: [UInt8]) -> String? {
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        guard let value = message.value(.warning) else { return nil }
        let text = message[value]
        guard let start = text.firstOffset(of: 0x22) else { return nil }
        let quoted = Slice(start, text.byteCount)
        return String(octets: text[text.unquoted(text.trimmed(quoted))]).replacing("\\\"", with: "\"")
    }
}

extension RequestStory {
    /// The Request-URI as it stands.
    var requestURI: String { octets.isEmpty ? "" : words.count > 1 ? words[1] : "" }

    private var words: [String] {
        let end = octets.firstIndex { $0 == 0x0D || $0 == 0x0A } ?? octets.endIndex
        return String(decoding: octets[..<end], as: UTF8.self).split(separator: " ").map(String.init)
    }
}
