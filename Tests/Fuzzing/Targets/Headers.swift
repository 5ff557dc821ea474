// Values of header fields: the input is one value, or what stands between commas is. Whatever reads it gives out slices of
// it, list and parameters can be put together again, and what one reading takes another takes the same.

import SIPMessage
import SansIO

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = octets(start, count)
    checkValue(bytes.all, bytes)
    checkList(bytes)
    checkMessage(bytes)
    return 0
}

private func checkList(_ bytes: RawSpan) {
    var rest = bytes.all
    var end = 0
    var values: [Slice] = []
    while !rest.isEmpty {
        let value = bytes.nextListValue(&rest)
        check(bytes.holds(value) && bytes.holds(rest) && value.lower >= end, "a list value out of its place")
        end = value.upper
        values.append(value)
        checkValue(value, bytes)
    }
    // Joined by commas they are the same list; an open quote reaches to the end, so only the last value can hold one.
    var joined = OctetBuffer()
    for (i, value) in values.enumerated() {
        if i > 0 { joined.append(", ") }
        joined.append(bytes[value])
    }
    var again = joined.bytes.all
    for (i, value) in values.enumerated() {
        if i == values.count - 1, value.isEmpty { break }
        check(joined.bytes[joined.bytes.nextListValue(&again)].equals(bytes[value]), "a list that is another when joined")
    }
}

/// Everything that reads one value.
private func checkValue(_ value: Slice, _ bytes: RawSpan) {
    if let address = bytes.nameAddress(value) { checkAddress(address, bytes) }
    if let via = bytes.via(value) {
        for part in [via.transportName, via.host, via.parameters, via.branch, via.received, via.maddr, via.rport ?? .empty] {
            check(part.isIn(via.all), "a part of Via out of its place")
        }
        check(via.all.isIn(value), "a Via out of bounds")
    }
    checkParameters(value, bytes)
    checkDigest(value, bytes)
    var parts: [Slice] = []
    if let user = bytes.servedUser(value) { parts += [user.address.all, user.address.parameters] }
    if let event = bytes.eventType(value) {
        parts += [event.package, event.id]
        check(bytes.isSame(event, as: event, in: bytes), "an event that is not itself")
    }
    if let dialog = bytes.dialogReference(value) { parts += [dialog.callID, dialog.localTag, dialog.remoteTag] }
    if let reason = bytes.reason(value) { parts += [reason.protocolName, reason.text] }
    if let retryAfter = bytes.retryAfter(value) { parts.append(retryAfter.comment) }
    if let acknowledgement = bytes.responseAcknowledgement(value) { parts.append(acknowledgement.method) }
    _ = bytes.subscriptionState(value)
    _ = bytes.sessionExpires(value)
    for part in parts { check(part.isIn(value), "a part outside of its value") }
}

/// An address that has no tag gets one by appending it, as every response does.
private func checkAddress(_ address: NameAddress, _ bytes: RawSpan) {
    check(address, in: bytes)
    guard address.tag.isEmpty, bytes.parameter("tag", in: address.parameters) == nil else { return }
    var tagged = OctetBuffer()
    tagged.append(bytes[address.all])
    tagged.append(";tag=t1")
    guard let again = tagged.bytes.nameAddress(tagged.bytes.all) else { return check(false, "an address that takes no tag") }
    check(tagged.bytes[again.tag].equals("t1"), "a tag that is lost")
    check(tagged.bytes[again.uri.all].equals(bytes[address.uri.all]), "a tag that changes the URI")
}

/// Parameters written in the plain way are the same parameters.
private func checkParameters(_ value: Slice, _ bytes: RawSpan) {
    var rest = value
    var plain = OctetBuffer()
    var found: [(Slice, Slice)] = []
    var end = value.lower
    while let (name, content) = bytes.nextParameter(&rest) {
        check(name.isIn(value) && content.isIn(value), "a parameter out of bounds")
        check(name.lower >= end && rest.lower > end && rest.upper == value.upper, "parameters that do not go on")
        end = rest.lower
        if name.isEmpty { continue }
        found.append((name, content))
        plain.append(byte: 0x3B)
        plain.append(bytes[name])
        if !content.isEmpty {
            plain.append(byte: 0x3D)
            plain.append(bytes[content])
        }
    }
    var again = plain.bytes.all
    for (name, content) in found {
        guard let (nameAgain, contentAgain) = plain.bytes.nextParameter(&again) else { return check(false, "a parameter that is lost") }
        check(
            plain.bytes[nameAgain].equals(bytes[name]) && plain.bytes[contentAgain].equals(bytes[content]),
            "a parameter that is another when written")
    }
    check(again.isEmpty, "a parameter that nobody wrote")
}

private func checkDigest(_ value: Slice, _ bytes: RawSpan) {
    guard let digest = bytes.digestParameters(value) else { return }
    for part in [
        digest.username, digest.realm, digest.nonce, digest.uri, digest.response, digest.algorithm, digest.qop, digest.nonceCount,
        digest.cnonce, digest.opaque, digest.stale, digest.auts, digest.integrityProtected,
    ] {
        check(part.isIn(value), "a digest parameter out of bounds")
    }
}

/// The same through a message, as the value of each header that is read as a whole.
private func checkMessage(_ value: RawSpan) {
    var text = OctetBuffer()
    text.append("INFO sip:h SIP/2.0\r\n")
    for name in [HeaderName.pAssertedIdentity, .sipIfMatch, .expires, .requestDisposition, .path] { text.appendField(name, value) }
    text.append("\r\n")
    var scanner = MessageScanner()
    guard case .message = scanner.scan(text.bytes) else { return }
    let message = scanner.message(text.bytes)
    if let identities = message.networkIdentities(.pAssertedIdentity) {
        check(identities.sip.map { $0.uri.isSIP } ?? true, "a SIP identity of another kind")
        check(identities.tel.map { $0.uri.scheme == .tel } ?? true, "a tel identity of another kind")
    }
    message.forEachAddress(.path) { address in
        check(address, in: text.bytes)
        return true
    }
    _ = message.requestDisposition
    _ = try? message.number(.expires)
    if let tag = try? message.entityTag(.sipIfMatch) { check(text.bytes.holds(tag) && !tag.isEmpty, "an empty entity tag") }
}
