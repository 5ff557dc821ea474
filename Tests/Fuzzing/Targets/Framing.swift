// Framing of a stream (RFC 3261 §18.3, RFC 5626 §4.4.1): however the octets arrive, the same messages and keep-alives come
// out, and each message is one to the scanner, from its first octet to its last.

import SIPMessage
import SansIO

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    // The first octets say how long the pieces are; the rest is the stream.
    let bytes = octets(start, count)
    guard count > 4 else { return 0 }
    let stream = bytes.part(4, count - 4)
    let whole = frames(stream, in: [stream.byteCount])
    check(whole == frames(stream, in: [1]), "framing that depends on how octets arrive")
    check(whole == frames(stream, in: (0..<4).map { Int(bytes[$0]) + 1 }), "framing that depends on how octets arrive")
    for case .message(let octets) in whole { checkMessage(octets) }
    return 0
}

private enum Found: Equatable {
    case message([UInt8])
    case pings(Int)
    case broken(StreamEnding, [UInt8])
}

/// What comes out of a stream that arrives in pieces of these lengths, again and again.
private func frames(_ stream: RawSpan, in lengths: [Int]) -> [Found] {
    var framer = StreamFramer()
    var found: [Found] = []
    var position = 0
    var turn = 0
    while position < stream.byteCount {
        let length = min(lengths[turn % lengths.count], stream.byteCount - position)
        framer.append(stream.part(position, length))
        position += length
        turn += 1
        while let frame = framer.next() {
            switch frame {
            case .message(let start, let count): found.append(.message([UInt8](framer.octets(from: start, count: count))))
            case .broken(let ending, let start, let count):
                found.append(.broken(ending, [UInt8](framer.octets(from: start, count: count))))
            case .pings(let count):
                // Keep-alives in a row may be told one by one.
                if case .pings(let earlier)? = found.last {
                    found[found.count - 1] = .pings(earlier + count)
                } else {
                    found.append(.pings(count))
                }
            }
        }
    }
    return found
}

/// Framer and scanner agree on where a message ends.
private func checkMessage(_ octets: [UInt8]) {
    var scanner = MessageScanner()
    let bytes = octets.span.bytes
    switch scanner.scan(bytes) {
    case .blank: check(false, "a framed message that is blank")
    case .fault(let fault):
        check(fault.header != .contentLength && fault.reason != .headerEnd, "a framed message that the scanner ends elsewhere")
    case .message:
        check(scanner.message(bytes).shape.body.upper == octets.count, "a framed message with more than the message")
    }
}
