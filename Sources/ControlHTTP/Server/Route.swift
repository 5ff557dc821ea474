// What is served: the routes of an interface, what they answer, and what they answer when something is wrong.

/// A way to call: a method and a path, in which `*` stands for any one segment.
struct Route: Sendable {
    enum Method: String {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case delete = "DELETE"
    }

    let method: Method
    let path: [String]
    /// The query parameters that it knows.
    let parameters: [String]
    /// Whether it is answered without a token too: it shows nothing of what the core knows.
    let isOpen: Bool
    let answer: @Sendable (Call) async throws -> Answer

    init(
        _ method: Method, _ path: String, parameters: [String] = [], isOpen: Bool = false,
        answer: @escaping @Sendable (Call) async throws -> Answer
    ) {
        self.method = method
        self.path = path.split(separator: "/").map(String.init)
        self.parameters = parameters
        self.isOpen = isOpen
        self.answer = answer
    }

    func matches(_ segments: [String]) -> Bool {
        segments.count == path.count && zip(path, segments).allSatisfy { $0 == "*" || $0 == $1 }
    }

    func arguments(in segments: [String]) -> [String] { zip(path, segments).compactMap { $0 == "*" ? $1 : nil } }
}

/// The statuses that occur (RFC 9110 §15).
enum Status: Int {
    case ok = 200
    case created = 201
    case noContent = 204
    case notModified = 304
    case badRequest = 400
    case unauthorized = 401
    case forbidden = 403
    case notFound = 404
    case methodNotAllowed = 405
    case conflict = 409
    case contentTooLarge = 413
    case internalServerError = 500
    case serviceUnavailable = 503
    case gatewayTimeout = 504
}

/// An answer with a body, or without.
struct Answer: Sendable {
    var status = Status.ok
    var contentType = "application/json"
    var body: [UInt8] = []
    /// The methods that a path has, if the one used is none of them.
    var allowed: [String] = []
    /// Further header fields, also in place of ordinary ones.
    var headers: [(name: String, value: String)] = []
    /// Whether the connection ends with this answer.
    var closesConnection = false
    /// Writes a body that is not there at once, in place of `body`.
    var stream: (@Sendable (inout BodyWriter) async throws -> Void)?

    static let noContent = Answer(status: .noContent)

    static func json(_ body: (inout JSONWriter) -> Void) -> Answer {
        var writer = JSONWriter()
        body(&writer)
        return Answer(body: writer.octets)
    }
}

/// What is wrong with a call, and what would be right.
struct APIError: Error {
    var status: Status
    var text: String
    /// The parameter at fault.
    var field: String?
    var allowed: [String] = []

    init(_ status: Status, _ text: String, field: String? = nil) {
        self.status = status
        self.text = text
        self.field = field
    }

    var answer: Answer {
        var answer = Answer.json { json in
            json.object { json in
                json.member("error", text)
                if let field { json.member("field", field) }
            }
        }
        answer.status = status
        answer.allowed = allowed
        return answer
    }
}
