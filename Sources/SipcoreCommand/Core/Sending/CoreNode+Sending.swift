// `POST /api/send`: as a subscriber a request comes to the core from a socket of its own, for whose address the core is told
// to take it as that user's; to a node it leaves the core itself.

import ControlHTTP
import NodeRuntime
import SCSCF
import SIPMessage
import SIPTransaction
import SansIO
import Topology

extension CoreNode {
    func send(_ order: SendOrder) async throws(SendFailure) -> SentRequest {
        let number = UInt32.random(in: 1 ... .max)
        switch order.way {
        case .asSubscriber(let name): return try await send(order, as: name, token: String(number, radix: 36))
        case .toNode(let name): return try await send(order, to: name, number)
        }
    }

    // MARK: As a subscriber

    private func send(_ order: SendOrder, as name: String?, token: String) async throws(SendFailure) -> SentRequest {
        let draft = try RequestDraft(order.request, uri: order.isRegister ? "sip:\(topology.domain)" : nil, token: token)
        let identity = try await identity(of: name, draft)
        let socket = try SubscriberSocket(to: shards.listeners, for: draft.length(as: identity))
        let local = socket.local
        let isKnown = await shards.perform { node, _, _ in node.vouch(for: identity, at: local) }.contains(true)
        guard isKnown else { throw .invalid("nobody has the identity \(identity); see /api/subscribers", field: "as") }
        let sent = await socket.exchange(draft, as: identity, token: token, within: order.patience)
        _ = await shards.perform { node, _, _ in node.endVouching(at: local) }
        return sent
    }

    /// The public identity of the subscriber that was named, else of the one that From names.
    private func identity(of name: String?, _ draft: RequestDraft) async throws(SendFailure) -> String {
        guard let name else {
            guard let from = draft.first(.from), let identity = CoreNode.uri(in: from) else {
                throw .invalid("it is not said who sends; write as with the name of a subscriber, or to with that of a node", field: "as")
            }
            return identity
        }
        if name.contains(":") { return name }
        guard let subscriber = await subscriber(name), let identity = subscriber.publicIdentities.first, !identity.contains("{name}") else {
            throw .invalid("there is no subscriber \(name); see /api/subscribers", field: "as")
        }
        return identity
    }

    private static func uri(in address: String) -> String? {
        let octets = Array(address.utf8)
        guard let found = octets.span.bytes.nameAddress(Slice(0, octets.count)) else { return nil }
        return String(octets: octets.span.bytes[found.uri.all])
    }

    // MARK: To a node

    private func send(_ order: SendOrder, to name: String, _ number: UInt32) async throws(SendFailure) -> SentRequest {
        let target: OwnRequestTarget
        if name.contains(":") {
            target = .contact(name)
        } else if let identity = await subscriber(name)?.publicIdentities.first {
            target = .contact(identity)
        } else {
            target = .node(name)
        }
        let token = String(number, radix: 36)
        let results = await shards.performAtRest { node, now, effects in
            Result { () throws(SendFailure) in
                try node.send(order.request, to: target, named: name, number, token: token, at: now, into: &effects)
            }
        }
        guard let first = CoreNode.best(of: results) else { throw .unreachable("the core has no shards") }
        let (request, flow) = try first.get()
        let outcome = await outcome(of: number, within: order.patience)
        if order.isInvite, let last = outcome.responses.last, CoreNode.status(of: last) / 100 == 2 {
            await endCall(request, last, over: flow)
        }
        _ = await shards.perform { node, now, effects in node.forgetOwnRequest(number, at: now, into: &effects) }
        let isAnswered = outcome.responses.last.map { CoreNode.status(of: $0) >= 200 } ?? false
        return SentRequest(request: request, responses: outcome.responses, isAnswered: isAnswered)
    }

    /// The one shard that has sent it, else the one that says most clearly why not.
    private static func best(
        of results: [Result<(request: [UInt8], flow: Flow), SendFailure>]
    ) -> Result<(request: [UInt8], flow: Flow), SendFailure>? {
        func rank(_ result: Result<(request: [UInt8], flow: Flow), SendFailure>) -> Int {
            switch result {
            case .success: 0
            case .failure(.unreachable), .failure(.overloaded): 1
            case .failure(.invalid): 2
            }
        }
        return results.min { rank($0) < rank($1) }
    }

    /// Looks again and again for what has come back, until that is all or the time is over.
    private func outcome(of number: UInt32, within patience: TimeSpan) async -> OwnRequestOutcome {
        let deadline = ContinuousClock.now.advanced(by: .nanoseconds(patience.nanoseconds))
        var pause = Duration.milliseconds(1)
        while true {
            let outcome = await shards.perform { node, _, _ in node.ownRequestOutcome(number) }.compactMap { $0 }.first
            // Nobody has it any more after a reset.
            guard let outcome, !outcome.isOver, ContinuousClock.now < deadline, !Task.isCancelled else {
                return outcome ?? OwnRequestOutcome(isOver: true)
            }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(20))
        }
    }

    private func endCall(_ invite: [UInt8], _ response: [UInt8], over flow: Flow) async {
        guard let end = DialogEnd(invite: invite, response: response) else { return }
        let number = UInt32.random(in: 1 ... .max)
        _ = await shards.performAtRest { node, now, effects in
            guard node.isFirst else { return }
            let way = (try? node.way(to: .uri(end.uri), at: now))?.flow ?? flow
            for (method, rest) in [("ACK", end.acknowledgement), ("BYE", end.bye)] {
                _ = node.sendOwnRequest(
                    number, Array(method.utf8), line: end.line(method), rest: rest, over: way, at: now, into: &effects)
            }
        }
        _ = await outcome(of: number, within: .seconds(2))
        _ = await shards.perform { node, now, effects in node.forgetOwnRequest(number, at: now, into: &effects) }
    }

    static func status(of response: [UInt8]) -> UInt16 {
        var scanner = MessageScanner()
        _ = scanner.scan(response.span.bytes)
        return scanner.message(response.span.bytes).status
    }
}

extension SendOrder {
    fileprivate var isRegister: Bool { method == "REGISTER" }
    fileprivate var isInvite: Bool { method == "INVITE" }

    private var method: String {
        switch request {
        case .raw(let octets): String(decoding: octets.drop { $0 == 0x0D || $0 == 0x0A }.prefix { $0 != 0x20 }, as: UTF8.self)
        case .parts(let method, _, _, _): method
        }
    }
}

extension ServingCSCF {
    /// Writes a request for a node and sends it, if this shard can.
    ///
    /// - Returns: the request as it leaves, but for its Via, and the way it goes.
    fileprivate mutating func send(
        _ request: SendOrder.Request, to target: OwnRequestTarget, named name: String, _ number: UInt32, token: String, at now: Now,
        into effects: inout Effects
    ) throws(SendFailure) -> (request: [UInt8], flow: Flow) {
        let way: OwnRequestWay
        do throws(OwnRequestFailure) {
            way = try self.way(to: target, at: now)
        } catch {
            switch error {
            case .unknown: throw .invalid("there is no application server, network or subscriber \(name); see the topology", field: "to")
            case .notRegistered: throw .unreachable("\(name) is not registered, so there is no contact to send to", field: "to")
            case .unreachable: throw .unreachable("no listener of the core sends to \(name), or its name has no address yet", field: "to")
            }
        }
        let draft = try RequestDraft(request, uri: String(decoding: way.uri, as: UTF8.self), token: token)
        let address = ownAddress(on: way.flow).text
        let origin = RequestDraft.Origin(identity: "sip:\(address)", address: address, transport: way.flow.transport)
        let rest = draft.rest(from: origin, routes: way.routes)
        guard
            sendOwnRequest(
                number, Array(draft.method.utf8), line: draft.line, rest: rest, over: way.flow, at: now, into: &effects)
        else { throw .overloaded }
        return (draft.line + rest, way.flow)
    }
}
