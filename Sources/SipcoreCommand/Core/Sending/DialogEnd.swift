// The end of a call that a request sent by hand has begun: nobody is there to talk, so a 2xx is acknowledged and the call
// ended at once (RFC 3261 §13.2.2.4, §15.1.1).

import ControlHTTP
import SIPMessage
import SansIO

/// The requests that follow a 2xx to an INVITE.
struct DialogEnd: Sendable {
    /// Where they go: the first Route value, or the remote target.
    let uri: String
    /// Each from the first header field after Via on.
    let acknowledgement: [UInt8]
    let bye: [UInt8]

    private let target: String

    /// - Parameters:
    ///   - invite: as it left.
    ///   - response: the 2xx.
    init?(invite: [UInt8], response: [UInt8]) {
        var inviteScanner = MessageScanner()
        var scanner = MessageScanner()
        let (inviteOctets, octets) = (invite.span.bytes, response.span.bytes)
        guard case .message = inviteScanner.scan(inviteOctets), case .message = scanner.scan(octets) else { return nil }
        let request = inviteScanner.message(inviteOctets)
        let answer = scanner.message(octets)
        guard let to = answer.value(.to), let from = request.value(.from), let callID = request.value(.callID),
            let sequence = request.value(.cseq), let number = UInt32(String(octets: request.bytes[sequence]).prefix { $0.isNumber })
        else { return nil }
        var target = String(octets: request.bytes[request.shape.requestURI])
        if let contact = answer.firstValue(.contact), let address = answer.bytes.nameAddress(contact) {
            target = String(octets: answer.bytes[address.uri.all])
        }
        self.target = target
        var routes: [String] = []
        answer.forEachValue(.recordRoute) { value in
            routes.insert(String(octets: answer.bytes[value]), at: 0)
            return true
        }
        let firstRoute = routes.first.flatMap { text -> String? in
            let octets = Array(text.utf8)
            guard let address = octets.span.bytes.nameAddress(Slice(0, octets.count)) else { return nil }
            return String(octets: octets.span.bytes[address.uri.all])
        }
        uri = firstRoute ?? target
        let common =
            routes.map { "Route: \($0)\r\n" }.joined() + "Max-Forwards: 70\r\nFrom: \(String(octets: request.bytes[from]))\r\n"
            + "To: \(String(octets: answer.bytes[to]))\r\nCall-ID: \(String(octets: request.bytes[callID]))\r\n"
        acknowledgement = Array("\(common)CSeq: \(number) ACK\r\nContent-Length: 0\r\n\r\n".utf8)
        bye = Array("\(common)CSeq: \(number &+ 1) BYE\r\nContent-Length: 0\r\n\r\n".utf8)
    }

    /// The request line of one of them, with its line end.
    func line(_ method: String) -> [UInt8] { Array("\(method) \(target) SIP/2.0\r\n".utf8) }
}
