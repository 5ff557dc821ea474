// Public user identities as keys.

public import SIPMessage
import SansIO

/// A public user identity in its canonical form (TS 23.003 §13.4): two spellings of one user are one value.
public struct Identity: Hashable, Sendable, CustomStringConvertible {
    public let octets: [UInt8]

    init(octets: [UInt8]) { self.octets = octets }

    /// nil: the URI's scheme names no user of a SIP network.
    public init?(_ uri: SIPURI, in bytes: RawSpan) {
        var buffer = OctetBuffer(capacity: 128)
        buffer.appendIdentity(uri, in: bytes)
        guard buffer.count > 0 else { return nil }
        octets = [UInt8](buffer.bytes)
    }

    /// nil: not a SIP or tel URI.
    public init?(_ text: String) {
        let octets = Array(text.utf8)
        let bytes = octets.span.bytes
        guard let uri = bytes.uri(Slice(0, octets.count)) else { return nil }
        self.init(uri, in: bytes)
    }

    public var description: String { String(octets: octets.span.bytes) }

    /// Whether it is a SIP identity of this domain, or a telephone number, which belongs to none.
    func isServed(in domain: [UInt8]) -> Bool {
        let bytes = octets.span.bytes
        if octets.starts(with: "tel:".utf8) { return true }
        guard let at = bytes.firstOffset(of: 0x40) else { return false }
        return bytes.part(at + 1, octets.count - at - 1).equalsIgnoringCase(domain.span.bytes)
    }
}

extension Message {
    /// The identities that a list header (P-Asserted-Identity, P-Associated-URI) names.
    func identities(_ name: HeaderName) -> [Identity] {
        var found: [Identity] = []
        let bytes = self.bytes
        forEachValue(name) { value in
            if let address = bytes.nameAddress(value), let identity = Identity(address.uri, in: bytes) { found.append(identity) }
            return true
        }
        return found
    }
}
