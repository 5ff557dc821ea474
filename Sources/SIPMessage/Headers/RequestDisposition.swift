// Request-Disposition (RFC 3841 §9.1): what the caller asks of proxies.

import SansIO

/// The directives of a request; one that is not known says nothing.
public struct RequestDisposition: OptionSet, BitwiseCopyable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Whether the request should be proxied, or the caller redirected.
    public static let proxy = RequestDisposition(rawValue: 1)
    public static let redirect = RequestDisposition(rawValue: 1 << 1)
    /// Whether the other branches should be cancelled when one has answered.
    public static let cancel = RequestDisposition(rawValue: 1 << 2)
    public static let noCancel = RequestDisposition(rawValue: 1 << 3)
    /// Whether it may go to several contacts.
    public static let fork = RequestDisposition(rawValue: 1 << 4)
    public static let noFork = RequestDisposition(rawValue: 1 << 5)
    /// Whether a proxy should follow redirections itself.
    public static let recurse = RequestDisposition(rawValue: 1 << 6)
    public static let noRecurse = RequestDisposition(rawValue: 1 << 7)
    /// Whether contacts should be tried together or one after the other.
    public static let parallel = RequestDisposition(rawValue: 1 << 8)
    public static let sequential = RequestDisposition(rawValue: 1 << 9)
    /// Whether the request may wait for a callee who is busy.
    public static let queue = RequestDisposition(rawValue: 1 << 10)
    public static let noQueue = RequestDisposition(rawValue: 1 << 11)
}

extension Message {
    /// All directives of Request-Disposition, over all its lines.
    public var requestDisposition: RequestDisposition {
        var disposition: RequestDisposition = []
        forEachValue(.requestDisposition) { value in
            disposition.formUnion(RequestDisposition(directive: bytes[value]))
            return true
        }
        return disposition
    }
}

extension RequestDisposition {
    /// One directive, in any case.
    init(directive word: RawSpan) {
        var found: RequestDisposition = []
        if word.equalsIgnoringCase("proxy") { found = .proxy }
        if word.equalsIgnoringCase("redirect") { found = .redirect }
        if word.equalsIgnoringCase("cancel") { found = .cancel }
        if word.equalsIgnoringCase("no-cancel") { found = .noCancel }
        if word.equalsIgnoringCase("fork") { found = .fork }
        if word.equalsIgnoringCase("no-fork") { found = .noFork }
        if word.equalsIgnoringCase("recurse") { found = .recurse }
        if word.equalsIgnoringCase("no-recurse") { found = .noRecurse }
        if word.equalsIgnoringCase("parallel") { found = .parallel }
        if word.equalsIgnoringCase("sequential") { found = .sequential }
        if word.equalsIgnoringCase("queue") { found = .queue }
        if word.equalsIgnoringCase("no-queue") { found = .noQueue }
        self = found
    }
}
