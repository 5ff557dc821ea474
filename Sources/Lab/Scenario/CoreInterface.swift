// What a scenario asks of the nodes by HTTP: the core's messages, registrations, faults and clock, the IM Server's stored
// messages.

import JSONText
import Topology

/// The control interface of the core.
struct CoreInterface: Sendable {
    /// `http://127.0.0.1:8080`.
    var base: String
    var token: String?

    /// A clock may have a week of timers to go through.
    private static let advanceMilliseconds = 120_000

    /// The messages recorded after a sequence number, oldest first; waits this long for the first.
    func messages(
        since sequence: Int, waitMilliseconds: Int = 0, limit: Int? = nil
    ) async throws(HTTPCall.Failure) -> [RecordedMessage] {
        let wait = waitMilliseconds > 0 ? "&wait=\(waitMilliseconds)ms" : ""
        let most = limit.map { "&limit=\($0)" } ?? ""
        let answer = try await json("/api/messages?since=\(sequence)\(wait)\(most)", timeoutMilliseconds: waitMilliseconds + 5000)
        return try list(answer).compactMap(RecordedMessage.init)
    }

    private func list(_ answer: JSON) throws(HTTPCall.Failure) -> [JSON] {
        guard let messages = answer["messages"]?.list else {
            throw HTTPCall.Failure(description: "\(base)/api/messages gave no messages")
        }
        return messages
    }

    /// The decision about a request.
    func why(_ sequence: Int) async throws(HTTPCall.Failure) -> JSON {
        try await json("/api/messages/\(sequence)/why", timeoutMilliseconds: 10_000)
    }

    func registrations() async throws(HTTPCall.Failure) -> JSON {
        try await json("/api/registrations", timeoutMilliseconds: 5000)
    }

    /// Any call that changes nothing.
    func get(_ target: String) async throws(HTTPCall.Failure) -> JSON { try await json(target, timeoutMilliseconds: 30_000) }

    // MARK: Steering

    /// Moves a virtual clock by a duration such as `7d`.
    func advance(by duration: String) async throws(HTTPCall.Failure) {
        var call = call("POST", "/api/clock/advance", JSON.members(["by": .text(duration)]).description)
        call.timeoutMilliseconds = CoreInterface.advanceMilliseconds
        call.endsWithTask = true
        _ = try await accepted(call)
    }

    /// Lets all that goes by a virtual clock come to rest, so that what is done next comes after all that was done before.
    func settle() async throws(HTTPCall.Failure) { try await advance(by: "0s") }

    /// Forgets registrations, messages and faults; the next message has the number 1.
    func reset() async throws(HTTPCall.Failure) { _ = try await accepted(call("POST", "/api/reset")) }

    /// - Parameter rule: in JSON.
    /// - Returns: the rule's id.
    func addFault(_ rule: String) async throws(HTTPCall.Failure) -> String {
        let call = call("POST", "/api/faults", rule)
        guard let id = JSON(try await accepted(call).body)?["id"] else {
            throw HTTPCall.Failure(description: "\(base)/api/faults gave the rule no id")
        }
        return id.text ?? id.description
    }

    func removeFault(_ id: String) async throws(HTTPCall.Failure) { _ = try await accepted(call("DELETE", "/api/faults/\(id)")) }

    func removeFaults() async throws(HTTPCall.Failure) { _ = try await accepted(call("DELETE", "/api/faults")) }

    /// How many messages a rule has befallen.
    func hits(ofFault id: String) async throws(HTTPCall.Failure) -> Int {
        let answer = try await json("/api/faults", timeoutMilliseconds: 5000)
        let rule = answer["faults"]?.list?.first { ($0["id"]?.text ?? $0["id"]?.description) == id }
        guard let hits = rule?["hits"]?.integer else {
            throw HTTPCall.Failure(description: "\(base)/api/faults knows no rule \(id)")
        }
        return hits
    }

    // MARK: Calls

    private func call(_ method: String, _ target: String, _ body: String = "") -> HTTPCall {
        var call = HTTPCall(method: method, base: base, target: target, token: token)
        call.body = Array(body.utf8)
        if !body.isEmpty { call.headers = [HTTPCall.Header(name: "Content-Type", value: "application/json")] }
        return call
    }

    private func json(_ target: String, timeoutMilliseconds: Int) async throws(HTTPCall.Failure) -> JSON {
        let call = HTTPCall(base: base, target: target, token: token, timeoutMilliseconds: timeoutMilliseconds)
        return try await jsonAnswer(to: call)
    }
}

/// The number of off-line messages that an IM Server holds.
/// - Parameter base: of its own HTTP interface.
func storedMessageCount(at base: String) async throws(HTTPCall.Failure) -> Int {
    let answer = try await jsonAnswer(to: HTTPCall(base: base, target: "/api/stored"))
    guard let stored = answer["stored"]?.list else { throw HTTPCall.Failure(description: "\(base)/api/stored gave no list") }
    return stored.count
}

private func jsonAnswer(to call: HTTPCall) async throws(HTTPCall.Failure) -> JSON {
    guard let json = JSON(try await accepted(call).body) else {
        throw HTTPCall.Failure(description: "\(call.base)\(call.target) gave no JSON", isRefusal: true)
    }
    return json
}

/// The answer to a call, if it is a success.
private func accepted(_ call: HTTPCall) async throws(HTTPCall.Failure) -> HTTPCall.Answer {
    let answer = try await call.answer()
    guard (200...299).contains(answer.status) else {
        let reason = JSON(answer.body)?["error"]?.text.map { ": \($0)" } ?? ""
        let method = call.method == "GET" ? "" : "\(call.method) "
        throw HTTPCall.Failure(description: "\(method)\(call.base)\(call.target) answered \(answer.status)\(reason)", isRefusal: true)
    }
    return answer
}
