// `POST /api/send`: one request, as a subscriber or to a node, and the responses to it.

import JSONText
public import SansIO
import SIPMessage

/// What is to be sent, and how. What a request needs and this does not say is filled in.
public struct SendOrder: Sendable, Hashable {
    public enum Way: Sendable, Hashable {
        /// Through the core, as if this subscriber had sent it: its name, or one of its public identities; nil: the one that
        /// From names.
        case asSubscriber(String?)
        /// From the core, straight to an application server or network by its name, or to the contact of a subscriber by the
        /// subscriber's name or public identity.
        case toNode(String)
    }

    public enum Request: Sendable, Hashable {
        /// As it is to stand on the wire; its lines may end in a line feed alone.
        case raw([UInt8])
        /// - Parameter uri: nil: the address of whom it goes to, if that is clear.
        case parts(method: String, uri: String?, headers: [Header], body: [UInt8])
    }

    public struct Header: Sendable, Hashable {
        public var name: String
        public var value: String
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public var way: Way
    public var request: Request
    /// How long a final response is waited for.
    public var patience: TimeSpan

    public init(_ way: Way, _ request: Request, patience: TimeSpan = .seconds(5)) {
        self.way = way
        self.request = request
        self.patience = patience
    }
}

/// A request that was sent, and what came back.
public struct SentRequest: Sendable, Hashable {
    /// As it left.
    public var request: [UInt8]
    /// In the order in which they came, provisional ones too.
    public var responses: [[UInt8]]
    /// Whether the last of them is final.
    public var isAnswered: Bool

    public init(request: [UInt8], responses: [[UInt8]], isAnswered: Bool) {
        self.request = request
        self.responses = responses
        self.isAnswered = isAnswered
    }
}

/// Why nothing was sent.
public enum SendFailure: Error, Sendable, Hashable {
    /// What was asked for is wrong: what it is, what would be right, and the field where it is.
    case invalid(String, field: String?)
    /// It cannot be sent as things are now.
    case unreachable(String, field: String? = nil)
    /// Too much is going on.
    case overloaded
}

struct SendInterface: Sendable {
    let backing: any CoreBacking

    private static let fields = [
        "as", "to", "raw", "raw_base64", "method", "uri", "headers", "body", "body_base64", "wait",
    ]
    /// As long as a transaction takes at most with the usual timers (RFC 3261 §17.1.1.2).
    private static let longestWait = TimeSpan.seconds(32)

    var routes: [Route] {
        let backing = backing
        guard backing.operations.contains(.sending) else { return [] }
        return [
            Route(.post, "/api/send") { call in
                let order = try SendInterface.order(JSONBody(try await call.text(), known: SendInterface.fields))
                do throws(SendFailure) {
                    return try await backing.send(order).answer(to: order)
                } catch {
                    switch error {
                    case .invalid(let text, let field): throw APIError(.badRequest, text, field: field)
                    case .unreachable(let text, let field): throw APIError(.conflict, text, field: field)
                    case .overloaded: throw APIError(.serviceUnavailable, "the core has no room for one more transaction; try again later")
                    }
                }
            }
        ]
    }

    private static func order(_ body: JSONBody) throws(APIError) -> SendOrder {
        let sender = try body.text("as")
        let receiver = try body.text("to")
        if sender != nil, receiver != nil {
            throw APIError(.badRequest, "as and to are both given; send as a subscriber or to a node", field: "to")
        }
        let way = receiver.map { SendOrder.Way.toNode($0) } ?? .asSubscriber(sender)
        let patience = try body.duration("wait", atMost: longestWait) ?? .seconds(5)
        return SendOrder(way, try request(body), patience: patience)
    }

    private static func request(_ body: JSONBody) throws(APIError) -> SendOrder.Request {
        if let raw = try body.octets("raw") {
            for name in ["method", "uri", "headers", "body", "body_base64"] where body[name] != nil {
                throw APIError(.badRequest, "\(name) does not go with raw, which says it all; leave one of them out", field: name)
            }
            return .raw(raw)
        }
        guard let method = try body.text("method") else {
            throw APIError(.badRequest, "there is neither raw nor method; write one, such as \"method\":\"MESSAGE\"", field: "method")
        }
        let content = try body.octets("body") ?? []
        return .parts(method: method, uri: try body.text("uri"), headers: try headers(body), body: content)
    }

    /// An object of names with a value or a list of values, or a list of pairs as messages are shown with.
    private static func headers(_ body: JSONBody) throws(APIError) -> [SendOrder.Header] {
        func fault() -> APIError {
            APIError(
                .badRequest, "headers is no list of headers; write {\"Event\":\"presence\"} or [[\"Event\",\"presence\"]]", field: "headers"
            )
        }
        var found: [SendOrder.Header] = []
        switch body["headers"] {
        case nil: break
        case .object(let members):
            for member in members {
                switch member.value {
                case .text(let text): found.append(.init(member.name, text))
                case .list(let values):
                    for value in values {
                        guard case .text(let text) = value else { throw fault() }
                        found.append(.init(member.name, text))
                    }
                default: throw fault()
                }
            }
        case .list(let pairs):
            for pair in pairs {
                guard case .list(let two) = pair, two.count == 2, case .text(let name) = two[0], case .text(let value) = two[1] else {
                    throw fault()
                }
                found.append(.init(name, value))
            }
        default: throw fault()
        }
        return found
    }
}

extension SentRequest {
    /// The responses; 504 if none of them is final.
    fileprivate func answer(to order: SendOrder) -> Answer {
        var reader = MessageReader()
        var json = JSONWriter()
        json.beginObject()
        if !isAnswered {
            let milliseconds = order.patience.nanoseconds / 1_000_000
            json.member("error", "no final response came within \(milliseconds) ms; see /api/messages for where the request went")
        }
        json.name("request")
        reader.write(request, to: &json)
        json.name("responses")
        json.beginArray()
        for response in responses { reader.write(response, to: &json, asResponse: true) }
        json.endArray()
        json.endObject()
        return Answer(status: isAnswered ? .ok : .gatewayTimeout, body: json.octets)
    }
}
