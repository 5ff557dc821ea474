import IMSProfile
import SCSCF
import SIPMessage
import SIPRegistrar
import SIPTransaction
import SansIO

/// A serving CSCF with a hand on its clock, its store and everything that it sends.
final class CoreRig {
    let core: ShardedCore
    let division: Division
    private(set) var now: Now
    let configuration: ServingCSCFConfiguration
    /// Whether changes are committed as soon as they are made.
    var commits = true
    /// Whether application servers and contacts answer by themselves, and with what.
    var answers: [String: Int] = [:]
    /// What is stored, by table, and of registrations alone.
    private(set) var tables: [UInt8: [[UInt8]: [UInt8]]] = [:]
    var records: [[UInt8]: [UInt8]] { tables[StoreTable.registrations] ?? [:] }
    var subscriptionRecords: [[UInt8]: [UInt8]] { tables[StoreTable.subscriptions] ?? [:] }
    private var pending: [(shard: Int, change: StoreChange, key: [UInt8], value: [UInt8])] = []
    /// Whether what shards hand over waits until `deliver` is called.
    var holdsHandOvers = false
    /// Answers what the core asks of the Domain Name System as soon as it asks; nil: questions wait for `answerQuestions`.
    var zone: Zone?
    private(set) var questions: [(shard: Int, question: NameQuestion)] = []
    private(set) var findings: [NameFinding] = []
    private var sent: [Sent] = []
    /// All messages in and out, where decisions are kept.
    private(set) var traced: [TracedMessage] = []
    private(set) var notices: [Notice] = []
    /// Addresses that are to be reached by streams of peers: `9 5071 proxy.test`.
    private(set) var aliases: [String] = []
    private var serial = 0

    /// A message on its way to a peer.
    struct Sent {
        var message: SIPText
        var flow: Flow
        var transaction: UInt64
        /// The shard that sent it.
        var shard: Int
        var octets: [UInt8]
        /// The peer whose address and transport it goes to, or the address itself.
        var destination: String {
            let peer = Peer.all.first { $0.flow.remote == flow.remote && ($0.flow.transport == flow.transport) }
            return peer?.name ?? "\(flow.transport.name):\(flow.remote.text)"
        }
    }

    /// - Parameter losing: how many of the stored records are nobody's any more.
    init(
        tables: [UInt8: [[UInt8]: [UInt8]]] = [:], losing: Int = 0, at seconds: Int64 = 1_700_000_000, _ division: Division = .current,
        _ change: (inout ServingCSCFConfiguration) -> Void = { _ in }
    ) {
        var configuration = Laboratory.configuration()
        change(&configuration)
        self.configuration = configuration
        now = Now(monotonic: .zero, wall: WallTime(seconds: seconds))
        self.division = division
        core = ShardedCore(configuration, division, at: now)
        self.tables = tables
        restore(losing: losing)
    }

    /// As the process does it.
    private func restore(losing: Int) {
        commits = false
        let stored = tables
        var lost = 0
        for table in StoreTable.restored {
            for (key, value) in stored[table] ?? [:] {
                onEachShard { core, effects in
                    if !core.restore(table: table, key: key.span.bytes, value: value.span.bytes, at: now, into: &effects) { lost += 1 }
                }
            }
        }
        precondition(lost == losing)
        onEachShard { $0.begin(at: now, into: &$1) }
        commits = true
        commit()
    }

    func onEachShard(_ body: (inout ServingCSCF, inout Effects) -> Void) {
        for shard in 0..<core.count { run(on: shard, body) }
    }

    /// The same core after its process died: only the committed records are left.
    ///
    /// - Parameter division: of the new process, if it is another.
    func restarted(after span: TimeSpan = .zero, as division: Division? = nil) -> CoreRig {
        let configuration = self.configuration
        let next = CoreRig(tables: tables, at: now.wall.seconds + span.wholeSeconds, division ?? self.division) { $0 = configuration }
        // Its peers go on counting.
        next.serial = serial
        return next
    }

    // MARK: Driving

    func receive(_ text: String, from peer: Peer) { receive(Array(text.utf8), from: peer) }

    func receive(_ octets: [UInt8], from peer: Peer) {
        record(octets, isIncoming: true, peer.name)
        run(on: core.reader()) { $0.receive(octets.span.bytes, over: peer.flow, at: now, into: &$1) }
    }

    func receive(_ message: SIPText, from peer: Peer) { receive(message.text, from: peer) }

    /// Moves the clock, deadline by deadline.
    func advance(_ span: TimeSpan) {
        let end = now.monotonic + span
        var turns = 0
        while let next = core.nextDeadline, next <= end, turns < 100_000 {
            turns += 1
            move(to: max(next, now.monotonic))
            for shard in core.due(at: now.monotonic) { run(on: shard) { $0.advance(to: now, into: &$1) } }
        }
        move(to: end)
    }

    private func move(to instant: Instant) {
        now = Now(monotonic: instant, wall: now.wall + (instant - now.monotonic))
    }

    /// Tells that a message could not be sent.
    func fail(_ sent: Sent) {
        run(on: sent.shard) { $0.transmissionFailed(sent.transaction, over: sent.flow, at: now, into: &$1) }
    }

    /// Answers all questions that wait, and those that the answers lead to.
    func answerQuestions(from zone: Zone) {
        while !questions.isEmpty {
            let (shard, question) = questions.removeFirst()
            run(on: shard) { $0.nameAnswered(question.number, zone.answer(to: question.query), at: now, into: &$1) }
        }
    }

    /// Has each shard ask where the peers are that are known by name alone.
    func locatePeers() {
        for shard in 0..<core.count { run(on: shard) { $0.locatePeers(at: now, into: &$1) } }
    }

    func deregister(_ identity: String, _ event: DeregistrationEvent = .deactivated) -> Bool {
        var isDone = false
        for shard in 0..<core.count {
            run(on: shard) { core, effects in if core.deregister(identity, event, at: now, into: &effects) { isDone = true } }
        }
        return isDone
    }

    /// Has every shard do something, one after another.
    func onEachShard<R>(_ body: (inout ServingCSCF, Now, inout Effects) -> R) -> [R] {
        (0..<core.count).map { shard in
            var result: R?
            run(on: shard) { result = body(&$0, now, &$1) }
            return result!
        }
    }

    /// Reports all changes that wait.
    func commit(succeeded: Bool = true) {
        while !pending.isEmpty {
            let changes = pending
            pending = []
            if succeeded {
                for (_, change, key, value) in changes { tables[change.table, default: [:]][key] = change.isRemoval ? nil : value }
            }
            for shard in 0..<core.count {
                guard let last = changes.last(where: { $0.shard == shard }) else { continue }
                run(on: shard) { $0.committed(upTo: last.change.ticket, succeeded: succeeded, at: now, into: &$1) }
            }
            if !succeeded { return }
        }
    }

    /// Forgets what a reset of the running core forgets, in the database too, as the process does it.
    func reset() {
        core.reset(at: now)
        pending = []
        tables = tables.filter { StoreTable.lasting.contains($0.key) }
        onEachShard { $0.persistAll(at: now, into: &$1) }
        sent = []
    }

    /// Puts records into the store past the core.
    func leaveRecords(_ left: [[UInt8]: [UInt8]]) { tables[StoreTable.registrations, default: [:]].merge(left) { _, new in new } }

    var hasPendingChanges: Bool { !pending.isEmpty }

    /// Lets some of what shards handed over arrive, or all of it.
    func deliver(atMost count: Int = .max) {
        var fresh: [Sent] = []
        var left = count
        while left > 0, core.hasLetters {
            left -= 1
            core.deliver(at: now) { take($1, of: $0, into: &fresh) }
        }
        settle(fresh)
    }

    private func run(on shard: Int, _ body: (inout ServingCSCF, inout Effects) -> Void) {
        var fresh: [Sent] = []
        core.tick(shard, body) { take($0, of: shard, into: &fresh) }
        while !holdsHandOvers, core.hasLetters { core.deliver(at: now) { take($1, of: $0, into: &fresh) } }
        settle(fresh)
    }

    private func take(_ effects: borrowing Effects, of shard: Int, into fresh: inout [Sent]) {
        for transmission in effects.wire.transmissions {
            let octets = [UInt8](effects.wire.bytes.bytes(from: transmission.start, count: transmission.count))
            fresh.append(
                Sent(
                    message: SIPText(String(decoding: octets, as: UTF8.self)), flow: transmission.flow,
                    transaction: transmission.transaction, shard: shard, octets: octets))
            record(octets, isIncoming: false, fresh.last?.destination ?? "")
        }
        for change in effects.store.changes {
            let key = [UInt8](effects.store.bytes.bytes(from: change.keyStart, count: change.keyCount))
            let value = [UInt8](effects.store.bytes.bytes(from: change.valueStart, count: change.valueCount))
            pending.append((shard, change, key, value))
        }
        notices += effects.notices
        aliases += effects.wire.aliases.map { alias in
            let host = [UInt8](effects.wire.bytes.bytes(from: alias.start, count: alias.count))
            return "\(alias.connection) \(alias.port) \(String(decoding: host, as: UTF8.self))"
        }
        questions += effects.names.questions.map { (shard, $0) }
        findings += effects.names.findings
    }

    /// What was sent is there to be looked at; who answers by itself does, and changes are committed.
    private func settle(_ fresh: [Sent]) {
        sent += fresh
        for one in fresh {
            guard one.message.isRequest, one.message.method != "ACK", let status = answers[one.destination],
                let peer = Peer.all.first(where: { $0.name == one.destination })
            else { continue }
            receive(one.message.response(status), from: peer)
        }
        if commits { commit() }
        if let zone { answerQuestions(from: zone) }
    }

    // MARK: What was sent

    /// Everything sent since the last look.
    func taken() -> [Sent] {
        defer { sent = [] }
        return sent
    }

    /// What was sent since the last look in short: `["bob MESSAGE", "alice 200 MESSAGE"]`.
    func trace() -> [String] { taken().map { "\($0.destination) \($0.message.summary)" } }

    /// The first message sent to a peer since the last look; it and all before it are seen. Without one: the trace.
    func next(to peer: Peer) -> SIPText {
        guard let i = sent.firstIndex(where: { $0.destination == peer.name }) else {
            return SIPText("NOTHING for-\(peer.name) \(trace())\n\n")
        }
        defer { sent.removeFirst(i + 1) }
        return sent[i].message
    }

    /// The first of what was sent since the last look, which is all seen.
    func first() -> SIPText { taken().first?.message ?? SIPText("NOTHING was sent\n\n") }

    // MARK: Why

    private func record(_ octets: [UInt8], isIncoming: Bool, _ peer: String) {
        guard configuration.decisionsKept > 0 else { return }
        traced.append(
            TracedMessage(sequence: UInt64(traced.count + 1), time: now.wall, isIncoming: isIncoming, peer: peer, octets: octets))
    }

    /// Why a message went where it went.
    ///
    /// - Parameter sequence: its number in the trace, from 1.
    func why(_ sequence: Int) throws -> Explanation {
        let story = try RequestStory(of: UInt64(sequence), in: TraceDigest(traced))
        return Explanation(story, onEachShard { core, _, _ in core.account(of: story) })
    }

    /// The same of the last request with this method, that came in from a peer or went out to it.
    func why(_ method: String, from sender: Peer? = nil, to receiver: Peer? = nil) throws -> Explanation {
        let found = traced.last { message in
            message.octets.starts(with: (method + " ").utf8) && (sender == nil || message.isIncoming && message.peer == sender?.name)
                && (receiver == nil || !message.isIncoming && message.peer == receiver?.name)
        }
        return try why(Int(found?.sequence ?? 0))
    }

    // MARK: Requests

    func request(
        _ method: String, _ uri: String, from peer: Peer, to: String? = nil, _ headers: [(String, String)] = [], body: String = ""
    ) -> SIPText {
        serial += 1
        var request = SIPText("\(method) \(uri) SIP/2.0\n\n")
        request.headers = [
            ("Via", "SIP/2.0/\(peer.viaTransport) \(peer.sentBy);branch=z9hG4bK\(peer.name)\(serial);rport"), ("Max-Forwards", "70"),
            ("From", "<\(peer.identity)>;tag=f\(serial)"), ("To", "<\(to ?? uri)>"), ("Call-ID", "call\(serial)@\(peer.name)"),
            ("CSeq", "\(serial) \(method)"),
        ]
        if method == "INVITE" || method == "SUBSCRIBE" { request.headers.append(("Contact", peer.contact)) }
        request.headers += headers.map { (name: $0.0, value: $0.1) }
        request.body = body
        return request
    }

    /// Sends a request and gives it back, for its answers to be compared with.
    @discardableResult
    func send(
        _ method: String, _ uri: String, from peer: Peer, _ headers: [(String, String)] = [], body: String = ""
    ) -> SIPText {
        let request = request(method, uri, from: peer, headers, body: body)
        receive(request, from: peer)
        return request
    }

    func registerRequest(_ peer: Peer, expires: Int? = 3600, contact: String? = nil, _ headers: [(String, String)] = []) -> SIPText {
        var request = request("REGISTER", "sip:home1.test", from: peer, to: peer.identity, headers)
        if contact != "" { request.headers.append(("Contact", contact ?? peer.contact)) }
        if let expires { request.headers.append(("Expires", String(expires))) }
        return request
    }

    /// A request again, with credentials that answer a challenge.
    func answering(_ challenge: SIPText, _ request: SIPText, username: String, password: String, uri: String? = nil, count: UInt32 = 1)
        -> SIPText
    {
        serial += 1
        let isProxy = challenge.has("Proxy-Authenticate")
        let octets = Array((challenge[isProxy ? "Proxy-Authenticate" : "WWW-Authenticate"] ?? "").utf8)
        let bytes = octets.span.bytes
        guard let parameters = bytes.digestParameters(Slice(0, octets.count)) else {
            return SIPText("NO challenge \(challenge.startLine)\n\n")
        }
        var credentials = OctetBuffer(capacity: 512)
        let name = Array(username.utf8)
        let secret = Array(password.utf8)
        let method = Array(request.method.utf8)
        let target = Array((uri ?? request.uri).utf8)
        _ = DigestClient.appendAuthorization(
            isProxy ? .proxyAuthorization : .authorization, answering: parameters, in: bytes, username: name.span.bytes,
            password: secret.span.bytes, method: method.span.bytes, uri: target.span.bytes, nonceCount: count, cnonce: UInt64(serial),
            into: &credentials)
        let line = String(decoding: [UInt8](credentials.bytes).dropLast(2), as: UTF8.self)
        let parts = line.split(separator: ":", maxSplits: 1)
        return again(request).with(String(parts[0]), String(parts[1].dropFirst()))
    }

    /// A request once more as a new one: next CSeq, new branch.
    func again(_ request: SIPText) -> SIPText {
        serial += 1
        let branch = request["Via"]?.replacing(";branch=z9hG4bK", with: ";branch=z9hG4bKn\(serial)") ?? ""
        return request.with("CSeq", "\(1000 + serial) \(request.method)").with("Via", branch)
    }

    static let passwords = ["sip:alice@home1.test": "wonderland", "sip:bob@home1.test": "builder"]

    /// Registers a user, with digest where the core asks for it.
    ///
    /// - Returns: the last answer.
    @discardableResult
    func register(
        _ peer: Peer, expires: Int? = 3600, contact: String? = nil, privateIdentity: String? = nil, _ headers: [(String, String)] = []
    ) -> SIPText {
        let request = registerRequest(peer, expires: expires, contact: contact, headers)
        receive(request, from: peer)
        let answer = next(to: peer)
        guard answer.status == 401 else { return answer }
        receive(
            answering(
                answer, request, username: privateIdentity ?? String(peer.identity.dropFirst(4)),
                password: CoreRig.passwords[peer.identity] ?? ""), from: peer)
        return next(to: peer)
    }

    /// Users registered, their application servers told and forgotten.
    func registered(_ peers: Peer...) -> CoreRig {
        answers["im"] = 200
        answers["second"] = 200
        for peer in peers { register(peer) }
        answers = [:]
        _ = taken()
        return self
    }

    // MARK: Queries

    func contacts(_ identity: String) -> [String] {
        core.registeredIdentity(identity, at: now.monotonic)?.contacts.map(\.uri) ?? []
    }

    func dropped(_ reason: DropReason) -> UInt64 { core.counters.dropped[Int(reason.rawValue)] }
    func thirdParty(_ server: Int, _ result: RequestResult) -> UInt64 { core.counters.thirdParty(server, result) }
    func thirdParty(_ server: Int, _ kind: RegistrationChange.Kind, _ result: RequestResult) -> UInt64 {
        core.counters.thirdParty(server, kind, result)
    }
}
