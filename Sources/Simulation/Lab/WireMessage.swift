// A message on the wire as the checkers see it: read once, when it is sent.

import SIPMessage
import SansIO

/// Reads messages, one after another.
final class WireReader {
    fileprivate var scanner = MessageScanner()
}

/// A message that a node has sent.
struct WireMessage {
    /// What a request or a response says of a registration.
    struct Registration: Hashable {
        /// The identity in To, without parameters.
        var identity: String
        var expires: UInt32?
        var contacts: [Contact] = []
    }

    struct Contact: Hashable {
        var uri: String
        var expires: UInt32?
    }

    var time: Instant
    /// Stations by number; nobody is at the address of `receiver`: -1.
    var sender: Int
    var receiver: Int
    var octets: [UInt8]
    var isRequest = true
    /// The method in CSeq.
    var method = Method.other
    var status: UInt16 = 0
    /// Stands for branch, sent-by and method: the transaction. 0: the message cannot be read.
    var transaction: UInt64 = 0
    /// Stands for Call-ID, CSeq and method: the request wherever it is forwarded to.
    var request: UInt64 = 0
    /// Stands for the Call-ID.
    var call: UInt64 = 0
    /// Stands for the tag in To.
    var toTag: UInt64 = 0
    var sequence: UInt32 = 0
    /// Of REGISTER and its responses.
    var registration: Registration?
    /// Of MESSAGE requests.
    var body = ""

    init(time: Instant, sender: Int, receiver: Int, octets: [UInt8], reader: WireReader) {
        self.time = time
        self.sender = sender
        self.receiver = receiver
        self.octets = octets
        let bytes = octets.span.bytes
        var scanner = MessageScanner()
        swap(&scanner, &reader.scanner)
        if case .message = scanner.scan(bytes), let essentials = try? scanner.message(bytes).essentials() {
            read(scanner.message(bytes), essentials)
        }
        swap(&scanner, &reader.scanner)
    }

    private mutating func read(_ message: Message, _ essentials: Essentials) {
        isRequest = message.isRequest
        method = essentials.method
        status = message.status
        sequence = essentials.sequence
        let via = essentials.via
        var hasher = WireMessage.hasher(method.rawValue)
        hasher.combine(message[via.branch])
        hasher.combine(message[via.host])
        hasher.combine(UInt64(via.port))
        transaction = hasher.finish().low | 1
        hasher = WireMessage.hasher(method.rawValue)
        hasher.combine(message[essentials.callID])
        hasher.combine(UInt64(sequence))
        request = hasher.finish().low
        hasher = WireMessage.hasher(0)
        hasher.combine(message[essentials.callID])
        call = hasher.finish().low
        hasher = WireMessage.hasher(0)
        hasher.combine(message[essentials.to.tag])
        toTag = hasher.finish().low
        if method == .register { registration = WireMessage.registration(message, essentials) }
        if method == .message, isRequest { body = String(octets: message.body) }
    }

    /// The hashes are no secret: they stand for the same in each run.
    private static func hasher(_ method: UInt8) -> KeyHasher {
        var hasher = KeyHasher(HashSecret(0x7769, 0x7265))
        hasher.combine(UInt64(method))
        return hasher
    }

    private static func registration(_ message: Message, _ essentials: Essentials) -> Registration {
        let bytes = message.bytes
        var registration = Registration(identity: String(octets: bytes[essentials.to.uri.all]))
        registration.expires = message.value(.expires).flatMap { bytes.deltaSeconds($0) }
        message.forEachValue(.contact) { value in
            if let address = bytes.nameAddress(value) {
                registration.contacts.append(
                    Contact(
                        uri: String(octets: bytes[address.uri.all]),
                        expires: bytes.parameter("expires", in: address.parameters).flatMap { bytes.deltaSeconds($0) }))
            }
            return true
        }
        return registration
    }

    var isOfCall: Bool {
        switch method {
        case .invite, .ack, .cancel, .bye: true
        default: false
        }
    }

    /// `REGISTER`, `200 OK`.
    var label: String {
        let line = String(decoding: octets.prefix { $0 != 0x0D }, as: UTF8.self)
        let words = line.split(separator: " ", maxSplits: isRequest ? 2 : 1)
        return words.isEmpty ? "?" : String(isRequest ? words[0] : words[words.count - 1])
    }

    /// What of the message matters beside its label.
    var detail: String {
        guard isRequest else { return "to \(method.text)" }
        if let registration {
            let expires = registration.expires ?? registration.contacts.first?.expires
            return registration.identity + (expires.map { " expires \($0)" } ?? "")
        }
        return method == .message ? "\"\(body)\"" : ""
    }
}
