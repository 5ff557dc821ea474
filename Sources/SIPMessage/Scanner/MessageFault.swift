// Why a message cannot be taken as it is.

public import SansIO

/// A fault of a message: the status that answers it, the header at fault, and the reason in words.
public struct MessageFault: Error, BitwiseCopyable, Sendable {
    /// The status of the answer: 400 if nothing better fits (RFC 3261 §21.4).
    public var status: UInt16
    /// The header field at fault; nil: the start line or the body.
    public var header: HeaderName?
    /// For the Warning header, the log and the counter; what is wrong in a few words.
    public var reason: Reason

    public init(_ status: UInt16 = 400, _ header: HeaderName? = nil, _ reason: Reason) {
        self.status = status
        self.header = header
        self.reason = reason
    }

    public enum Reason: UInt8, BitwiseCopyable, Sendable, CaseIterable {
        case empty, startLine, version, requestURI, scheme, headerLine, tooManyFields, tooLong, headerEnd, missing, repeated, malformed
        case outOfRange, methodMismatch, contentLength, shortBody, tooLarge, tooManyValues, longRequestURI

        public var text: StaticString {
            switch self {
            case .empty: "no message"
            case .startLine: "malformed start line"
            case .version: "unsupported SIP version"
            case .requestURI: "malformed Request-URI"
            case .scheme: "unsupported URI scheme"
            case .headerLine: "malformed header line"
            case .tooManyFields: "too many header fields"
            case .tooLong: "header field too long"
            case .headerEnd: "no end of the header fields"
            case .missing: "missing"
            case .repeated: "given more than once"
            case .malformed: "malformed"
            case .outOfRange: "value out of range"
            case .methodMismatch: "method differs from the request's"
            case .contentLength: "not a length"
            case .shortBody: "more than the body has"
            case .tooLarge: "message too large"
            case .tooManyValues: "too many values"
            case .longRequestURI: "Request-URI too long"
            }
        }
    }
}

extension MessageFault {
    /// What it is where a message came over a stream: with less than Content-Length says it was cut off at the largest size.
    public func onStream(_ isStream: Bool) -> MessageFault {
        isStream && reason == .shortBody ? MessageFault(513, nil, .tooLarge) : self
    }
}

extension OctetBuffer {
    /// `Missing CSeq`, `Malformed To`: the reason phrase that names the header.
    public mutating func append(_ fault: MessageFault) {
        switch (fault.reason, fault.header) {
        case (.missing, let header?):
            append("Missing ")
            append(header.text)
        case (.malformed, let header?):
            append("Malformed ")
            append(header.text)
        case (let reason, let header?):
            append(header.text)
            append(": ")
            append(reason.text)
        case (let reason, nil):
            append(reason.text)
        }
    }
}

/// The most that a message may hold. Past a limit it is answered, never cut.
public enum MessageLimit {
    /// Octets of a whole message.
    public static let message = 65_535
    /// Header fields, and octets of one of them.
    public static let fields = 256
    public static let fieldLength = 8192
    /// Octets of a URI that is routed by or stored.
    public static let uri = 2048
    /// Via values.
    public static let vias = 128
}
