// One transaction as a flat value. The four machines share nearly all their fields, so they share one slab: a state is a
// letter, and a change of state is a store.

public import SansIO
import SIPMessage

/// Which of the four machines of RFC 3261 §17 a transaction runs.
public enum TransactionKind: UInt8, BitwiseCopyable, Hashable, Sendable, CaseIterable {
    case inviteServer, nonInviteServer, inviteClient, nonInviteClient

    public var isServer: Bool { self == .inviteServer || self == .nonInviteServer }
    public var name: StaticString {
        switch self {
        case .inviteServer: "invite_server"
        case .nonInviteServer: "non_invite_server"
        case .inviteClient: "invite_client"
        case .nonInviteClient: "non_invite_client"
        }
    }
}

/// The states of all four machines. `trying` is Calling in the INVITE client machine.
public enum TransactionState: UInt8, BitwiseCopyable, Hashable, Sendable, CaseIterable {
    /// A client transaction that has a number but has sent nothing yet.
    case reserved
    case trying, proceeding, completed
    /// INVITE server: the ACK to a non-2xx was seen (§17.2.1).
    case confirmed
    /// INVITE, after a 2xx (RFC 6026).
    case accepted
}

struct Transaction: BitwiseCopyable {
    var kind: TransactionKind
    var state: TransactionState
    var method: Method
    /// Whether a retransmission timer runs: A, E or G.
    var isRetransmitting = false
    /// INVITE client: a CANCEL was asked for; it is sent as soon as a provisional response is there (§9.1).
    var isCancelled = false
    /// Server: of its last response only what does not come from the request is kept (`OwnResponse`).
    var keepsOwnFields = false
    var lastStatus: UInt16 = 0
    /// Where the machine sends: a server its responses, a client its request.
    var flow: Flow
    /// Server: the key under which requests find it. Client: only `low` is used, the secret half of the branch.
    var key: KeyHash
    /// What the layer above keeps with it.
    var user: UInt64 = 0
    /// Server: the last response, or the 100 that will be sent. Client: the request.
    var packet = PacketID.none
    var timer = TimerID.none
    /// The interval of the next retransmission.
    var interval = TimeSpan.zero
    /// When the state's own timer (B, C, D, F, H, I, J, K, L, M) fires.
    var deadline: Instant
    /// INVITE client: its CANCEL's transaction. CANCEL client: the INVITE's.
    var companion = SlotID.none
    /// Client, sent by a stream for its size: the datagram listener to fall back to (255: none).
    var fallbackListener: UInt8 = 255
}

/// A response that is ours from the beginning: where it stands, and what it takes over from its request.
public struct OwnResponse: BitwiseCopyable, Sendable {
    /// Where it begins.
    public var start: Int
    /// Where what `appendResponse` writes ends.
    public var ownFields: Int
    /// The tag that `appendResponse` was given for To.
    public var tag: UInt64

    public init(start: Int, ownFields: Int, tag: UInt64) {
        self.start = start
        self.ownFields = ownFields
        self.tag = tag
    }
}

/// What a received request means to the layer above.
public enum RequestOutcome: BitwiseCopyable, Hashable, Sendable {
    /// A new transaction: the request is to be worked on and answered.
    case new(SlotID)
    /// A retransmission, or an ACK to a non-2xx: dealt with.
    case absorbed
    /// An ACK to a 2xx, or one that belongs to nothing here: it has no transaction and is only forwarded.
    case acknowledgement
    /// A CANCEL, with its own transaction, and the one that it is for, on which it has an effect only if that is an
    /// INVITE's (§9.2); nil: there is none (481).
    case cancel(SlotID, of: SlotID?)
    /// There is no room left for such a request (`Admission.swift`): to be answered 503 without a transaction.
    case overloaded
}

/// What a received response means to the layer above.
public enum ResponseOutcome: BitwiseCopyable, Hashable, Sendable {
    /// For this client transaction, to be passed up.
    case matched(SlotID, user: UInt64)
    /// A retransmission, or one that the machine keeps to itself.
    case absorbed
    /// Belongs to no transaction: never forwarded (RFC 6026 §7.3, RFC 4320 §4.2).
    case stray
}

/// What happened in a transaction without a message coming in.
public enum TransactionEvent: BitwiseCopyable, Hashable, Sendable {
    /// Timer B or F, or no final response after a CANCEL: as if a 408 had come.
    case timedOut(SlotID, user: UInt64)
    /// The transport could not send the request: as if a 503 had come (§17.1.4).
    case transportFailed(SlotID, user: UInt64)
    /// Timer C: the branch is to be cancelled (§16.8).
    case timerC(SlotID, user: UInt64)
    /// A non-INVITE request is worked on for so long that its client must be told: a 100 is due (RFC 4320 §4.1).
    case answerDelayed(SlotID, user: UInt64)
    /// Timer H: the ACK to a final response never came.
    case acknowledgementMissing(SlotID, user: UInt64)
    /// A stream could not be opened for a large request, which went by datagram instead (§18.1.1).
    case fellBack(to: Endpoint)
}
