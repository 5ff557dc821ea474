// A DNS server on loopback that knows a few records: what RFC 1035 asks of one, and no more.

import Glibc
import Synchronization

/// Answers over UDP as long as it lives.
final class NameServer: Sendable {
    let port: UInt16
    private let descriptor: Int32
    private let records = Mutex<[String: [[UInt8]]]>([:])
    private let asked = Mutex<[String]>([])

    /// What has been asked so far, each `TYPE NAME`.
    var questions: [String] { asked.withLock { $0 } }

    init() throws {
        let (descriptor, port) = try boundDatagramSocket()
        self.descriptor = descriptor
        self.port = port
        Task.detached { [weak self] in
            while let server = self {
                server.answerAll(on: descriptor)
                try? await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    deinit { close(descriptor) }

    /// Adds the data of a record.
    func add(_ type: UInt16, _ name: String, _ data: [UInt8]) {
        records.withLock { $0["\(type) \(name)", default: []].append(data) }
    }

    func addNAPTR(_ name: String, _ service: String, _ replacement: String) {
        let words = ["s", service, ""].flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        add(35, name, [0, 10, 0, 10] + words + NameServer.octets(of: replacement))
    }

    func addSRV(_ name: String, priority: UInt8, port: UInt16, _ target: String) {
        add(33, name, [0, priority, 0, 0, UInt8(port >> 8), UInt8(port & 0xFF)] + NameServer.octets(of: target))
    }

    private func answerAll(on descriptor: Int32) {
        var question = [UInt8](repeating: 0, count: 4096)
        var source = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        while true {
            let count = withUnsafeMutablePointer(to: &source) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { recvfrom(descriptor, &question, question.count, 0, $0, &length) }
            }
            guard count > 16, let answer = answer(to: Array(question.prefix(count))) else { return }
            _ = withUnsafePointer(to: &source) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { sendto(descriptor, answer, answer.count, 0, $0, length) }
            }
        }
    }

    private func answer(to question: [UInt8]) -> [UInt8]? {
        var labels: [String] = []
        var place = 12
        while place < question.count, question[place] != 0 {
            let end = place + 1 + Int(question[place])
            guard end < question.count else { return nil }
            labels.append(String(decoding: question[(place + 1)..<end], as: UTF8.self))
            place = end
        }
        guard place + 5 <= question.count else { return nil }
        let key = "\(UInt16(question[place + 1]) << 8 | UInt16(question[place + 2])) \(labels.joined(separator: ".").lowercased())"
        asked.withLock { $0.append(key) }
        let found = records.withLock { $0[key] ?? [] }
        // Header and question, then each record with a pointer to the name in the question; a life of a minute.
        var answer = Array(question[..<(place + 5)])
        answer.replaceSubrange(2..<12, with: [0x81, 0x80, 0, 1, 0, UInt8(found.count), 0, 0, 0, 0])
        for data in found {
            answer += [
                0xC0, 12, question[place + 1], question[place + 2], 0, 1, 0, 0, 0, 60, UInt8(data.count >> 8), UInt8(data.count & 0xFF),
            ]
            answer += data
        }
        return answer
    }

    private static func octets(of name: String) -> [UInt8] {
        name.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }
}
