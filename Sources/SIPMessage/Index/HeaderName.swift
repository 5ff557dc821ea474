// The header fields that this code knows by number (RFC 3261 §20 and its extensions), and how a name finds its number.

import SansIO

/// A header field's name. Fields with other names are `.other` and are carried as they are.
public enum HeaderName: UInt8, BitwiseCopyable, Hashable, Sendable, CaseIterable {
    case other
    case via
    case from
    case to
    case callID
    case cseq
    case maxForwards
    case contact
    case route
    case recordRoute
    case contentLength
    case contentType
    case expires
    case authorization
    case proxyAuthorization
    case wwwAuthenticate
    case proxyAuthenticate
    case authenticationInfo
    case path
    case serviceRoute
    case acceptContact
    case rejectContact
    case requestDisposition
    case event
    case supported
    case require
    case proxyRequire
    case unsupported
    case allow
    case allowEvents
    case accept
    case acceptEncoding
    case acceptLanguage
    case contentEncoding
    case contentDisposition
    case contentLanguage
    case mimeVersion
    case minExpires
    case sipETag
    case sipIfMatch
    case subscriptionState
    case pAssertedIdentity
    case pPreferredIdentity
    case pAssociatedURI
    case pServedUser
    case pCalledPartyID
    case pChargingVector
    case pChargingFunctionAddresses
    case pAccessNetworkInfo
    case pVisitedNetworkID
    case pProfileKey
    case privacy
    case userAgent
    case server
    case date
    case warning
    case retryAfter
    case reason
    case subject
    case referTo
    case referredBy
    case sessionExpires
    case minSE
    case identity
    case replaces
    case join
    case rSeq
    case rAck
    case maxBreadth
    case historyInfo
    case timestamp
    case organization
    case priority
    case inReplyTo
    case replyTo
    case alertInfo
    case callInfo
    case errorInfo
    case flowTimer
    case featureCaps
    case securityClient
    case securityVerify
    case conversationID
    case contributionID

    /// One past the highest number: for tables by name.
    @inlinable public static var tableCount: Int { 96 }

    /// The long name, as it is written.
    public var text: StaticString {
        switch self {
        case .other: ""
        case .via: "Via"
        case .from: "From"
        case .to: "To"
        case .callID: "Call-ID"
        case .cseq: "CSeq"
        case .maxForwards: "Max-Forwards"
        case .contact: "Contact"
        case .route: "Route"
        case .recordRoute: "Record-Route"
        case .contentLength: "Content-Length"
        case .contentType: "Content-Type"
        case .expires: "Expires"
        case .authorization: "Authorization"
        case .proxyAuthorization: "Proxy-Authorization"
        case .wwwAuthenticate: "WWW-Authenticate"
        case .proxyAuthenticate: "Proxy-Authenticate"
        case .authenticationInfo: "Authentication-Info"
        case .path: "Path"
        case .serviceRoute: "Service-Route"
        case .acceptContact: "Accept-Contact"
        case .rejectContact: "Reject-Contact"
        case .requestDisposition: "Request-Disposition"
        case .event: "Event"
        case .supported: "Supported"
        case .require: "Require"
        case .proxyRequire: "Proxy-Require"
        case .unsupported: "Unsupported"
        case .allow: "Allow"
        case .allowEvents: "Allow-Events"
        case .accept: "Accept"
        case .acceptEncoding: "Accept-Encoding"
        case .acceptLanguage: "Accept-Language"
        case .contentEncoding: "Content-Encoding"
        case .contentDisposition: "Content-Disposition"
        case .contentLanguage: "Content-Language"
        case .mimeVersion: "MIME-Version"
        case .minExpires: "Min-Expires"
        case .sipETag: "SIP-ETag"
        case .sipIfMatch: "SIP-If-Match"
        case .subscriptionState: "Subscription-State"
        case .pAssertedIdentity: "P-Asserted-Identity"
        case .pPreferredIdentity: "P-Preferred-Identity"
        case .pAssociatedURI: "P-Associated-URI"
        case .pServedUser: "P-Served-User"
        case .pCalledPartyID: "P-Called-Party-ID"
        case .pChargingVector: "P-Charging-Vector"
        case .pChargingFunctionAddresses: "P-Charging-Function-Addresses"
        case .pAccessNetworkInfo: "P-Access-Network-Info"
        case .pVisitedNetworkID: "P-Visited-Network-ID"
        case .pProfileKey: "P-Profile-Key"
        case .privacy: "Privacy"
        case .userAgent: "User-Agent"
        case .server: "Server"
        case .date: "Date"
        case .warning: "Warning"
        case .retryAfter: "Retry-After"
        case .reason: "Reason"
        case .subject: "Subject"
        case .referTo: "Refer-To"
        case .referredBy: "Referred-By"
        case .sessionExpires: "Session-Expires"
        case .minSE: "Min-SE"
        case .identity: "Identity"
        case .replaces: "Replaces"
        case .join: "Join"
        case .rSeq: "RSeq"
        case .rAck: "RAck"
        case .maxBreadth: "Max-Breadth"
        case .historyInfo: "History-Info"
        case .timestamp: "Timestamp"
        case .organization: "Organization"
        case .priority: "Priority"
        case .inReplyTo: "In-Reply-To"
        case .replyTo: "Reply-To"
        case .alertInfo: "Alert-Info"
        case .callInfo: "Call-Info"
        case .errorInfo: "Error-Info"
        case .flowTimer: "Flow-Timer"
        case .featureCaps: "Feature-Caps"
        case .securityClient: "Security-Client"
        case .securityVerify: "Security-Verify"
        case .conversationID: "Conversation-ID"
        case .contributionID: "Contribution-ID"
        }
    }

    /// The long form of a compact name; of any other the name itself.
    public static func long(_ name: String) -> String {
        guard let letter = name.utf8.first, name.utf8.count == 1 else { return name }
        let found = compact(letter)
        return found == .other ? name : "\(found.text)"
    }

    /// The number of a name, long or compact, in any case (RFC 3261 §7.3.1, §7.3.3).
    public init(_ name: RawSpan) {
        self = HeaderName(name, Slice(0, name.byteCount))
    }

    /// The number of a name that stands in a message: comparing it takes whole words, which a message has behind it.
    @inline(__always)
    init(_ bytes: RawSpan, _ name: Slice, in index: HeaderNameIndex = .shared) {
        self = name.count == 1 ? HeaderName.compact(bytes[name.lower]) : index.find(bytes, name)
    }

    private static func compact(_ letter: UInt8) -> HeaderName {
        switch letter.asciiLowercased {
        case 0x61: .acceptContact
        case 0x62: .referredBy
        case 0x63: .contentType
        case 0x64: .requestDisposition
        case 0x65: .contentEncoding
        case 0x66: .from
        case 0x69: .callID
        case 0x6A: .rejectContact
        case 0x6B: .supported
        case 0x6C: .contentLength
        case 0x6D: .contact
        case 0x6F: .event
        case 0x72: .referTo
        case 0x73: .subject
        case 0x74: .to
        case 0x75: .allowEvents
        case 0x76: .via
        case 0x78: .sessionExpires
        case 0x79: .identity
        default: .other
        }
    }
}

/// Names by a hash of their first and last eight octets, made once: in the spelling of the standards, which a look-up takes
/// as it stands and compares in two words, and in small letters for all other spellings.
struct HeaderNameIndex: @unchecked Sendable {
    static let shared = HeaderNameIndex()

    private struct Entry {
        var first: UInt64 = 0
        var last: UInt64 = 0
        var count: UInt32 = 0
        var name = HeaderName.other
    }

    private static let longest = 32
    /// Never given back, since there is one index in a process.
    private let table: UnsafeMutablePointer<Entry>

    private init() {
        table = .allocate(capacity: 512)
        table.initialize(repeating: Entry(), count: 512)
        for name in HeaderName.allCases where name != .other {
            let text = Array(UnsafeRawBufferPointer(start: name.text.utf8Start, count: name.text.utf8CodeUnitCount))
            precondition((2...HeaderNameIndex.longest).contains(text.count), "a name that the index cannot hold")
            insert(text, name)
            insert(text.map(\.asciiLowercased), name)
        }
    }

    private func insert(_ text: [UInt8], _ name: HeaderName) {
        let (first, last) = HeaderNameIndex.ends(text.span.bytes, 0, text.count)
        var place = HeaderNameIndex.place(first, last, text.count)
        while table[place].count != 0 { place = (place + 1) & 511 }
        table[place] = Entry(first: first, last: last, count: UInt32(text.count), name: name)
    }

    func find(_ bytes: RawSpan, _ name: Slice) -> HeaderName {
        let count = Int(name.count)
        guard count >= 2, count <= HeaderNameIndex.longest else { return .other }
        let (first, last) = HeaderNameIndex.ends(bytes, name.lower, name.upper)
        if let found = find(first, last, count, bytes, name.lower) { return found }
        return find(first.asciiLowercased, last.asciiLowercased, count, bytes, name.lower) ?? .other
    }

    @inline(__always)
    private func find(_ first: UInt64, _ last: UInt64, _ count: Int, _ bytes: RawSpan, _ start: Int) -> HeaderName? {
        var place = HeaderNameIndex.place(first, last, count)
        while table[place].count != 0 {
            let found = table[place]
            if found.first == first, found.last == last, Int(found.count) == count,
                count <= 16 || bytes.part(start, count).equalsIgnoringCase(found.name)
            {
                return found.name
            }
            place = (place + 1) & 511
        }
        return nil
    }

    /// The first and the last eight octets, which overlap in a name of less than sixteen.
    @inline(__always)
    private static func ends(_ bytes: RawSpan, _ start: Int, _ end: Int) -> (UInt64, UInt64) {
        let first = bytes.shortWord(from: start, to: end)
        return (first, end - start > 8 ? bytes.word(at: end - 8) : first)
    }

    @inline(__always)
    private static func place(_ first: UInt64, _ last: UInt64, _ count: Int) -> Int {
        let mixed = (first ^ (last << 29 | last >> 35) ^ UInt64(truncatingIfNeeded: count)) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed >> 55)
    }
}

extension RawSpan {
    /// Whether these are the letters of a header's name.
    fileprivate func equalsIgnoringCase(_ name: HeaderName) -> Bool {
        let text = name.text
        return equalsIgnoringCase(RawSpan(_unsafeStart: text.utf8Start, byteCount: text.utf8CodeUnitCount))
    }
}
