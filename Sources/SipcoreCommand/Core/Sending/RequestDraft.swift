// A request as somebody wrote it, with what it lacks filled in. Via and Content-Length are always ours.

import ControlHTTP
import SIPMessage
import SansIO

/// A request that is to be sent, without Via.
struct RequestDraft: Sendable {
    /// Who sends it, for what it does not say itself.
    struct Origin: Sendable {
        /// For From.
        var identity: String
        /// For Contact: host and port.
        var address: String
        var transport: Transport
    }

    let method: String
    private let uri: String
    private let fields: [SendOrder.Header]
    private let body: [UInt8]
    private let token: String

    var isInvite: Bool { method == "INVITE" }

    /// The request line with its line end.
    var line: [UInt8] { Array("\(method) \(uri) SIP/2.0\r\n".utf8) }

    /// - Parameters:
    ///   - uri: the Request-URI of an order that names none.
    ///   - token: makes Call-ID, tag and branch its own.
    init(_ request: SendOrder.Request, uri: String?, token: String) throws(SendFailure) {
        self.token = token
        switch request {
        case .raw(let octets):
            let text = try RawRequest(octets)
            (method, self.uri, body) = (text.method, text.uri, text.body)
            fields = text.fields
        case .parts(let method, let given, let headers, let body):
            guard let target = given ?? uri else {
                throw .invalid("there is no uri; write whom the request is for, such as \"uri\":\"sip:bob@home1.test\"", field: "uri")
            }
            (self.method, self.uri, self.body) = (method, target, body)
            fields = headers
        }
        try check(field: { if case .raw = request { "raw" } else { $0 } })
    }

    private func check(field: (String) -> String) throws(SendFailure) {
        guard !method.isEmpty, method.utf8.allSatisfy(\.isTokenCharacter) else {
            throw .invalid("\(method) is no method; write one such as MESSAGE", field: field("method"))
        }
        guard method != "ACK", method != "CANCEL" else {
            throw .invalid("\(method) is no request of its own; the ACK or CANCEL of an INVITE is sent with it", field: field("method"))
        }
        guard !uri.isEmpty, uri.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw .invalid("\(uri) is no Request-URI; write one such as sip:bob@home1.test", field: field("uri"))
        }
        for header in fields {
            guard !header.name.isEmpty, header.name.utf8.allSatisfy(\.isTokenCharacter) else {
                throw .invalid("\(header.name) is no header name; write one such as Accept-Contact", field: field("headers"))
            }
            guard !header.value.utf8.contains(where: { $0 == 0x0D || $0 == 0x0A || $0 == 0 }) else {
                throw .invalid("the value of \(header.name) has a line end in it; write it on one line", field: field("headers"))
            }
        }
    }

    /// About how many octets it has on the wire.
    func length(as identity: String) -> Int {
        line.count + rest(from: Origin(identity: identity, address: "127.0.0.1:5060", transport: .udp)).count + 128
    }

    /// All that follows Via: the header fields that were given in their order, then those that are missing, and the body.
    ///
    /// - Parameter routes: Route header fields on the way, used unless some were given.
    func rest(from origin: Origin, routes: [UInt8] = []) -> [UInt8] {
        var text = ""
        for header in fields where !RequestDraft.isOurs(header.name) { text += "\(header.name): \(header.value)\r\n" }
        func fill(_ name: HeaderName, _ value: @autoclosure () -> String) {
            if first(name) == nil { text += "\(name.text): \(value())\r\n" }
        }
        if first(.route) == nil { text += String(decoding: routes, as: UTF8.self) }
        fill(.maxForwards, "70")
        fill(.from, "<\(origin.identity)>;tag=\(token)")
        fill(.to, "<\(method == "REGISTER" ? origin.identity : uri)>")
        fill(.callID, "\(token)@\(origin.address)")
        fill(.cseq, "1 \(method)")
        if RequestDraft.needsContact.contains(method) {
            let parameter = origin.transport == .udp ? "" : ";transport=\(origin.transport.uriName)"
            fill(.contact, "<sip:\(RequestDraft.user(of: origin.identity))\(origin.address)\(parameter)>")
        }
        if !body.isEmpty { fill(.contentType, "text/plain") }
        return Array("\(text)Content-Length: \(body.count)\r\n\r\n".utf8) + body
    }

    /// Those that begin or change a dialog (RFC 3261 §12.1.1, RFC 3311, RFC 6665, RFC 3515).
    private static let needsContact: Set<String> = ["INVITE", "SUBSCRIBE", "NOTIFY", "REFER", "UPDATE"]

    private static func isOurs(_ name: String) -> Bool {
        let octets = Array(name.utf8)
        let name = HeaderName(octets.span.bytes)
        return name == .via || name == .contentLength
    }

    /// `alice@` of `sip:alice@home1.test`; nothing of a telephone number.
    private static func user(of identity: String) -> String {
        guard identity.hasPrefix("sip"), let colon = identity.firstIndex(of: ":"), let at = identity.lastIndex(of: "@") else { return "" }
        return String(identity[identity.index(after: colon)...at])
    }

    /// The first value of a header field that was given.
    func first(_ name: HeaderName) -> String? {
        fields.first { field in
            let octets = Array(field.name.utf8)
            return HeaderName(octets.span.bytes) == name
        }?.value
    }
}

/// A request in octets, in its parts. Its lines may end in a line feed alone, as in a file written by hand.
private struct RawRequest {
    var method: String
    var uri: String
    var fields: [SendOrder.Header] = []
    var body: [UInt8] = []

    init(_ octets: [UInt8]) throws(SendFailure) {
        var rest = octets[...]
        // Empty lines before a request are nothing (RFC 3261 §7.5).
        while let first = rest.first, first == 0x0D || first == 0x0A { rest = rest.dropFirst() }
        var lines: [String] = []
        while !rest.isEmpty {
            let end = rest.firstIndex(of: 0x0A) ?? rest.endIndex
            var line = rest[..<end]
            if line.last == 0x0D { line = line.dropLast() }
            rest = rest[end...].dropFirst()
            if line.isEmpty { break }
            guard let text = String(validating: line, as: UTF8.self) else {
                throw .invalid("line \(lines.count + 1) of the request is not UTF-8", field: "raw")
            }
            lines.append(text)
        }
        body = Array(rest)
        let words = lines.first?.split(separator: " ", omittingEmptySubsequences: false) ?? []
        guard words.count == 3, words[2] == "SIP/2.0" else {
            throw .invalid(
                "the request does not begin with a request line; write one such as MESSAGE sip:bob@home1.test SIP/2.0", field: "raw")
        }
        (method, uri) = (String(words[0]), String(words[1]))
        for (index, line) in lines.enumerated().dropFirst() {
            if line.hasPrefix(" ") || line.hasPrefix("\t"), let last = fields.indices.last {
                fields[last].value += " " + line.trimmingBlanks
                continue
            }
            guard let colon = line.firstIndex(of: ":") else {
                throw .invalid("line \(index + 1) of the request is no header field; write NAME: VALUE", field: "raw")
            }
            fields.append(.init(String(line[..<colon]).trimmingBlanks, String(line[line.index(after: colon)...]).trimmingBlanks))
        }
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        var text = self[...]
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}
