// `Digest name=value, ...`: credentials and challenges (RFC 2617 §3.2, RFC 7616 §3).

import SansIO

/// The parameters of a Digest value, unquoted, as slices; empty: not there.
public struct DigestParameters: BitwiseCopyable, Sendable {
    public var username = Slice.empty
    public var realm = Slice.empty
    public var nonce = Slice.empty
    public var uri = Slice.empty
    public var response = Slice.empty
    public var algorithm = Slice.empty
    public var qop = Slice.empty
    public var nonceCount = Slice.empty
    public var cnonce = Slice.empty
    public var opaque = Slice.empty
    public var stale = Slice.empty
    public var auts = Slice.empty
    public var integrityProtected = Slice.empty
}

extension RawSpan {
    /// Reads a value of the Digest scheme; nil: another scheme, or not a list of parameters.
    public func digestParameters(_ slice: Slice) -> DigestParameters? {
        let value = trimmed(slice)
        guard value.count > 7, self[Slice(value.lower, value.lower + 6)].equalsIgnoringCase("digest"),
            self[value.lower + 6].isLinearWhiteSpace
        else { return nil }
        var parameters = DigestParameters()
        var rest = Slice(value.lower + 7, value.upper)
        while !rest.isEmpty {
            let pair = nextListValue(&rest)
            if pair.isEmpty { continue }
            var equals = pair.lower
            while equals < pair.upper, self[equals] != 0x3D { equals += 1 }
            guard equals < pair.upper else { return nil }
            let name = self[trimmed(Slice(pair.lower, equals))]
            let content = unquoted(trimmed(Slice(equals + 1, pair.upper)))
            if name.equalsIgnoringCase("username") {
                parameters.username = content
            } else if name.equalsIgnoringCase("realm") {
                parameters.realm = content
            } else if name.equalsIgnoringCase("nonce") {
                parameters.nonce = content
            } else if name.equalsIgnoringCase("uri") {
                parameters.uri = content
            } else if name.equalsIgnoringCase("response") {
                parameters.response = content
            } else if name.equalsIgnoringCase("algorithm") {
                parameters.algorithm = content
            } else if name.equalsIgnoringCase("qop") {
                parameters.qop = content
            } else if name.equalsIgnoringCase("nc") {
                parameters.nonceCount = content
            } else if name.equalsIgnoringCase("cnonce") {
                parameters.cnonce = content
            } else if name.equalsIgnoringCase("opaque") {
                parameters.opaque = content
            } else if name.equalsIgnoringCase("stale") {
                parameters.stale = content
            } else if name.equalsIgnoringCase("auts") {
                parameters.auts = content
            } else if name.equalsIgnoringCase("integrity-protected") {
                parameters.integrityProtected = content
            }
        }
        return parameters
    }
}
