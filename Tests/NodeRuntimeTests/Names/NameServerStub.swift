import Glibc
import SansIO
import Synchronization

@testable import NodeRuntime

/// A DNS server on loopback, over UDP and, on the same port, over TCP, that answers with octets of a test's choosing.
final class NameServerStub: Sendable {
    /// What is done with a question.
    enum Reply: Sendable {
        case silence
        case datagram([UInt8])
        /// Some datagrams, one after the other.
        case datagrams([[UInt8]])
    }

    let endpoint: Endpoint
    private let datagrams: TestSocketBox
    private let stream: TestSocketBox
    private let questions = Mutex<[String]>([])

    /// What has been asked so far, each `TYPE NAME`; over TCP with a `+` before it.
    var asked: [String] { questions.withLock { $0 } }

    /// A socket that threads may share, since each only calls the system with its number.
    private struct TestSocketBox: @unchecked Sendable { let socket: TestSocket }

    /// - Parameters:
    ///   - overStream: the answer to a question over TCP; nil: as over UDP.
    ///   - reply: called on the server's threads with the question's octets.
    init(overStream: (@Sendable (DNSQuestion) -> [UInt8])? = nil, _ reply: @escaping @Sendable (DNSQuestion) -> Reply) throws {
        let (first, second) = try NameServerStub.pair()
        datagrams = TestSocketBox(socket: first)
        stream = TestSocketBox(socket: second)
        endpoint = first.local
        let (datagrams, stream) = (self.datagrams, self.stream)
        try ShardThread.start(name: "dns-udp") { [weak self] in
            while let (octets, source) = datagrams.socket.receiveFrom() {
                guard let question = DNSQuestion(octets) else { continue }
                self?.note(question.text)
                switch reply(question) {
                case .silence: break
                case .datagram(let answer): datagrams.socket.send(answer, to: source)
                case .datagrams(let answers): for answer in answers { datagrams.socket.send(answer, to: source) }
                }
            }
        }
        try ShardThread.start(name: "dns-tcp") { [weak self] in
            while let peer = stream.socket.accept() {
                guard let prefix = peer.receiveOctets(2), prefix.count == 2 else { continue }
                let octets = peer.readOctets(Int(prefix[0]) << 8 | Int(prefix[1]))
                guard let question = DNSQuestion(octets) else { continue }
                self?.note("+" + question.text)
                var answer: [UInt8] = []
                if let overStream {
                    answer = overStream(question)
                } else if case .datagram(let same) = reply(question) {
                    answer = same
                }
                peer.write([UInt8(answer.count >> 8), UInt8(answer.count & 0xFF)] + answer)
                peer.close()
            }
        }
    }

    /// Ends both threads: their sockets give nothing any more.
    deinit {
        shutdown(datagrams.socket.descriptor, Int32(SHUT_RDWR))
        shutdown(stream.socket.descriptor, Int32(SHUT_RDWR))
    }

    private func note(_ text: String) { questions.withLock { $0.append(text) } }

    /// One port for both protocols.
    private static func pair() throws -> (datagrams: TestSocket, stream: TestSocket) {
        for _ in 0..<50 {
            let datagrams = TestSocket.datagram()
            if let stream = TestSocket.listening(on: datagrams.local) { return (datagrams, stream) }
        }
        throw SystemFailure(call: "bind", code: EADDRINUSE)
    }
}

/// A question as it came.
struct DNSQuestion: Sendable {
    let octets: [UInt8]
    let name: String
    let type: UInt16

    init?(_ octets: [UInt8]) {
        guard octets.count > 16 else { return nil }
        var labels: [String] = []
        var place = 12
        while place < octets.count, octets[place] != 0 {
            let end = place + 1 + Int(octets[place])
            guard end < octets.count else { return nil }
            labels.append(String(decoding: octets[(place + 1)..<end], as: UTF8.self))
            place = end
        }
        guard place + 4 < octets.count else { return nil }
        name = labels.joined(separator: ".").lowercased()
        type = UInt16(octets[place + 1]) << 8 | UInt16(octets[place + 2])
        // Header and question; what stands behind it (EDNS) is not repeated in an answer.
        self.octets = Array(octets[..<(place + 5)])
    }

    var text: String { "\(NameRecordType(rawValue: type).map { "\($0)" } ?? String(type)) \(name)" }

    /// An answer to it.
    /// - Parameters:
    ///   - code: the response code (RFC 1035 §4.1.1).
    ///   - records: each a record of the answer section, whole.
    func answer(_ records: [[UInt8]] = [], code: UInt8 = 0, isTruncated: Bool = false, identifier: UInt16? = nil) -> [UInt8] {
        var answer = octets
        if let identifier { (answer[0], answer[1]) = (UInt8(identifier >> 8), UInt8(identifier & 0xFF)) }
        answer[2] = 0x81 | (isTruncated ? 2 : 0)
        answer[3] = 0x80 | code
        (answer[6], answer[7]) = (UInt8(records.count >> 8), UInt8(records.count & 0xFF))
        for place in 8..<12 { answer[place] = 0 }
        return answer + records.joined()
    }
}

/// Records in octets.
enum DNSRecord {
    static func name(_ text: String) -> [UInt8] { text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0] }

    static func record(_ owner: String, _ type: UInt16, lifetime: UInt32 = 60, _ data: [UInt8]) -> [UInt8] {
        name(owner) + short(type) + short(1) + short(UInt16(lifetime >> 16)) + short(UInt16(lifetime & 0xFFFF))
            + short(UInt16(data.count)) + data
    }

    static func a(_ owner: String, _ address: [UInt8], lifetime: UInt32 = 60) -> [UInt8] { record(owner, 1, lifetime: lifetime, address) }
    static func alias(_ owner: String, _ target: String, lifetime: UInt32 = 60) -> [UInt8] {
        record(owner, 5, lifetime: lifetime, name(target))
    }
    static func srv(_ owner: String, _ priority: UInt16, _ weight: UInt16, _ port: UInt16, _ target: String) -> [UInt8] {
        record(owner, 33, short(priority) + short(weight) + short(port) + name(target))
    }
    static func naptr(
        _ owner: String, _ order: UInt16, _ preference: UInt16, _ flags: String, _ service: String, _ replacement: String,
        expression: String = ""
    ) -> [UInt8] {
        record(owner, 35, short(order) + short(preference) + string(flags) + string(service) + string(expression) + name(replacement))
    }

    static func short(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xFF)] }
    static func string(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
}
