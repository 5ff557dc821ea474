// A request with which another shard goes on, because the user whose turn it is is served there.
//
//   here                                    there
//   server transaction, context
//     branch ──request──────────────► context, its server transaction foreign
//            ◄──response──────────── what would be sent to the server transaction
//            ◄──silence───────────── no final response will come (RFC 4320 §4.2)
//            ──cancel───────────────►   with its Reason header fields
//
// Nothing is written into the message on the way, so the peers see what they would see of one core alone. Nothing is lost
// between shards and every context ends by itself, so a relay needs no timers of its own. It passes at most four shards:
// the home of the message, that of the user it names as its sender, that of the one who is the sender, and that of the
// one who is reached.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

/// Where the other shard begins.
enum RelayStage: UInt8, BitwiseCopyable {
    /// Whether the sender is believed to be the user whom the request names.
    case belief
    /// The criteria of the originating user.
    case originating
    /// The one whom the Request-URI names.
    case terminating
}

/// The contexts that this shard has for others, by the foreign number of their server transaction.
struct Relays {
    private var contexts: [UInt64: SlotID] = [:]
    var questions = Questions()

    /// Does nothing for a transaction of our own: it knows its context itself.
    mutating func remember(_ context: SlotID, for server: SlotID) {
        if server.foreignShard != nil { contexts[server.rawValue] = context }
    }

    mutating func forget(_ context: SlotID, for server: SlotID) {
        if server.foreignShard != nil, contexts[server.rawValue] == context { contexts[server.rawValue] = nil }
    }

    func context(for server: SlotID) -> SlotID? { contexts[server.rawValue] }
}

extension ServingCSCF {
    // MARK: Here

    /// Hands a request on. What comes back is for a branch of its context, which is opened if there is none.
    mutating func relay(
        _ opened: SlotID?, _ stage: RelayStage, _ sender: Sender, _ arrival: Arrival, _ request: borrowing Message, to shard: UInt8,
        at now: Now, into effects: inout Effects
    ) {
        let id = opened ?? openSilently(arrival, request)
        let branch = addBranch(.shard, to: id)
        branches[branch.index].state = .sent
        branches[branch.index].shard = shard
        contexts[id.index].pendingBranches += 1
        let start = effects.wire.bytes.count
        effects.wire.bytes.append(request.bytes)
        var handOver = HandOver(.request, from: place.number, to: shard, token: branch.rawValue, flow: arrival.flow)
        handOver.note = sender.packed
        // The other shard goes on counting redirections.
        if let opened { handOver.note |= UInt64(contexts[opened.index].retargets) << 60 }
        handOver.detail = UInt32(stage.rawValue) << 16 | UInt32(UInt16(bitPattern: sender.server))
        effects.wire.handOver(handOver, from: start)
        transactions.awaitResponse(arrival.server, to: request, arrival.essentials, from: arrival.flow.remote, at: now.monotonic)
    }

    /// A context that only waits for other shards: no 100 is sent, for the request may yet be refused.
    mutating func openSilently(_ arrival: Arrival, _ request: borrowing Message, keepingOriginal: Bool = false) -> SlotID {
        let id = contexts.insert(
            RequestContext(
                server: arrival.server, source: arrival.flow, method: request.method,
                original: keepingOriginal ? pool.store(request.bytes) : .none, sender: Sender(reason: .foreignNetwork)))
        transactions[user: arrival.server] = id.rawValue
        relays.remember(id, for: arrival.server)
        return id
    }

    /// The other shard has a response: it is the answer as it stands.
    mutating func relayAnswered(_ handOver: HandOver, _ octets: RawSpan, at now: Now, into effects: inout Effects) {
        let branch = SlotID(rawValue: handOver.token)
        let status = UInt16(truncatingIfNeeded: handOver.note)
        guard branches.contains(branch), branches[branch.index].kind == .shard else { return }
        let id = branches[branch.index].context
        let start = effects.wire.bytes.count
        effects.wire.bytes.append(octets)
        transactions.respond(contexts[id.index].server, status, from: start, at: now.monotonic, into: &effects.wire)
        guard status >= 200, branches[branch.index].state == .sent else { return }
        branches[branch.index].state = .answered
        contexts[id.index].pendingBranches -= 1
        if status < 300 { settle(id, at: now, into: &effects) } else { close(id) }
    }

    mutating func relayUnanswered(_ handOver: HandOver, at now: Now, into effects: inout Effects) {
        let branch = SlotID(rawValue: handOver.token)
        guard branches.contains(branch), branches[branch.index].kind == .shard else { return }
        let id = branches[branch.index].context
        transactions.leaveUnanswered(contexts[id.index].server, at: now.monotonic, into: &effects.wire)
        close(id)
    }

    func cancelRelay(_ branch: SlotID, reason: RawSpan, into effects: inout Effects) {
        let start = effects.wire.bytes.count
        effects.wire.bytes.append(reason)
        effects.wire.handOver(
            HandOver(.cancel, from: place.number, to: branches[branch.index].shard, token: branch.rawValue), from: start)
    }

    // MARK: There

    /// Goes on with a request of another shard.
    mutating func relayedRequestReceived(
        _ handOver: HandOver, _ request: borrowing Message, _ essentials: Essentials, at now: Now, into effects: inout Effects
    ) {
        guard let received = essentials.requestURI, let stage = RelayStage(rawValue: UInt8(truncatingIfNeeded: handOver.detail >> 16))
        else { return }
        let server = SlotID(rawValue: handOver.token).foreign(of: handOver.source)
        var arrival = Arrival(server: server, flow: handOver.flow, essentials: essentials)
        let routes = RouteSet(request, received, own: own)
        if let restored = routes.requestURIFromLast { arrival.essentials.requestURI = restored }
        var sender = Sender(packed: handOver.note)
        sender.server = Int16(truncatingIfNeeded: handOver.detail)
        switch stage {
        case .belief:
            beginChain(arrival, request, routes, at: now, into: &effects)
        case .originating:
            chainBegins(sender, arrival, request, routes, at: now, into: &effects)
        case .terminating where !essentials.to.tag.isEmpty:
            guard let target = target(of: arrival.essentials.requestURI ?? received, in: request.bytes) else { return }
            reachInstance(of: target, arrival, request, routes, sender, at: now, into: &effects)
        case .terminating:
            let id = open(arrival, request, sender, isTried: true, at: now, into: &effects)
            contexts[id.index].retargets = UInt8(handOver.note >> 60)
            contexts[id.index].originServer = sender.server
            beginTerminating(id, arrival, request, routes, at: now, into: &effects)
        }
    }

    /// - Parameter reason: header fields for the CANCELs.
    mutating func relayCancelled(_ handOver: HandOver, _ reason: RawSpan, at now: Now, into effects: inout Effects) {
        let server = SlotID(rawValue: handOver.token).foreign(of: handOver.source)
        // Without a context its final response is on the way.
        guard let id = relays.context(for: server), contexts.contains(id) else { return }
        cancelContext(id, reason: reason, at: now, into: &effects)
    }
}

extension Sender {
    /// All of it but the server in a word, for the way between shards.
    fileprivate var packed: UInt64 {
        var word = UInt64(originator.subscriber)
        word |= UInt64(originator.identity) << 32
        word |= UInt64(reason.rawValue) << 48
        word |= (isTrusted ? 1 : 0) << 56
        word |= (isOriginating ? 1 : 0) << 57
        word |= (isNetwork ? 1 : 0) << 58
        return word | (isAfterDiversion ? 1 : 0) << 59
    }

    fileprivate init(packed word: UInt64) {
        self.init(reason: BeliefReason(rawValue: UInt8(word >> 48 & 0xFF)) ?? .foreignNetwork, isTrusted: word >> 56 & 1 == 1)
        originator = IdentityReference(
            subscriber: UInt32(truncatingIfNeeded: word), identity: UInt16(truncatingIfNeeded: word >> 32))
        isOriginating = word >> 57 & 1 == 1
        isNetwork = word >> 58 & 1 == 1
        isAfterDiversion = word >> 59 & 1 == 1
    }
}
