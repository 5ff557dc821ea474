// The calls that show, change and remove subscribers while the core runs. Credentials go in and never come out.

/// A subscriber, or a range of them, as it is shown. Texts of a range have `{name}` where each one's name stands.
public struct ProvisionedSubscriber: Sendable, Hashable {
    /// `alice`, or `u{0000..0999}`.
    public var name: String
    /// `digest`, `aka` or `none`.
    public var authentication: String
    /// The subscriber's own first, then those of further devices.
    public var privateIdentities: [String]
    /// One implicit registration set; the first is the default.
    public var publicIdentities: [String]
    public var applicationServers: [String] = []
    public var serviceProfile: String?
    /// The file of its IMSSubscription document.
    public var profileDocument: String?
    /// Of a range: the names that are gone, or are subscribers of their own.
    public var exceptions: [String]?

    public init(name: String, authentication: String, privateIdentities: [String], publicIdentities: [String]) {
        self.name = name
        self.authentication = authentication
        self.privateIdentities = privateIdentities
        self.publicIdentities = publicIdentities
    }
}

/// Why a subscriber was not changed.
public enum ProvisioningFailure: Error, Sendable, Hashable {
    /// What was sent is wrong: what it is, what would be right, and the field where it is.
    case invalid(String, field: String?)
    /// It does not go with what there is.
    case conflict(String, field: String?)
    /// The change could not be stored, and was not made.
    case notStored(String)
}

struct SubscriberInterface: Sendable {
    let backing: any CoreBacking

    var routes: [Route] {
        let backing = backing
        guard backing.operations.contains(.provisioning) else { return [] }
        return [
            Route(.get, "/api/subscribers") { _ in
                let subscribers = await backing.subscribers()
                return .json { json in
                    json.object { json in
                        json.name("subscribers")
                        json.array { json in for subscriber in subscribers { subscriber.write(to: &json) } }
                    }
                }
            },
            Route(.get, "/api/subscribers/*") { call in
                guard let subscriber = await backing.subscriber(call.arguments[0]) else { throw unknown(call.arguments[0]) }
                return .json { subscriber.write(to: &$0) }
            },
            Route(.put, "/api/subscribers/*") { call in
                let name = call.arguments[0]
                let text = try await call.text()
                let isNew = try await mapped { () throws(ProvisioningFailure) in try await backing.putSubscriber(name, json: text) }
                guard let subscriber = await backing.subscriber(name) else { throw unknown(name) }
                var answer = Answer.json { subscriber.write(to: &$0) }
                answer.status = isNew ? .created : .ok
                return answer
            },
            Route(.delete, "/api/subscribers/*") { call in
                let name = call.arguments[0]
                guard try await mapped({ () throws(ProvisioningFailure) in try await backing.removeSubscriber(name) }) else {
                    throw unknown(name)
                }
                return .noContent
            },
        ]
    }
}

private func unknown(_ name: String) -> APIError {
    APIError(.notFound, "there is no subscriber \(name); see /api/subscribers, or put one")
}

/// What a change gives, or why it was not made, in the statuses of HTTP.
private func mapped(_ change: () async throws(ProvisioningFailure) -> Bool) async throws(APIError) -> Bool {
    do throws(ProvisioningFailure) {
        return try await change()
    } catch {
        throw APIError(error)
    }
}

extension ProvisionedSubscriber {
    fileprivate func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("name", name)
            json.member("authentication", authentication)
            json.member("private_identity", privateIdentities.first)
            json.name("private_identities")
            json.object { json in
                for identity in privateIdentities.dropFirst() {
                    json.name(identity)
                    json.object { _ in }
                }
            }
            json.member("public_identities", publicIdentities)
            json.member("application_servers", applicationServers)
            json.member("service_profile", serviceProfile)
            json.member("profile_xml", profileDocument)
            if let exceptions { json.member("except", exceptions) }
        }
    }
}
