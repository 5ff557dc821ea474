// What a document of registration state (RFC 3680 §5) says of one contact.

import SIPMessage
import SansIO

struct RegistrationReport: Sendable {
    /// What became of the contact that was asked for.
    enum Contact: Sendable, Equatable {
        case notTold
        case goesOn
        /// The network wants to see it refreshed within so many seconds.
        case shortened(UInt32)
        /// Why, in words.
        case ended(String)
    }

    var own = Contact.notTold

    /// - Parameter isOwn: whether a URI in these octets is the contact that is asked for.
    init(_ document: RawSpan, where isOwn: (SIPURI, RawSpan) -> Bool) throws(RegistrationDocument.Fault) {
        for contact in try RegistrationDocument(document).contacts {
            let octets = Array(contact.uri.utf8)
            let bytes = octets.span.bytes
            guard let parsed = bytes.uri(Slice(0, octets.count)), isOwn(parsed, bytes) else { continue }
            note(contact)
        }
    }

    /// The same contact stands under each identity of the set; one that lives under any of them lives.
    private mutating func note(_ contact: RegistrationDocument.Contact) {
        guard !contact.isActive else {
            own = .goesOn
            if contact.event == "shortened", let seconds = contact.expires { own = .shortened(seconds) }
            return
        }
        guard own == .notTold else { return }
        own = .ended(RegistrationReport.words(for: contact.event, retryAfter: contact.retryAfter))
    }

    /// RFC 3680 §4.7.1, TS 24.229 §5.1.1.7.
    private static func words(for event: String, retryAfter: String?) -> String {
        switch event {
        case "deactivated": "deactivated by the network: it may be registered anew at once"
        case "probation": "put on probation by the network: it may be registered anew after \(retryAfter ?? "some") seconds"
        case "rejected": "rejected by the network: it is not to be registered again"
        case "unregistered": "unregistered: another REGISTER of the user took it away"
        case "expired": "expired"
        default: event.isEmpty ? "ended by the network" : event
        }
    }
}
