import SIPMessage
import SansIO
import Testing

/// Scans a request made of a start line, header lines and a body, and hands it to `body`.
func withRequest<Result>(
    _ startLine: String = "MESSAGE sip:bob@home1.test SIP/2.0", _ headers: [String] = [], body text: String = "",
    _ body: (borrowing Message) throws -> Result
) throws -> Result {
    let lines = [startLine] + headers + ["Content-Length: \(text.utf8.count)", "", text]
    let bytes = Array(lines.joined(separator: "\r\n").utf8)
    var scanner = MessageScanner()
    guard case .message = scanner.scan(bytes.span.bytes) else {
        Issue.record("not a message: \(lines)")
        throw NotAMessage()
    }
    let message = scanner.message(bytes.span.bytes)
    return try body(message)
}

struct NotAMessage: Error {}
