// What became of credentials.

/// The outcome of a verification.
public enum DigestVerdict: BitwiseCopyable, Hashable, Sendable {
    /// The right answer to a nonce that may be used.
    case accepted
    /// As if no credentials had been sent: they are for another realm or by an algorithm that was not offered, or nonce
    /// and response are empty, as in the first REGISTER of an IMS client. To be challenged.
    case absent
    /// Not a nonce of ours, or one that is too old or was used before. To be challenged anew with `stale=true`.
    case stale
    /// A wrong answer. To be challenged anew.
    case wrong
    /// A wrong answer after as many as are allowed: 403.
    case refused
    /// 400: the credentials break the grammar.
    case malformed(Fault)

    public enum Fault: UInt8, BitwiseCopyable, Hashable, Sendable, CaseIterable {
        case username, uri, response, qop, nonceCount, cnonce

        /// In words, for a Warning or a log.
        public var text: StaticString {
            switch self {
            case .username: "credentials without username, or with two"
            case .uri: "credentials without uri"
            case .response: "response has not the hexadecimal digits of a hash by its algorithm"
            case .qop: "qop was not offered"
            case .nonceCount: "nc is not 8 hexadecimal digits"
            case .cnonce: "credentials without cnonce"
            }
        }
    }
}
