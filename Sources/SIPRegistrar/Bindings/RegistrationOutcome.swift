// What became of a REGISTER.

public import SIPMessage

/// The registrar's answer to a REGISTER.
public enum RegistrationOutcome: BitwiseCopyable, Sendable {
    /// Nothing was changed, for this reason.
    case rejected(RegistrationRefusal)
    /// 200 with the current contacts; nothing was changed: the request names no contact (RFC 3261 §10.2.3), or only wants
    /// gone what is not there.
    case fetched
    /// 200 with the current contacts, once the change is stored.
    case changed(RegistrationChange)
    /// Nothing was changed yet: a contact may be a GRUU or an address of the user, which the caller is to find out, and to ask
    /// again.
    case unchecked
}

/// A change of a subscriber's contacts.
public struct RegistrationChange: BitwiseCopyable, Sendable {
    /// The registration type that filter criteria ask for (TS 29.228 §B.2.2, RegistrationType).
    public enum Kind: UInt8, BitwiseCopyable, Sendable, CaseIterable {
        /// The subscriber had no contact.
        case initial
        /// It had contacts, and not every contact of the request has an interval of zero. A contact that another one
        /// replaces is no deregistration.
        case reregistration
        /// Every contact of the request has an interval of zero, though others may be left.
        case deregistration

        public var name: String {
            switch self {
            case .initial: "initial"
            case .reregistration: "reregistration"
            case .deregistration: "deregistration"
            }
        }
    }

    public var kind: Kind
    /// Contacts that are new, that were known, and that are gone, replaced ones among them.
    public var added: UInt8
    public var refreshed: UInt8
    public var removed: UInt8
    /// The longest interval granted to a contact of this request, in seconds; 0 if none was.
    public var grantedExpires: UInt32
    /// The seconds left to the contact that lasts longest, of all the subscriber has; 0: none is left.
    public var longestExpires: UInt32
    /// Whether any contact is left.
    public var isRegistered: Bool
    /// Whether a contact was bound to its flow, so that the 200 must have `Require: outbound` (RFC 5626 §6).
    public var usesOutbound: Bool
    /// What to hand to `confirm` or `undo`; `.none` of a registrar that keeps no undo.
    public var token: ChangeToken
}

/// Why a REGISTER changes nothing.
public struct RegistrationRefusal: Error, BitwiseCopyable, Sendable {
    public var status: UInt16
    /// The header field at fault, if one is.
    public var header: HeaderName?
    public var reason: Reason
    /// For Min-Expires, in seconds: with 423 only.
    public var minimumExpires: UInt32?

    init(_ status: UInt16, _ header: HeaderName? = nil, _ reason: Reason, minimumExpires: UInt32? = nil) {
        self.status = status
        self.header = header
        self.reason = reason
        self.minimumExpires = minimumExpires
    }

    public enum Reason: UInt8, BitwiseCopyable, Sendable, CaseIterable {
        case malformedContact, contactTooLong, wildcardNotAlone, wildcardWithoutZeroExpires, severalFlows, malformedPath, strictPath
        case noOutboundAtFirstHop, intervalTooBrief, unknownContact, outOfOrder, tooManyContacts, tooManyBindings, contactIsGRUU
        case insecureContact

        /// In words, for a Warning or a log.
        public var text: StaticString {
            switch self {
            case .malformedContact: "malformed Contact"
            case .contactTooLong: "Contact too long"
            case .wildcardNotAlone: "Contact * is valid only alone"
            case .wildcardWithoutZeroExpires: "Contact * asks for Expires: 0"
            case .severalFlows: "more than one Contact with reg-id"
            case .malformedPath: "malformed Path"
            case .strictPath: "Path URI without lr"
            case .noOutboundAtFirstHop: "first hop lacks outbound support"
            case .intervalTooBrief: "interval too brief"
            case .unknownContact: "contact is not registered"
            case .outOfOrder: "CSeq not higher than that of the stored contact"
            case .tooManyContacts: "too many contacts"
            case .tooManyBindings: "registrar is full"
            case .contactIsGRUU: "Contact is the address-of-record or a GRUU of it"
            case .insecureContact: "a SIPS Contact needs SIPS URIs as Request-URI, as all Contacts and in Path"
            }
        }
    }
}
