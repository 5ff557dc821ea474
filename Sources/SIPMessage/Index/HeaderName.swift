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

    /// The number of a name, long or compact, in any case (RFC 3261 §7.3.1, §7.3.3).
    public init(_ name: RawSpan) {
        self = name.byteCount == 1 ? HeaderName.compact(name[0]) : HeaderNameIndex.shared.find(name)
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

/// Names by a hash of their length and three of their letters, made once.
struct HeaderNameIndex: Sendable {
    static let shared = HeaderNameIndex()

    private var table = ContiguousArray<HeaderName>(repeating: .other, count: 512)
    private var texts = ContiguousArray<StaticString>()

    private init() {
        for name in HeaderName.allCases {
            texts.append(name.text)
            guard name != .other else { continue }
            let text = Array(UnsafeRawBufferPointer(start: name.text.utf8Start, count: name.text.utf8CodeUnitCount))
            var i = HeaderNameIndex.hash(text.span.bytes)
            while table[i] != .other { i = (i + 1) & 511 }
            table[i] = name
        }
    }

    func find(_ name: RawSpan) -> HeaderName {
        guard name.byteCount >= 2 else { return .other }
        var i = HeaderNameIndex.hash(name)
        while true {
            let candidate = table[i]
            if candidate == .other { return .other }
            if HeaderNameIndex.isSame(name, texts[Int(candidate.rawValue)]) { return candidate }
            i = (i + 1) & 511
        }
    }

    @inline(__always)
    private static func hash(_ name: RawSpan) -> Int {
        let count = name.byteCount
        let a = Int(name[0] | 0x20)
        let b = Int(name[count - 1] | 0x20)
        let c = Int(name[count / 2] | 0x20)
        return (count &* 37 &+ a &* 5 &+ b &* 67 &+ c &* 131) & 511
    }

    @inline(__always)
    private static func isSame(_ name: RawSpan, _ text: StaticString) -> Bool {
        guard name.byteCount == text.utf8CodeUnitCount else { return false }
        let expected = UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        for i in 0..<name.byteCount where name[i].asciiLowercased != expected[i].asciiLowercased { return false }
        return true
    }
}
