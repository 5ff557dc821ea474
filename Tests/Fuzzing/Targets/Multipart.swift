// Bodies of several parts (RFC 2046 §5.1): the first line is the Content-Type, the rest the body. Parts stand in the body in
// their order, none holds a delimiter, and the session description is looked for in the same parts.

import SIPMessage
import SansIO

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = octets(start, count)
    let lineEnd = bytes.firstOffset(of: 0x0A) ?? count
    let contentType = bytes.trimmed(Slice(0, lineEnd))
    let body = Slice(min(lineEnd + 1, count), count)
    if let parts = bytes.bodyParts(of: body, contentType: contentType) { check(parts, bytes, contentType, body) }
    checkSessionDescription(bytes[contentType], bytes[body])
    return 0
}

private func check(_ parts: [BodyPart], _ bytes: RawSpan, _ contentType: Slice, _ body: Slice) {
    check((1...16).contains(parts.count), "more parts than are taken")
    var end = body.lower
    for part in parts {
        check(bytes.holds(part.content) && bytes.holds(part.contentType), "a part out of bounds")
        check(part.content.lower >= end && part.content.upper <= body.upper, "a part out of its place")
        check(part.contentType.isIn(Slice(end, part.content.lower)), "a part's type outside of its head")
        end = part.content.upper
        // Inside of a part there is no part of the same body.
        check(bytes.bodyParts(of: part.content, contentType: contentType) == nil, "a delimiter inside of a part")
    }
}

private func checkSessionDescription(_ contentType: RawSpan, _ body: RawSpan) {
    var text = OctetBuffer()
    text.append("INFO sip:h SIP/2.0\r\nContent-Type: ")
    text.append(contentType)
    text.append("\r\n\r\n")
    text.append(body)
    var scanner = MessageScanner()
    guard case .message = scanner.scan(text.bytes) else { return }
    let message = scanner.message(text.bytes)
    guard let description = message.sessionDescription else { return }
    check(text.bytes.holds(description) && description.isIn(message.shape.body), "a session description outside of the body")
}
