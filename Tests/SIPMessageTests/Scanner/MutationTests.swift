import SIPMessage
import SansIO
import Testing
import TortureMessages

/// Messages changed at random: two scanners agree on them, and nothing that reads them traps.
struct MutationTests {
    @Test(arguments: UInt64(1)...4)
    func thePlainScannerAgrees(_ seed: UInt64) {
        var mutation = Mutation(seed: seed)
        var scanner = MessageScanner()
        for _ in 0..<2500 {
            let octets = mutation.next()
            let expected = PlainScanner(octets)
            let verdict = scanner.scan(octets.span.bytes)
            let message = scanner.message(octets.span.bytes)
            var outcome = PlainScanner.Outcome.message
            switch verdict {
            case .blank: outcome = .blank
            case .fault(let fault): outcome = .fault(fault.reason)
            case .message: break
            }
            #expect(outcome == expected.outcome, "\(String(decoding: octets, as: UTF8.self).debugDescription)")
            guard outcome == .message, expected.outcome == .message else { continue }
            #expect(message.fields.count == expected.fields.count)
            for i in 0..<min(message.fields.count, expected.fields.count) {
                #expect([UInt8](message[message.fields[i].nameSlice]) == expected.fields[i].name)
                #expect([UInt8](message[message.fields[i].value]) == expected.fields[i].value)
            }
            #expect([UInt8](message.body) == expected.body)
        }
    }

    @Test(arguments: UInt64(100)..<108)
    func nothingTraps(_ seed: UInt64) {
        var mutation = Mutation(seed: seed)
        var scanner = MessageScanner()
        var buffer = OctetBuffer()
        var accepted = 0
        for _ in 0..<25_000 {
            let octets = mutation.next()
            _ = scanner.scan(octets.span.bytes)
            let message = scanner.message(octets.span.bytes)
            buffer.removeAll()
            if read(message, into: &buffer) { accepted += 1 }
        }
        // Some get through, or the test would be of the first check alone.
        #expect(accepted > 1000 && accepted < 24_000)
    }

    /// All that a node asks of a message, whatever the scan said.
    private func read(_ message: borrowing Message, into buffer: inout OctetBuffer) -> Bool {
        let bytes = message.bytes
        for i in 0..<message.fields.count {
            var rest = message.fields[i].value
            while !rest.isEmpty {
                let value = bytes.nextListValue(&rest)
                if let address = bytes.nameAddress(value) { buffer.appendIdentity(address.uri, in: bytes) }
                _ = bytes.via(value)
            }
            _ = bytes.digestParameters(message.fields[i].value)
        }
        buffer.appendFields(of: message, except: [.via])
        guard let essentials = try? message.essentials() else { return false }
        buffer.appendResponse(200, to: message, essentials, from: Endpoint(address: .loopback, port: 5060), toTag: 1)
        return true
    }
}

/// Seeded changes of well-formed messages.
private struct Mutation {
    private var random: RandomSource
    private let originals: [[UInt8]] = TortureMessage.all.map(\.octets)
    private let spices: [[UInt8]] = [
        "\r\n", "\n", "\r", "\r\n\r\n", "\r\n ", "\n\t", " ", ":", ";", ",", "\"", "\\", "<", ">", "@", "=", "?", "%", "[", "]", "/", "\0",
        "Via: ", "l: 5\r\n",
        "Content-Length: 3\r\n", "SIP/2.0", "é", "z9hG4bK", "-1", "99999999999",
    ].map { Array($0.utf8) }

    init(seed: UInt64) { random = RandomSource(seed: seed) }

    mutating func next() -> [UInt8] {
        var octets = originals[Int.random(in: 0..<originals.count, using: &random)]
        // The longest only now and then: they take the most time and show the least.
        if octets.count > 2000, Int.random(in: 0..<20, using: &random) > 0 { octets = originals[2] }
        for _ in 0..<Int.random(in: 1...3, using: &random) { change(&octets) }
        return octets
    }

    private mutating func change(_ octets: inout [UInt8]) {
        guard !octets.isEmpty else { return octets = spices[0] }
        let at = Int.random(in: 0..<octets.count, using: &random)
        let end = min(octets.count, at + Int.random(in: 1...12, using: &random))
        switch Int.random(in: 0..<6, using: &random) {
        case 0: octets[at] = UInt8(truncatingIfNeeded: random.next())
        case 1, 2: octets.insert(contentsOf: spices[Int.random(in: 0..<spices.count, using: &random)], at: at)
        case 3: octets.removeSubrange(at..<end)
        case 4: octets.insert(contentsOf: octets[at..<end], at: Int.random(in: 0...octets.count, using: &random))
        default:
            if Int.random(in: 0..<4, using: &random) == 0 {
                octets.removeSubrange(at...)
            } else {
                octets[at] ^= 1 << UInt8(random.next() & 7)
            }
        }
    }
}

/// The same scan written for clearness: lines first, then what they hold.
private struct PlainScanner {
    enum Outcome: Equatable {
        case message, blank
        case fault(MessageFault.Reason)
    }

    private(set) var outcome = Outcome.message
    private(set) var fields: [(name: [UInt8], value: [UInt8])] = []
    private(set) var body: [UInt8] = []

    init(_ octets: [UInt8]) {
        var rest = octets.drop { $0 == 0x0D || $0 == 0x0A }
        guard !rest.isEmpty else {
            outcome = .blank
            return
        }
        guard let startLine = PlainScanner.takeLine(&rest) else {
            outcome = .fault(.startLine)
            return
        }
        let startFault = PlainScanner.startFault(Array(startLine))
        let headerFault = readFields(&rest)
        let bodyFault = startFault == nil && headerFault == nil ? readBody(Array(rest)) : nil
        if let fault = startFault ?? headerFault ?? bodyFault { outcome = .fault(fault) }
    }

    /// A line without its end, if it has one.
    private static func takeLine(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard let end = rest.firstIndex(of: 0x0A) else { return nil }
        let line = rest[rest.startIndex..<end]
        rest = rest[(end + 1)...]
        return line.last == 0x0D ? line.dropLast() : line
    }

    private static func startFault(_ line: [UInt8]) -> MessageFault.Reason? {
        let lower = line.map(\.asciiLowercased)
        if lower.starts(with: Array("sip/".utf8)) {
            let parts = line.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
            guard Array(lower.prefix(8)) == Array("sip/2.0 ".utf8), parts[1].count == 3, parts[1].allSatisfy(\.isASCIIDigit),
                let status = Int(String(decoding: parts[1], as: UTF8.self)), (100...699).contains(status)
            else { return .startLine }
            return nil
        }
        let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard parts.count >= 3, let version = parts.last, !parts[0].isEmpty, parts[0].allSatisfy(\.isTokenCharacter) else {
            return .startLine
        }
        let uri = Array(parts[1..<(parts.count - 1)].joined(separator: [0x20]))
        let lowerVersion = version.map(\.asciiLowercased)
        guard !uri.isEmpty, lowerVersion.count >= 5, lowerVersion.starts(with: Array("sip/".utf8)) else { return .startLine }
        guard lowerVersion == Array("sip/2.0".utf8) else { return .version }
        return uri.contains { $0 <= 0x20 || $0 == 0x7F } ? .requestURI : nil
    }

    private mutating func readFields(_ rest: inout ArraySlice<UInt8>) -> MessageFault.Reason? {
        var fault: MessageFault.Reason?
        while true {
            let before = rest
            guard var line = PlainScanner.takeLine(&rest) else { return fault ?? .headerEnd }
            if line.isEmpty { return fault }
            while let next = rest.first, next == 0x20 || next == 0x09 {
                guard PlainScanner.takeLine(&rest) != nil else { return fault ?? .headerEnd }
                line = before[before.startIndex..<(rest.startIndex - 1)]
            }
            fault = fault ?? readField(Array(line))
        }
    }

    private mutating func readField(_ line: [UInt8]) -> MessageFault.Reason? {
        guard let colon = line.firstIndex(of: 0x3A) else { return .headerLine }
        var name = line[..<colon]
        while name.last == 0x20 || name.last == 0x09 { name.removeLast() }
        guard !name.isEmpty, name.allSatisfy(\.isTokenCharacter) else { return .headerLine }
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D || $0 == 0x0A }
        var value = line[(colon + 1)...].drop(while: isSpace)
        while let last = value.last, isSpace(last) { value.removeLast() }
        fields.append((Array(name), Array(value)))
        return nil
    }

    private mutating func readBody(_ rest: [UInt8]) -> MessageFault.Reason? {
        body = rest
        let lengths = fields.filter { ["content-length", "l"].contains(String(decoding: $0.name, as: UTF8.self).lowercased()) }.map(\.value)
        guard let first = lengths.first else { return nil }
        func number(_ value: [UInt8]) -> UInt32? { value.allSatisfy(\.isASCIIDigit) ? UInt32(String(decoding: value, as: UTF8.self)) : nil }
        guard let length = number(first) else { return .contentLength }
        if lengths.contains(where: { number($0) != length }) { return .repeated }
        guard Int(length) <= rest.count else { return .shortBody }
        body = Array(rest.prefix(Int(length)))
        return nil
    }
}
