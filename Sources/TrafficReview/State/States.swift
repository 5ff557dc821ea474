// What the ledger keeps of registrations, publications and challenges.

import SIPMessage
import SansIO

/// A contact that the core has accepted.
struct RegistrationState {
    let exchange: Exchange
    let contact: AddressValue
    /// When it ends by what was granted; nil: the answer does not say.
    let end: WallTime?
    /// Whether it was a deregistration.
    let isGone: Bool
    let serviceRoute: [String]

    init(_ exchange: Exchange, _ response: ReadMessage, _ contact: AddressValue) {
        self.exchange = exchange
        self.contact = contact
        serviceRoute = response.values(.serviceRoute)
        let own = response.addresses(.contact).first { $0.uri.isEquivalent(to: contact.uri) }
        let granted = (own?.parameters["expires"] ?? response.value(.expires)).flatMap { UInt64($0) }
        let asked = (contact.parameters["expires"] ?? exchange.request.value(.expires)).flatMap { UInt64($0) }
        isGone = asked == 0 || own == nil
        end = isGone ? response.observed.time : granted.map { response.observed.time + .seconds(Int(min($0, 1 << 31))) }
    }

    var request: ReadMessage { exchange.request }
}

/// A publication, by its entity tag.
struct PublishedState {
    enum End: Equatable {
        /// Another tag took its place, or it was removed: the number of the answer that said so.
        case replaced(UInt64)
        /// The core or the server said 412.
        case refused(UInt64)
    }

    let tag: String
    let request: ReadMessage
    let expires: WallTime
    /// nil: it lives.
    var end: End?
}

/// In which header fields a challenge and its credentials stand.
enum HeaderKind {
    case www, proxy

    var challenge: HeaderName { self == .www ? .wwwAuthenticate : .proxyAuthenticate }
    var credentials: HeaderName { self == .www ? .authorization : .proxyAuthorization }
}

/// What a nonce was given with.
struct Challenge {
    let kind: HeaderKind
    var offers: [DigestValue] = []
    /// The highest nonce count of each user name.
    var counts: [String: UInt32] = [:]

    /// The offer that credentials answer: that of their algorithm, else the first.
    func offer(for credentials: DigestValue) -> DigestValue? {
        offers.first { ($0["algorithm"] ?? "MD5").lowercased() == (credentials["algorithm"] ?? "MD5").lowercased() } ?? offers.first
    }
}

extension ReadMessage {
    /// Whether what stands in a request is written by IMS UEs only: their feature tags and their P-headers.
    var showsIMS: Bool {
        if has(.pPreferredIdentity) || has(.pAccessNetworkInfo) || has(.securityClient) { return true }
        let tags = (values(.contact) + values(.acceptContact)).joined(separator: ";").lowercased()
        return tags.contains("+g.oma.") || tags.contains("+g.3gpp.") || tags.contains("+g.poc.")
    }

    /// The credentials of a kind; nil: there are none, or of another scheme.
    func credentials(_ kind: HeaderKind) -> DigestValue? { value(kind.credentials).flatMap { DigestValue($0) } }
}
