// The calls of the IM Server's interface.

import SIPMessage
import SansIO

/// Answers the calls with what the backing tells.
struct IMServerInterface: Sendable {
    let backing: any IMServerBacking

    var routes: [Route] {
        let backing = backing
        var routes = [
            Route(.get, "/api/health") { _ in await backing.health().answer },
            Route(.get, "/api/stored", parameters: ["to"]) { call in
                let wanted = try recipient(of: call.query)
                let messages = await backing.storedMessages().filter { wanted == nil || identity($0.to) == wanted }
                return .json { json in
                    json.object { json in
                        json.name("stored")
                        json.array { json in for message in messages { message.write(to: &json) } }
                    }
                }
            },
            Route(.delete, "/api/stored/*") { call in
                guard try await backing.removeStoredMessage(call.arguments[0]) else {
                    throw APIError(.notFound, "there is no stored message \(call.arguments[0]); see /api/stored")
                }
                return .noContent
            },
            Route(.get, "/api/settings/*") { call in
                let identity = try publicIdentity(call.arguments[0])
                guard let settings = await backing.settings(of: identity) else {
                    throw APIError(.notFound, "\(identity) has published no settings; publish some first")
                }
                return .json { settings.write(to: &$0) }
            },
        ]
        if backing.canReset {
            routes.append(
                Route(.post, "/api/reset") { _ in
                    try await backing.reset()
                    return .noContent
                })
        }
        return routes
    }
}

/// The canonical identity of the recipient asked for.
private func recipient(of query: Query) throws(APIError) -> String? {
    guard let text = query.text("to") else { return nil }
    guard let identity = identity(text) else {
        throw APIError(.badRequest, "\(text) is no public identity; write a SIP or tel URI, such as sip:bob@home1.test", field: "to")
    }
    return identity
}

private func identity(_ text: String) -> String? { try? publicIdentity(text) }

extension StoredMessage {
    fileprivate func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("id", id)
            json.member("from", from)
            json.member("to", to)
            json.member("time", time)
            json.member("expires", expires.wholeSeconds)
            json.member("expires_at", expiresAt)
            json.member("content_type", contentType)
            json.member("body", octets: body.span.bytes)
        }
    }
}

extension PublishedSettings {
    fileprivate func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("public_identity", publicIdentity)
            PublishedSettings.write(settings, to: &json)
            json.name("publications")
            json.array { json in
                for publication in publications {
                    json.object { json in
                        json.member("etag", publication.etag)
                        json.member("expires", publication.expires.wholeSeconds)
                        json.member("expires_at", publication.expiresAt)
                        PublishedSettings.write(publication.settings, to: &json)
                    }
                }
            }
        }
    }

    private static func write(_ settings: [Setting], to json: inout JSONWriter) {
        json.name("settings")
        json.object { json in
            for setting in settings {
                json.name(setting.name)
                switch setting.value {
                case .flag(let value): json.boolean(value)
                case .word(let value): json.string(value)
                }
            }
        }
    }
}
