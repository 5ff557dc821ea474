// A request that a running core is asked to send, and what came back.

import JSONText

/// `POST /api/send` of a running core, for a person's eyes.
public struct SentByCore: Sendable {
    /// The responses as they stand, in the order in which they came.
    public let responses: [String]
    /// Of the last response; nil: there was none.
    public let lastStatus: Int?
    /// Why there is no final response; nil: there is one.
    public let fault: String?

    /// Whether there was a final response, and of success.
    public var hasSucceeded: Bool { fault == nil && (lastStatus.map { (200..<300).contains($0) } ?? false) }

    /// Has the core send a request.
    ///
    /// - Parameters:
    ///   - base: of the core, as its ready line has it: `http://127.0.0.1:8080`.
    ///   - order: the JSON of the call.
    ///   - patience: how long the core may take.
    /// - Throws: where it does not answer, or refuses to send.
    public init(base: String, token: String?, order: String, patienceMilliseconds patience: Int) async throws(HTTPCall.Failure) {
        let call = HTTPCall(
            method: "POST", base: base, target: "/api/send", token: token, timeoutMilliseconds: patience + 5000, body: Array(order.utf8))
        let answer = try await call.answer()
        let json = JSON(answer.body)
        guard answer.status == 200 || answer.status == 504, let responses = json?["responses"]?.list else {
            let reason = json?["error"]?.text ?? "it answered \(answer.status)"
            throw HTTPCall.Failure(description: "\(base) does not send it: \(reason)", isRefusal: true)
        }
        self.responses = responses.map { $0["raw"]?.text ?? $0["start_line"]?.text ?? "" }
        lastStatus = responses.last?["status"]?.integer
        fault = json?["error"]?.text
    }
}
