import SIPMessage
import SansIO

/// What scanner and essentials together say of some octets.
enum Judgement: Equatable {
    case accepted
    case blank
    case refused(UInt16, HeaderName?, MessageFault.Reason)

    init(_ octets: [UInt8]) {
        var scanner = MessageScanner()
        let bytes = octets.span.bytes
        switch scanner.scan(bytes) {
        case .blank: self = .blank
        case .fault(let fault): self = .refused(fault.status, fault.header, fault.reason)
        case .message:
            do throws(MessageFault) {
                _ = try scanner.message(bytes).essentials()
                self = .accepted
            } catch {
                self = .refused(error.status, error.header, error.reason)
            }
        }
    }

    init(_ text: String) { self.init(octets(text)) }
}

/// A message written with plain line ends, with the line ends of the wire.
func octets(_ text: String) -> [UInt8] {
    var result: [UInt8] = []
    for octet in text.utf8 {
        if octet == 0x0A { result.append(0x0D) }
        result.append(octet)
    }
    return result
}

/// A whole request with an empty body: `fields` go behind those that every request has.
func request(
    _ startLine: String = "OPTIONS sip:bob@home.test SIP/2.0", via: String = "Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bKa1b2",
    from: String = "From: <sip:alice@home.test>;tag=f1", to: String = "To: <sip:bob@home.test>", callID: String = "Call-ID: one@192.0.2.7",
    cseq: String = "CSeq: 1 OPTIONS", maxForwards: String = "Max-Forwards: 70", fields: String = "", body: String = ""
) -> String {
    let lines = [startLine, via, from, to, callID, cseq, maxForwards, fields].filter { !$0.isEmpty }
    return lines.joined(separator: "\n") + "\nContent-Length: \(octets(body).count)\n\n" + body
}
