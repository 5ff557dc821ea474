// A document of registration state (RFC 3680 §5) as its watchers read it.

import SansIO
import XMLTree

struct RegistrationDocument: Sendable {
    /// Why a document cannot be read.
    struct Fault: Error {
        var text: String
    }

    struct Contact: Sendable {
        var id: String
        var uri: String
        var isActive: Bool
        /// Empty: not told.
        var event: String
        var expires: UInt32?
        /// As written.
        var retryAfter: String?
        /// The names of the contact's parameters beyond those of RFC 3261, feature tags among them, in lower case.
        var parameters: [String]
    }

    struct Registration: Sendable {
        var addressOfRecord: String
        /// Whether it stands for all identities that match an expression (TS 24.229 §5.4.2.1.2).
        var isWildcard: Bool
        var contacts: [Contact]
    }

    private static let namespace = "urn:ietf:params:xml:ns:reginfo"

    /// Whether it tells all, and not only what has changed.
    var isFull: Bool
    /// Rises by one with each document of a subscription; nil: not a number.
    var version: UInt64?
    var registrations: [Registration]

    init(_ document: RawSpan) throws(Fault) {
        let root: XMLElement
        do {
            root = try XMLTree.parse([UInt8](document), limits: XMLLimits(bytes: 1 << 18, depth: 16, nodes: 16_384))
        } catch {
            throw Fault(text: error.description)
        }
        guard root.name == "reginfo", root.namespace == RegistrationDocument.namespace else {
            throw Fault(text: "the root element is not reginfo of \(RegistrationDocument.namespace)")
        }
        isFull = root.attribute("state") != "partial"
        version = root.attribute("version").flatMap { UInt64($0) }
        registrations = root.elements("registration", namespace: RegistrationDocument.namespace).map { Registration($0) }
    }

    var contacts: some Sequence<Contact> { registrations.lazy.flatMap(\.contacts) }

    fileprivate static func elements(_ name: String, of element: XMLElement) -> [XMLElement] {
        element.elements(name, namespace: namespace)
    }
}

extension RegistrationDocument.Registration {
    fileprivate init(_ element: XMLElement) {
        addressOfRecord = element.attribute("aor") ?? ""
        isWildcard = element.element("wildcardedIdentity", namespace: "urn:3gpp:ns:extRegExp:1.0") != nil
        contacts = RegistrationDocument.elements("contact", of: element).map { RegistrationDocument.Contact($0) }
    }
}

extension RegistrationDocument.Contact {
    fileprivate init(_ element: XMLElement) {
        id = element.attribute("id") ?? ""
        uri = RegistrationDocument.elements("uri", of: element).first?.trimmedText ?? ""
        isActive = element.attribute("state") == "active"
        event = element.attribute("event") ?? ""
        expires = element.attribute("expires").flatMap { UInt32($0) }
        retryAfter = element.attribute("retry-after")
        parameters = RegistrationDocument.elements("unknown-param", of: element).compactMap { $0.attribute("name")?.lowercased() }
    }
}
