// URIs (RFC 3261 §19.1, RFC 3966): two of them, a line each. Their parts stand in them and make them up; equivalence is
// symmetric and each is equivalent to itself; a canonical identity is canonical.

import SIPMessage
import SansIO

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = octets(start, count)
    _ = IPAddress(bytes)
    let lineEnd = bytes.firstOffset(of: 0x0A) ?? count
    guard let first = bytes.uri(Slice(0, lineEnd)) else { return 0 }
    checkParts(first, bytes)
    checkIdentity(first, bytes)
    check(bytes.isEquivalent(first, to: first, in: bytes), "a URI that is not equivalent to itself")
    guard lineEnd < count, let second = bytes.uri(Slice(lineEnd + 1, count)) else { return 0 }
    checkParts(second, bytes)
    check(
        bytes.isEquivalent(first, to: second, in: bytes) == bytes.isEquivalent(second, to: first, in: bytes),
        "an equivalence that depends on the order")
    return 0
}

/// What is written of the parts of a SIP URI has the same parts.
private func checkParts(_ uri: SIPURI, _ bytes: RawSpan) {
    check(uri, in: bytes)
    guard uri.isSIP else { return }
    var text = OctetBuffer()
    text.append(uri.scheme == .sip ? "sip:" : "sips:")
    text.append(bytes[uri.user])
    if !uri.password.isEmpty {
        text.append(":")
        text.append(bytes[uri.password])
    }
    if !uri.user.isEmpty { text.append("@") }
    text.append(bytes[uri.host])
    if uri.port > 0 {
        text.append(":")
        text.appendDecimal(UInt64(uri.port))
    }
    text.append(bytes[uri.parameters])
    text.append(bytes[uri.headers])
    guard let again = text.bytes.uri(text.bytes.all) else { return check(false, "a URI that cannot be written") }
    check(again.port == uri.port && again.scheme == uri.scheme, "a URI written with another port or scheme")
    check(
        text.bytes[again.user].equals(bytes[uri.user]) && text.bytes[again.password].equals(bytes[uri.password])
            && text.bytes[again.host].equals(bytes[uri.host]) && text.bytes[again.parameters].equals(bytes[uri.parameters])
            && text.bytes[again.headers].equals(bytes[uri.headers]), "a URI written with other parts")
    check(bytes.isEquivalent(uri, to: again, in: text.bytes), "a URI that is not equivalent to what is written of it")
}

/// The canonical form of a canonical form is itself, and so a public identity has one spelling.
private func checkIdentity(_ uri: SIPURI, _ bytes: RawSpan) {
    var identity = OctetBuffer()
    identity.appendIdentity(uri, in: bytes)
    guard identity.count > 0 else { return check(uri.scheme == .other, "a URI without a canonical form") }
    // A tel URI of separators alone names nobody.
    guard let canonical = identity.bytes.uri(identity.bytes.all) else {
        return check(identity.bytes.equals("tel:"), "an identity that is no URI")
    }
    var again = OctetBuffer()
    again.appendIdentity(canonical, in: identity.bytes)
    check(again.bytes.equals(identity.bytes), "an identity that is not canonical")
}
