// `lab.http`: what a test may ask of a running lab. Routing and rules; the server is `LabServer`.

import JSONText
import Topology

/// A request to the lab's interface, as far as it matters.
struct LabRequest: Sendable {
    var method: String
    /// With the query, percent-encoded.
    var path: String
    var host: String?
    var origin: String?
    var authorization: String?
    var body: [UInt8] = []
}

struct LabResponse: Sendable, Equatable {
    var status: Int
    var body: JSON
    /// Of a 405: the method that is allowed.
    var allow: String?

    static func error(_ status: Int, _ text: String, field: String? = nil) -> LabResponse {
        LabResponse(status: status, body: .members(["error": .text(text), "field": field.map(JSON.text)]))
    }
}

/// Answers requests.
struct LabInterface: Sendable {
    let supervisor: Supervisor
    /// Where it is served.
    let address: HostAndPort
    /// Asked for as a bearer token, if there is one.
    let token: String?
    /// The default public identity of a subscriber.
    let identity: @Sendable (String) -> String?
    /// Of this program.
    let version: String
    let began: ContinuousClock.Instant
    /// Lets the nodes come to rest after a client's command, where their time moves only when it is told to.
    var settle: @Sendable () async -> Void = {}

    func respond(to request: LabRequest) async -> LabResponse {
        if let refusal = refusal(of: request) { return refusal }
        let path = request.path.prefix { $0 != "?" }.split(separator: "/").map { percentDecoded($0) }
        guard path.count >= 2, path[0] == "api" else { return .error(404, "there is no \(request.path); try /api/nodes") }
        switch (path[1], path.count) {
        case ("health", 2): return await allowing("GET", request) { health() }
        case ("nodes", 2): return await allowing("GET", request) { await nodes() }
        case ("nodes", 4) where path[3] == "stop" || path[3] == "start":
            return await allowing("POST", request) { await path[3] == "stop" ? stop(path[2]) : start(path[2]) }
        case ("clients", 3): return await allowing("POST", request) { await drive(path[2], request.body) }
        default: return .error(404, "there is no \(request.path); try /api/nodes")
        }
    }

    // MARK: Who may ask

    /// Any page in a browser can send requests here; its Origin, or the Host of a rebound name, gives it away.
    private func refusal(of request: LabRequest) -> LabResponse? {
        guard let host = request.host, isOurs(host) else { return .error(403, "the Host is not ours; ask for http://\(address)") }
        if let origin = request.origin, !isOurs(withoutScheme(origin)) || !origin.hasPrefix("http://") {
            return .error(403, "requests from the origin \(origin) are not answered")
        }
        guard let token else { return nil }
        let words = request.authorization?.split(separator: " ") ?? []
        guard words.count == 2, words[0].lowercased() == "bearer", equalInConstantTime(String(words[1]), token) else {
            return .error(401, "the bearer token is missing or wrong; send Authorization: Bearer with lab.http_token")
        }
        return nil
    }

    private func isOurs(_ authority: String) -> Bool {
        guard let asked = HostAndPort(authority) ?? HostAndPort(authority + ":80"), asked.port == address.port else { return false }
        if asked.host == address.host { return true }
        if address.isLoopback { return asked.isLoopback }
        // Names can be rebound, addresses cannot.
        return address.isWildcard && asked.isAddress
    }

    // MARK: What it does

    private func allowing(_ method: String, _ request: LabRequest, _ answer: () async -> LabResponse) async -> LabResponse {
        guard request.method == method else {
            var refusal = LabResponse.error(405, "\(request.method) is not for \(request.path); use \(method)")
            refusal.allow = method
            return refusal
        }
        return await answer()
    }

    private func health() -> LabResponse {
        LabResponse(
            status: 200,
            body: .members([
                "role": .text("lab"), "version": .text(version),
                "uptime": .number(Double((ContinuousClock.now - began).milliseconds) / 1000),
                "listeners": .list([.text("http://\(address)")]),
            ]))
    }

    private func nodes() async -> LabResponse {
        LabResponse(status: 200, body: .members(["nodes": .list(await supervisor.statuses().map(\.json))]))
    }

    private func stop(_ name: String) async -> LabResponse {
        await changing(name) { () throws(NodeFailure) in try await supervisor.stop(name) }
    }

    private func start(_ name: String) async -> LabResponse {
        await changing(name) { () throws(NodeFailure) in try await supervisor.start(name) }
    }

    private func changing(_ name: String, _ change: () async throws(NodeFailure) -> Void) async -> LabResponse {
        guard await supervisor.status(of: name) != nil else { return .error(404, "the lab starts no node \(name); see /api/nodes") }
        do throws(NodeFailure) { try await change() } catch { return .error(409, error.description) }
        return LabResponse(status: 200, body: await supervisor.status(of: name)?.json ?? .null)
    }

    private func drive(_ name: String, _ body: [UInt8]) async -> LabResponse {
        guard await supervisor.role(of: name) == .client else { return .error(404, "the lab starts no client \(name); see /api/nodes") }
        guard let object = JSON(body), case .object(let members) = object else {
            return .error(400, "the body is no JSON object; send {\"do\":\"register\"}")
        }
        if let unknown = members.first(where: { $0.name != "do" }) {
            return .error(400, "there is no field \(unknown.name); send {\"do\":\"register\"}", field: unknown.name)
        }
        guard let line = object["do"]?.text, !line.trimmed.isEmpty, !line.contains(where: \.isNewline) else {
            return .error(400, "do is not one line of text; send {\"do\":\"register\"}", field: "do")
        }
        let outcome = await supervisor.perform(ClientVerb(line).naming(identity), on: name)
        await settle()
        switch outcome {
        case .done(let event), .refused(let event): return LabResponse(status: 200, body: event)
        case .silent(speaksLines: true): return .error(504, "\(name) printed no event that answers '\(line)' within 5 s")
        case .silent(speaksLines: false): return .error(409, "\(name) prints no JSON Lines, so it cannot be driven")
        case .notRunning(let reason): return .error(409, "\(name): \(reason)")
        }
    }
}

extension NodeStatus {
    var json: JSON {
        .members([
            "name": .text(name), "role": .text(role.rawValue), "state": .text(state), "pid": pid.map { .integer(Int64($0)) },
            "ready": readyLine,
        ])
    }
}

extension HostAndPort {
    /// An address, no name.
    var isAddress: Bool { host.contains(":") || host.allSatisfy { $0 == "." || ("0"..."9").contains($0) } }
}

private func percentDecoded(_ text: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "%"), rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
            bytes.append(value)
            rest = rest.dropFirst(2)
        } else {
            bytes.append(byte)
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}

private func equalInConstantTime(_ one: String, _ other: String) -> Bool {
    let (left, right) = (Array(one.utf8), Array(other.utf8))
    guard left.count == right.count else { return false }
    return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
}
