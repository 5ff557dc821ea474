// Header values that several rules look into, as texts.

import SIPMessage
import SansIO

/// Parameters, their names in small letters; a quoted value keeps its quotes.
struct Parameters: Sendable, Hashable {
    private var list: [Parameter] = []

    private struct Parameter: Sendable, Hashable {
        var name: String
        var value: String
    }

    init(_ bytes: RawSpan, _ slice: Slice) {
        var rest = slice
        while let (name, value) = bytes.nextParameter(&rest) {
            list.append(Parameter(name: String(octets: bytes[name]).lowercased(), value: String(octets: bytes[value])))
        }
    }

    /// Nil: it is not there; empty: it has no value.
    subscript(name: String) -> String? { list.first { $0.name == name }?.value }
    var names: [String] { list.map(\.name) }
}

/// A URI, and the same one in a form in which equal identities are equal texts.
struct URIValue: Sendable, Hashable {
    var text: String
    var scheme: SIPURI.Scheme
    var user: String
    var host: String
    var port: UInt16
    var parameters: Parameters
    /// Without port, parameters and headers (TS 23.003 §13.4).
    var identity: String

    init?(_ text: String) {
        let octets = Array(text.utf8)
        guard let uri = octets.span.bytes.uri(Slice(0, octets.count)) else { return nil }
        self.init(octets.span.bytes, uri)
    }

    init(_ bytes: RawSpan, _ uri: SIPURI) {
        text = String(octets: bytes[uri.all])
        scheme = uri.scheme
        user = String(octets: bytes[uri.user])
        host = String(octets: bytes[uri.host]).lowercased()
        port = uri.port
        parameters = Parameters(bytes, uri.parameters)
        var buffer = OctetBuffer(capacity: 128)
        buffer.appendIdentity(uri, in: bytes)
        identity = String(octets: buffer.bytes)
    }

    /// Whether two URIs are equivalent (RFC 3261 §19.1.4).
    func isEquivalent(to other: URIValue) -> Bool {
        let (mine, theirs) = (Array(text.utf8), Array(other.text.utf8))
        guard let uri = mine.span.bytes.uri(Slice(0, mine.count)), let otherURI = theirs.span.bytes.uri(Slice(0, theirs.count)) else {
            return text == other.text
        }
        return mine.span.bytes.isEquivalent(uri, to: otherURI, in: theirs.span.bytes)
    }
}

/// An address: display name, URI, parameters.
struct AddressValue: Sendable, Hashable {
    var uri: URIValue
    var parameters: Parameters
    /// Empty: none.
    var tag: String

    init?(_ text: String) {
        let octets = Array(text.utf8)
        guard let address = octets.span.bytes.nameAddress(Slice(0, octets.count)) else { return nil }
        uri = URIValue(octets.span.bytes, address.uri)
        parameters = Parameters(octets.span.bytes, address.parameters)
        tag = String(octets: octets.span.bytes[address.tag])
    }
}

/// A Via value.
struct ViaValue: Sendable, Hashable {
    /// Host and port as they stand, in small letters.
    var sentBy: String
    var branch: String

    init?(_ text: String) {
        let octets = Array(text.utf8)
        guard let via = octets.span.bytes.via(Slice(0, octets.count)) else { return nil }
        let host = String(octets: octets.span.bytes[via.host]).lowercased()
        sentBy = via.port == 0 ? host : "\(host):\(via.port)"
        branch = String(octets: octets.span.bytes[via.branch])
    }

    /// Whether the branch begins with the cookie (RFC 3261 §8.1.1.7).
    var hasCookie: Bool { branch.lowercased().hasPrefix("z9hg4bk") && branch.utf8.count > 7 }
}

/// A Digest challenge or credentials: each parameter as it stands, and without its quotes.
struct DigestValue: Sendable, Hashable {
    private var pairs: [String: String] = [:]

    /// Nil: it is of another scheme.
    init?(_ text: String) {
        let trimmed = text.drop { $0.isWhitespace }
        guard trimmed.prefix(6).lowercased() == "digest", let space = trimmed.dropFirst(6).first, space.isWhitespace else { return nil }
        for pair in listValues(String(trimmed.dropFirst(7))) {
            guard let equals = pair.firstIndex(of: "=") else { continue }
            let name = pair[..<equals].filter { !$0.isWhitespace }.lowercased()
            let value = pair[pair.index(after: equals)...].drop { $0.isWhitespace }
            if pairs[name] == nil { pairs[name] = String(value) }
        }
    }

    /// As it stands; nil: it is not there.
    func raw(_ name: String) -> String? { pairs[name] }

    func isQuoted(_ name: String) -> Bool { pairs[name]?.first == "\"" }

    /// Without quotes; nil: it is not there.
    subscript(name: String) -> String? {
        guard let value = pairs[name] else { return nil }
        guard value.utf8.count >= 2, value.first == "\"", value.last == "\"" else { return value }
        return String(value.dropFirst().dropLast())
    }
}
