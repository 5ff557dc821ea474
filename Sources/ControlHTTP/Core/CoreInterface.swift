// The calls of the core's interface.

import SIPMessage
import SansIO

/// Answers the calls with what the backing tells.
struct CoreInterface: Sendable {
    let backing: any CoreBacking

    var routes: [Route] {
        let backing = backing
        let reviewed = ReviewedTrace(backing)
        let routes = [
            Route(.get, "/api/health") { _ in await backing.health().answer },
            Route(.get, "/api/registrations") { _ in
                let registrations = await backing.registrations()
                return .json { json in
                    json.object { json in
                        json.name("registrations")
                        json.array { json in for registration in registrations { registration.write(to: &json) } }
                    }
                }
            },
            Route(.get, "/api/registrations/*") { call in
                let identity = try publicIdentity(call.arguments[0])
                guard let registration = await backing.registration(of: identity) else { throw notRegistered(identity) }
                return .json { registration.write(to: &$0) }
            },
            Route(.get, "/api/messages", parameters: MessageQuery.parameters) { call in
                try await MessageQuery(call.query).answer(from: backing, for: call)
            },
            Route(.get, "/api/findings", parameters: FindingsQuery.parameters) { call in
                let query = try FindingsQuery(call.query)
                return query.answer(await reviewed.state())
            },
            // Before the one below: a path that is a word is no number.
            Route(.get, "/api/messages/stream", parameters: MessageStream.parameters) { call in
                try MessageStream(call.query, lastEventID: call.lastEventID).answer(from: backing)
            },
            Route(.get, "/api/messages/*") { call in try await TraceExport.message(call.arguments[0], from: backing) },
            Route(.get, "/api/trace.pcapng", parameters: TraceExport.parameters) { call in
                try TraceExport(call.query).answer(from: backing)
            },
            Route(.get, "/api/messages/*/why") { call in
                guard let sequence = UInt64(call.arguments[0]) else {
                    throw APIError(.badRequest, "\(call.arguments[0]) is no sequence number; write one of a message", field: "sequence")
                }
                do throws(WhyFailure) {
                    return try await backing.why(sequence).answer
                } catch {
                    switch error {
                    case .notKept:
                        throw APIError(.notFound, "no message \(sequence) is recorded (any more); see /api/messages for those that are")
                    case .isResponse:
                        throw APIError(.conflict, "message \(sequence) is a response; ask why of its request")
                    }
                }
            },
            Route(.get, "/metrics") { _ in
                Answer(contentType: MetricsText.contentType, body: Array(MetricsText.text(await backing.metrics()).utf8))
            },
        ]
        let parts = [
            SubscriberInterface(backing: backing).routes, SendInterface(backing: backing).routes, FaultInterface(backing: backing).routes,
            ClockInterface(backing: backing).routes,
        ]
        let all = routes + registrationChanges + parts.flatMap { $0 }
        return all + [InterfaceDescription.route(describing: all)] + PageFile.routes
    }

    private var registrationChanges: [Route] {
        let backing = backing
        var routes: [Route] = []
        if backing.operations.contains(.deregistration) {
            routes.append(
                Route(.delete, "/api/registrations/*", parameters: NetworkDeregistration.parameters) { call in
                    let identity = try publicIdentity(call.arguments[0])
                    let event = try NetworkDeregistration(call.query)
                    guard try await backing.deregister(identity, event) else { throw notRegistered(identity) }
                    return .noContent
                })
        }
        if backing.operations.contains(.reauthentication) {
            routes.append(
                Route(.post, "/api/registrations/*/reauthenticate") { call in
                    let identity = try publicIdentity(call.arguments[0])
                    guard try await backing.reauthenticate(identity) else { throw notRegistered(identity) }
                    return .noContent
                })
        }
        if backing.operations.contains(.reset) {
            routes.append(
                Route(.post, "/api/reset") { _ in
                    try await backing.reset()
                    return .noContent
                })
        }
        return routes
    }
}

private func notRegistered(_ identity: String) -> APIError { APIError(.notFound, "\(identity) is not registered; register it first") }

extension NetworkDeregistration {
    private enum Word: String, CaseIterable {
        case deactivated, rejected, probation
    }

    fileprivate static let parameters = ["event", "retry_after"]

    /// Of a query; without an event the user may register again at once.
    fileprivate init(_ query: Query) throws(APIError) {
        let word = try query.word("event", Word.self) ?? .deactivated
        let seconds = try query.number("retry_after", in: 1...UInt64(UInt32.max))
        switch (word, seconds) {
        case (.deactivated, nil): self = .deactivated
        case (.rejected, nil): self = .rejected
        case (.probation, let seconds?): self = .probation(retryAfter: UInt32(seconds))
        case (.probation, nil):
            throw APIError(
                .badRequest, "probation tells when to register again; write the seconds, such as retry_after=300", field: "retry_after")
        case (_, .some):
            throw APIError(.badRequest, "retry_after goes with event=probation only; write that too, or leave it out", field: "retry_after")
        }
    }
}

/// The canonical form of a public identity in a path.
func publicIdentity(_ text: String) throws(APIError) -> String {
    var buffer = OctetBuffer(capacity: 128)
    let octets = Array(text.utf8)
    if octets.count <= MessageLimit.uri, let uri = octets.span.bytes.uri(Slice(0, octets.count)) {
        buffer.appendIdentity(uri, in: octets.span.bytes)
    }
    guard buffer.count > 0 else {
        throw APIError(
            .badRequest, "\(text) is no public identity; write a SIP or tel URI, such as sip:alice@home1.test", field: "public_identity")
    }
    return String(octets: buffer.bytes)
}

extension Health {
    var answer: Answer {
        .json { json in
            json.object { json in
                json.member("role", role)
                json.member("version", version)
                json.name("uptime")
                json.thousandths(uptime.nanoseconds / 1_000_000)
                json.member("listeners", listeners)
            }
        }
    }
}

extension Registration {
    fileprivate func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("public_identity", publicIdentity)
            json.member("private_identity", privateIdentity)
            json.member("implicit_set", implicitSet)
            json.name("contacts")
            json.array { json in for contact in contacts { contact.write(to: &json) } }
        }
    }
}

extension Registration.Contact {
    fileprivate func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("uri", uri)
            json.member("private_identity", privateIdentity)
            json.member("expires", expires.wholeSeconds)
            json.member("expires_at", expiresAt)
            json.name("q")
            if let q { json.thousandths(Int64(q)) } else { json.null() }
            json.member("path", path)
            json.member("instance", instance)
            json.member("reg_id", regID)
            json.member("gruu", gruu)
            json.member("feature_tags", featureTags)
            json.member("flow", flow)
            json.member("call_id", callID)
            json.member("cseq", sequence)
            json.member("access_network_info", accessNetworkInfo)
            json.member("visited_network_id", visitedNetworkID)
            json.member("charging_id", chargingID)
        }
    }
}
