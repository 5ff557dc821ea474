// What one transaction of a load is, and what must be seen before it counts.

/// What of a transaction has been seen.
public struct Milestones: OptionSet, BitwiseCopyable, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A 401 or 407 that was answered.
    public static let challenged = Milestones(rawValue: 1)
    /// The final answer to the first request, or to the one with credentials.
    public static let answered = Milestones(rawValue: 2)
    /// The request, or its third-party REGISTER, at the application server.
    public static let atServer = Milestones(rawValue: 4)
    /// The request at the called UE.
    public static let atCalled = Milestones(rawValue: 8)
    /// The ACK of a call at the called UE.
    public static let acknowledged = Milestones(rawValue: 16)
    /// The BYE of a call at the called UE.
    public static let hungUp = Milestones(rawValue: 32)
    /// The answer to the BYE.
    public static let ended = Milestones(rawValue: 64)
}

/// A kind of transaction.
public enum LoadMode: UInt8, CaseIterable, BitwiseCopyable, Hashable, Sendable {
    /// OPTIONS to the home domain, 200.
    case options
    /// REGISTER of a user who was not registered before (as long as users last), 200 with the contact.
    case register
    /// REGISTER that refreshes a binding: same Call-ID, CSeq up (RFC 3261 §10.2.4).
    case reregister
    /// REGISTER, 401, REGISTER with credentials (RFC 2617, MD5 and qop auth), 200. The other modes answer a challenge to
    /// a REGISTER too; this one asks for it.
    case registerAuth
    /// PUBLISH of a registered user that asks for the feature tag of IM, seen at the application server, 200 with SIP-ETag.
    case publish
    /// MESSAGE to a registered user, seen at the called UE, 200.
    case message
    /// REGISTER, 200, and the third-party REGISTER for the user at the application server (TS 24.229 §5.4.1.7).
    case thirdPartyRegister
    /// INVITE, 180, 200, ACK, BYE, 200 along the route set that the proxy recorded (RFC 3261 §12, §13, §15).
    case call

    /// What must have been seen for a transaction to be one that succeeded.
    public var required: Milestones {
        switch self {
        case .options, .register, .reregister: [.answered]
        case .registerAuth: [.challenged, .answered]
        case .publish: [.atServer, .answered]
        case .message: [.atCalled, .answered]
        case .thirdPartyRegister: [.answered, .atServer]
        case .call: [.atCalled, .answered, .acknowledged, .hungUp, .ended]
        }
    }

    /// Whether its request is a REGISTER.
    public var registers: Bool {
        switch self {
        case .register, .reregister, .registerAuth, .thirdPartyRegister: true
        case .options, .publish, .message, .call: false
        }
    }

    /// Whether its users are registered before the load begins.
    public var needsRegisteredUsers: Bool {
        switch self {
        case .reregister, .publish, .message, .call: true
        case .options, .register, .registerAuth, .thirdPartyRegister: false
        }
    }

    /// The word for it on the command line and in reports.
    public var name: String {
        switch self {
        case .options: "options"
        case .register: "register"
        case .reregister: "reregister"
        case .registerAuth: "register-auth"
        case .publish: "publish"
        case .message: "message"
        case .thirdPartyRegister: "third-party-register"
        case .call: "call"
        }
    }

    /// The mode of a word; nil: there is none.
    public init?(name: some StringProtocol) {
        guard let mode = LoadMode.allCases.first(where: { $0.name == name }) else { return nil }
        self = mode
    }
}
