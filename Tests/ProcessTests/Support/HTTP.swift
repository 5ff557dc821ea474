// What a test asks of a control interface.

import Foundation
import Testing

struct HTTPAnswer {
    let status: Int
    let body: String

    func decoded<Value: Decodable>(_ type: Value.Type) throws -> Value { try JSONDecoder().decode(type, from: Data(body.utf8)) }
}

/// The server went away in the middle of an answer.
struct HalfAnAnswer: Error {
    let text: String
}

func http(_ method: String = "GET", _ path: String, port: UInt16, body: String = "") async throws -> HTTPAnswer {
    let connection = try StreamPeer(to: port)
    try await connection.sendAll(
        "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    let text = String(decoding: try await connection.receivedUntilClosed(), as: UTF8.self)
    let words = text.prefix { $0 != "\r\n" }.split(separator: " ", maxSplits: 2)
    guard let head = text.firstRange(of: "\r\n\r\n"), words.count > 1, let status = Int(words[1]) else { throw HalfAnAnswer(text: text) }
    let isChunked = text[..<head.lowerBound].lowercased().contains("transfer-encoding: chunked")
    let payload = text[head.upperBound...]
    return HTTPAnswer(status: status, body: isChunked ? dechunked(payload) : String(payload))
}

private func dechunked(_ text: Substring) -> String {
    var rest = Array(text.utf8)[...]
    var body: [UInt8] = []
    while let end = rest.firstIndex(of: 0x0d), let count = Int(String(decoding: rest[..<end], as: UTF8.self), radix: 16), count > 0 {
        rest = rest[end...].dropFirst(2)
        body += rest.prefix(count)
        rest = rest.dropFirst(count + 2)
    }
    return String(decoding: body, as: UTF8.self)
}

/// The value of one sample of /metrics; nil: there is none.
func metric(_ sample: String, port: UInt16) async throws -> Double? {
    let answer = try await http("/metrics", port: port)
    return answer.body.split(separator: "\n").first { $0.hasPrefix(sample + " ") }.flatMap { Double($0.dropFirst(sample.utf8.count + 1)) }
}

private func http(_ path: String, port: UInt16) async throws -> HTTPAnswer { try await http("GET", path, port: port) }

/// `GET /api/registrations`
struct Registrations: Decodable {
    let registrations: [Registration]

    struct Registration: Decodable {
        let public_identity: String
        let contacts: [Contact]
    }
    struct Contact: Decodable {
        let uri: String
    }
}

/// `GET /api/messages`
struct Messages: Decodable {
    let messages: [Message]

    struct Message: Decodable {
        let sequence: Int
        let direction: String
        let transport: String
        let start_line: String
        let method: String
        let status: Int?
        /// The name of the node at the other end.
        let peer: String?
        /// What a fault rule did to it.
        let fault: String?
        let body: String?
        let raw: String?
    }
    /// What `since` is to be for what comes after these.
    let next: Int
}

/// `GET /api/findings`
struct Findings: Decodable {
    let findings: [Finding]

    struct Finding: Decodable {
        let sequence: Int
        let node: String
        let severity: String
        let rule: String
        let text: String
    }
}

/// Holds what the peers of a core have sent against the rules of `sipcore lint`.
///
/// - Parameter known: the rules that they break, each with what they do: those and no others are broken.
func expectFindings(_ known: [String: String] = [:], at core: RunningCore) async throws {
    #expect(try await http("GET", "/api/messages?direction=in&limit=1", port: core.http).body.contains("\"raw\""))
    let answer = try await http("GET", "/api/findings?limit=100000", port: core.http)
    let findings = try answer.decoded(Findings.self).findings
    #expect(Set(findings.map(\.rule)) == Set(known.keys), "\(answer.body)")
}
