// A request on its way to a server that is known by name: it waits until the server is located, goes to the first of its
// targets, and from one that fails to the next (RFC 3263 §4.3), each time with a new branch.
//
// What the way depends on is in the request as it was received and in its branch, so whoever had to wait begins the same
// step again; then the name is known.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
public import SansIO

/// Where requests for a URI go: to an address, or to a server that has to be located.
struct Way {
    var destination = Destination(endpoint: .none, transport: .udp)
    var name: ServerName?
    var isTrusted = false
}

/// What a look at a name came to.
enum Course {
    /// The targets that can be sent to, in the order in which they are tried.
    case over(ArraySlice<Flow>)
    /// It has to be asked.
    case unknown
    /// There is none that could be sent to; the status that says so, and why.
    case nowhere(UInt16, String)
}

extension ServingCSCF {
    /// The most targets that one branch tries.
    private static let targetLimit = 16

    // MARK: Names

    /// The server that a URI names, if names may be asked for.
    func serverName(of uri: SIPURI, in bytes: RawSpan) -> ServerName? { configuration.asksNames ? bytes.serverName(of: uri) : nil }

    mutating func course(to name: ServerName, at now: Instant) -> Course {
        guard let servers = locations.servers(of: name, at: now) else { return .unknown }
        var flows: [Flow] = []
        for destination in servers.ordered(using: &random) where flows.count < ServingCSCF.targetLimit {
            if let flow = outgoing(destination), !flows.contains(flow) { flows.append(flow) }
        }
        if !flows.isEmpty { return .over(flows[...]) }
        let host = String(octets: name.host.span.bytes)
        if !servers.servers.isEmpty { return .nowhere(503, "no listener sends to \(host)") }
        return servers.isConclusive
            ? .nowhere(404, "\(host) has no address; name it under networks or core.hosts")
            : .nowhere(503, "no name server answers for \(host); name it under networks or core.hosts")
    }

    /// What a look at a name came to for a branch.
    enum BranchCourse {
        case over(Flow)
        case waiting
        case nowhere(UInt16, String)
    }

    /// The way of a branch that goes to a server by name. Further targets are kept with it; if the server is not located yet
    /// it waits, and counts as pending.
    ///
    /// - Parameter server: what its criterion calls it, if it is an application server (`ServerNames`).
    mutating func course(
        to name: ServerName, of branch: SlotID, server: Int32 = -1, at now: Now, into effects: inout Effects
    ) -> BranchCourse {
        var course = course(to: name, at: now.monotonic)
        if server >= 0 { course = targets(course, of: contexts[branches[branch.index].context.index].served.subscriber, server) }
        switch course {
        case .over(let flows):
            keep(flows.dropFirst(), for: branch)
            return .over(flows[0])
        case .nowhere(let status, let reason):
            return .nowhere(status, reason)
        case .unknown:
            guard locations.look(name, for: .branch(branch), at: now.monotonic, into: &effects.names) else {
                return .nowhere(503, "too many names are being asked for")
            }
            let id = branches[branch.index].context
            branches[branch.index].state = .locating
            contexts[id.index].pendingBranches += 1
            transactions.awaitResponse(contexts[id.index].server, at: now.monotonic)
            return .waiting
        }
    }

    private mutating func keep(_ flows: ArraySlice<Flow>, for branch: SlotID) {
        branches[branch.index].hasAlternatives = !flows.isEmpty
        alternatives[branch.rawValue] = flows.isEmpty ? nil : flows
    }

    /// Forgets the targets that a branch has not tried.
    mutating func forgetAlternatives(of branch: SlotID) {
        guard branches[branch.index].hasAlternatives else { return }
        branches[branch.index].hasAlternatives = false
        alternatives[branch.rawValue] = nil
    }

    // MARK: Answers

    public mutating func nameAnswered(_ question: UInt64, _ answer: NameAnswer, at now: Now, into effects: inout Effects) {
        for waiter in locations.answered(question, answer, at: now.monotonic, into: &effects.names) ?? [] {
            goOn(waiter, at: now, into: &effects)
        }
    }

    mutating func locationsDue(at now: Now, into effects: inout Effects) {
        for waiter in locations.due(at: now.monotonic, into: &effects.names) { goOn(waiter, at: now, into: &effects) }
    }

    /// Asks where the application servers and networks are that are known by name alone, so that they are believed before
    /// anything was sent to them. To be called once, when the core begins.
    public mutating func locatePeers(at now: Now, into effects: inout Effects) {
        locations.lookForPeers(at: now.monotonic, into: &effects.names)
    }

    private mutating func goOn(_ waiter: LocationWaiter, at now: Now, into effects: inout Effects) {
        switch waiter {
        case .branch(let branch):
            guard branches.contains(branch), branches[branch.index].state == .locating else { return }
            branches[branch.index].state = .answered
            contexts[branches[branch.index].context.index].pendingBranches -= 1
            send(branch, over: nil, at: now, into: &effects)
        case .thirdParty(let id): thirdPartyLocated(id, at: now, into: &effects)
        case .acknowledgement(let id): acknowledgementLocated(id, at: now, into: &effects)
        }
    }

    // MARK: A branch goes on

    /// Sends a branch to the next of its targets, if there is one left: the last one refused it, or gave no sign (§4.3).
    ///
    /// - Returns: false: it was the last, or the request is no longer wanted.
    mutating func sendToNextTarget(_ branch: SlotID, at now: Now, into effects: inout Effects) -> Bool {
        let id = branches[branch.index].context
        guard branches[branch.index].hasAlternatives, !contexts[id.index].isCancelled, !contexts[id.index].isSettled,
            let rest = alternatives[branch.rawValue], let flow = rest.first
        else { return false }
        keep(rest.dropFirst(), for: branch)
        send(branch, over: flow, at: now, into: &effects)
        return true
    }

    /// Does the step again that a branch was made for.
    ///
    /// - Parameter flow: the target to send to; nil: the step finds it.
    private mutating func send(_ branch: SlotID, over flow: Flow?, at now: Now, into effects: inout Effects) {
        let id = branches[branch.index].context
        let kind = branches[branch.index].kind
        withOriginal(of: id) { core, arrival, request, routes in
            switch kind {
            case .route: core.forwardOnward(id, arrival, request, routes, reusing: branch, over: flow, at: now, into: &effects)
            case .applicationServer:
                core.forwardToCurrentServer(id, arrival, request, routes, reusing: branch, over: flow, at: now, into: &effects)
            case .contact, .redirection:
                core.sendToContact(branch, id, arrival, request, routes, over: flow, at: now, into: &effects)
                if core.contexts[id.index].pendingBranches == 0 {
                    core.sendWaitingBranches(id, arrival, request, routes, at: now, into: &effects)
                }
            case .shard: preconditionFailure("another shard has no name")
            }
        }
    }

    // MARK: ACK

    /// An ACK to a 2xx whose next hop is known by name: it is a transaction of its own, so it is located on its own
    /// (RFC 3263 §4), and kept until then.
    mutating func acknowledgeByName(
        _ name: ServerName, _ request: borrowing Message, from source: Flow, at now: Now, into effects: inout Effects
    ) -> Flow? {
        switch course(to: name, at: now.monotonic) {
        case .over(let flows): return flows.first
        case .nowhere: counters.countDropped(.unroutableAcknowledgement)
        case .unknown:
            let held = heldAcknowledgements.insert(HeldAcknowledgement(packet: pool.store(request.bytes), flow: source))
            if locations.look(name, for: .acknowledgement(held), at: now.monotonic, into: &effects.names) { return nil }
            pool.release(heldAcknowledgements[held.index].packet)
            heldAcknowledgements.remove(held.index)
            counters.countDropped(.unroutableAcknowledgement)
        }
        return nil
    }

    private mutating func acknowledgementLocated(_ id: SlotID, at now: Now, into effects: inout Effects) {
        guard heldAcknowledgements.contains(id) else { return }
        let held = heldAcknowledgements[id.index]
        let octets = [UInt8](pool.bytes(held.packet))
        pool.release(held.packet)
        heldAcknowledgements.remove(id.index)
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let request = scanner.message(octets.span.bytes)
        // It was sound when it came.
        guard let essentials = try? request.essentials() else { return }
        forwardAcknowledgement(request, essentials, over: held.flow, at: now, into: &effects)
    }
}

/// An ACK that waits for a name.
struct HeldAcknowledgement: BitwiseCopyable {
    var packet: PacketID
    var flow: Flow
}
