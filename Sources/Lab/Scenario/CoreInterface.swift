// What a scenario asks of the nodes by HTTP: the core's messages and registrations, the IM Server's stored messages.

/// The control interface of the core.
struct CoreInterface: Sendable {
    /// `http://127.0.0.1:8080`.
    var base: String
    var token: String?

    /// The messages recorded after a sequence number, oldest first; waits this long for the first.
    func messages(since sequence: Int, waitMilliseconds: Int = 0) async throws(HTTPCall.Failure) -> [RecordedMessage] {
        let wait = waitMilliseconds > 0 ? "&wait=\(waitMilliseconds)ms" : ""
        let answer = try await json("/api/messages?since=\(sequence)\(wait)", timeoutMilliseconds: waitMilliseconds + 5000)
        return try list(answer).compactMap(RecordedMessage.init)
    }

    /// The same messages with their octets.
    func octets(since sequence: UInt64) async throws(HTTPCall.Failure) -> [TracedOctets] {
        try list(await json("/api/messages?since=\(sequence)", timeoutMilliseconds: 10_000)).compactMap(TracedOctets.init)
    }

    private func list(_ answer: JSON) throws(HTTPCall.Failure) -> [JSON] {
        guard let messages = answer["messages"]?.array else {
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

    private func json(_ target: String, timeoutMilliseconds: Int) async throws(HTTPCall.Failure) -> JSON {
        let call = HTTPCall(base: base, target: target, token: token, timeoutMilliseconds: timeoutMilliseconds)
        return try await jsonAnswer(to: call)
    }
}

/// The number of off-line messages that an IM Server holds.
/// - Parameter base: of its own HTTP interface.
func storedMessageCount(at base: String) async throws(HTTPCall.Failure) -> Int {
    let answer = try await jsonAnswer(to: HTTPCall(base: base, target: "/api/stored"))
    guard let stored = answer["stored"]?.array else { throw HTTPCall.Failure(description: "\(base)/api/stored gave no list") }
    return stored.count
}

private func jsonAnswer(to call: HTTPCall) async throws(HTTPCall.Failure) -> JSON {
    let answer = try await call.answer()
    guard answer.status == 200, let json = JSON(answer.body) else {
        let reason = JSON(answer.body)?["error"]?.string.map { ": \($0)" } ?? ""
        throw HTTPCall.Failure(description: "\(call.base)\(call.target) answered \(answer.status)\(reason)", isRefusal: true)
    }
    return json
}
