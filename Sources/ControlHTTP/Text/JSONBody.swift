// The JSON object that a call brings along (RFC 8259): its members are asked for one by one, and what nobody asks for is wrong.

import FoundationEssentials
import JSONText
import SansIO

/// The members of a call's JSON object.
struct JSONBody: Sendable {
    private let members: [String: JSON]

    /// - Parameter known: the names of the members that the call takes.
    init(_ text: String, known: [String]) throws(APIError) {
        guard let value = JSON(text.utf8) else {
            throw APIError(.badRequest, "the body is no JSON; send an object such as {\"\(known[0])\":...}")
        }
        guard case .object(let members) = value else {
            throw APIError(.badRequest, "the body is JSON but no object; send one such as {\"\(known[0])\":...}")
        }
        if let name = members.map(\.name).sorted().first(where: { !known.contains($0) }) {
            throw APIError(.badRequest, "there is no field \(name); known are \(known.joined(separator: ", "))", field: name)
        }
        self.members = Dictionary(members.map { ($0.name, $0.value) }) { _, last in last }.filter { $0.value != .null }
    }

    subscript(name: String) -> JSON? { members[name] }

    func text(_ name: String) throws(APIError) -> String? {
        switch members[name] {
        case nil: return nil
        case .text(let text): return text
        default: throw APIError(.badRequest, "\(name) is no text; write it in quotes", field: name)
        }
    }

    /// A text as octets, or what the field with `_base64` behind its name stands for.
    func octets(_ name: String) throws(APIError) -> [UInt8]? {
        let plain = try text(name).map { Array($0.utf8) }
        let other = "\(name)_base64"
        guard let encoded = try text(other) else { return plain }
        guard plain == nil else { throw APIError(.badRequest, "\(name) and \(other) are both given; give one of the two", field: other) }
        guard let data = Data(base64Encoded: encoded) else { throw APIError(.badRequest, "\(other) is no base64 (RFC 4648)", field: other) }
        return Array(data)
    }

    /// A duration as users write it: `700ms`, `2s`.
    func duration(_ name: String, atMost limit: TimeSpan) throws(APIError) -> TimeSpan? {
        guard let text = try text(name) else { return nil }
        return try TimeSpan(text: text, field: name, atMost: limit)
    }
}
