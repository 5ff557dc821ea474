// Request methods (RFC 3261 §7.1 and its extensions). A method's name has case; unknown ones are legal.

import SansIO

public enum Method: UInt8, BitwiseCopyable, Hashable, Sendable, CaseIterable {
    case other
    case invite, ack, bye, cancel, register, options, publish, message, subscribe, notify, refer, info, update, prack

    public init(_ name: RawSpan) {
        self = Method.candidate(name)
    }

    /// The name as it is written; empty for `.other`.
    public var text: StaticString {
        switch self {
        case .other: ""
        case .invite: "INVITE"
        case .ack: "ACK"
        case .bye: "BYE"
        case .cancel: "CANCEL"
        case .register: "REGISTER"
        case .options: "OPTIONS"
        case .publish: "PUBLISH"
        case .message: "MESSAGE"
        case .subscribe: "SUBSCRIBE"
        case .notify: "NOTIFY"
        case .refer: "REFER"
        case .info: "INFO"
        case .update: "UPDATE"
        case .prack: "PRACK"
        }
    }

    /// Whether a request outside of a dialog may open one, so that a proxy that wants to stay puts a Record-Route in.
    @inlinable public var formsDialog: Bool { self == .invite || self == .subscribe || self == .refer }

    private static func candidate(_ name: RawSpan) -> Method {
        guard name.byteCount >= 3 else { return .other }
        let method: Method =
            switch (name[0], name.byteCount) {
            case (0x49, 6): .invite
            case (0x49, 4): .info
            case (0x41, 3): .ack
            case (0x42, 3): .bye
            case (0x43, 6): .cancel
            case (0x52, 8): .register
            case (0x52, 5): .refer
            case (0x4F, 7): .options
            case (0x50, 7): .publish
            case (0x50, 5): .prack
            case (0x4D, 7): .message
            case (0x53, 9): .subscribe
            case (0x4E, 6): .notify
            case (0x55, 6): .update
            default: .other
            }
        return method != .other && name.equals(method.text) ? method : .other
    }
}
