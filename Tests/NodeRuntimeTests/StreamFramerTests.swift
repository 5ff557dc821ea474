import SansIO
import Testing

@testable import NodeRuntime

@Suite struct StreamFramerTests {
    private static let invite = "INVITE sip:b@h SIP/2.0\r\nContent-Length: 5\r\n\r\nhello"
    private static let options = "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nl:0\r\n\r\n"

    /// What comes out, as text.
    enum Found: Hashable {
        case message(String)
        case pings(Int)
        case broken(StreamEnding, header: String)
    }

    private func frames(_ parts: [[UInt8]]) -> [Found] {
        var framer = StreamFramer()
        var found: [Found] = []
        for part in parts {
            framer.append(part.span.bytes)
            while let frame = framer.next() {
                switch frame {
                case .message(let start, let count):
                    found.append(.message(String(octets: framer.octets(from: start, count: count))))
                case .pings(let count): found.append(.pings(count))
                case .broken(let reason, let start, let count):
                    found.append(.broken(reason, header: String(octets: framer.octets(from: start, count: count))))
                }
            }
        }
        return found
    }

    private func frames(_ text: String) -> [Found] { frames([Array(text.utf8)]) }

    @Test func severalMessagesInOneRead() {
        #expect(
            frames(Self.invite + Self.options + Self.invite)
                == [.message(Self.invite), .message(Self.options), .message(Self.invite)])
    }

    @Test func aStreamCutAnywhereGivesTheSame() {
        let stream = Array(("\r\n" + Self.invite + "\r\n\r\n" + Self.options + "\r\n" + Self.invite).utf8)
        let expected: [Found] = [.message(Self.invite), .pings(1), .message(Self.options), .message(Self.invite)]
        for first in 0..<stream.count {
            let parts = [Array(stream[..<first]), Array(stream[first...])]
            #expect(frames(parts) == expected, "cut at \(first)")
        }
        #expect(frames(stream.map { [$0] }) == expected)
    }

    @Test func emptyLinesBetweenMessages() {
        #expect(frames("\r\n") == [])
        #expect(frames("\r\n\r\n") == [.pings(1)])
        #expect(frames("\r\n\r\n\r\n") == [.pings(1)])
        #expect(frames("\r\n\r\n\r\n\r\n" + Self.options) == [.pings(2), .message(Self.options)])
        #expect(frames("\n\r\r\n" + Self.options) == [.message(Self.options)])
    }

    @Test(arguments: [
        "Content-Length: 2", "content-length:2", "CONTENT-LENGTH \t: \t2 \t", "l: 2", "L:002", "Content-Length:\r\n 2",
        "Content-Length: 2\r\n\t", "Content-Length: 2\r\nl: 2", "Lax: 9\r\nContent-Lengths: 9\r\nX-Content-Length: 9\r\nl: 2",
        "Subject: x\r\n Content-Length: 9\r\nl: 2",
    ])
    func lengthsThatAreTwo(field: String) {
        let message = "MESSAGE sip:h SIP/2.0\r\n\(field)\r\n\r\nab"
        #expect(frames(message + Self.options) == [.message(message), .message(Self.options)])
    }

    @Test(arguments: [
        ("Content-Length: -1", StreamEnding.contentLengthInvalid), ("Content-Length: +1", .contentLengthInvalid),
        ("Content-Length:", .contentLengthInvalid), ("Content-Length: two", .contentLengthInvalid),
        ("Content-Length: 1 1", .contentLengthInvalid), ("Content-Length: 1, 1", .contentLengthInvalid),
        ("Content-Length: 1.0", .contentLengthInvalid), ("l: 0x1", .contentLengthInvalid),
        ("l: 1\r\nContent-Length: 2", .contentLengthConflict), ("Content-Length 2", .contentLengthMissing),
        ("Via: SIP/2.0/TCP h", .contentLengthMissing), ("Content-Length: 65535", .messageTooLarge),
        ("Content-Length: 99999999999999999999999999", .messageTooLarge),
    ])
    func lengthsThatBreakTheStream(field: String, reason: StreamEnding) {
        let header = "MESSAGE sip:h SIP/2.0\r\n\(field)\r\n\r\n"
        #expect(frames(header + "body" + Self.options) == [.broken(reason, header: header)])
    }

    @Test func theLargestMessage() {
        let header = "MESSAGE sip:h SIP/2.0\r\nl: 65500\r\n\r\n"
        let message = header + String(repeating: "x", count: 65_500)
        #expect(message.utf8.count == 65_535)
        #expect(frames(message + Self.options) == [.message(message), .message(Self.options)])
        let larger = header.replacing("65500", with: "65501")
        #expect(frames(larger) == [.broken(.messageTooLarge, header: larger)])
    }

    @Test func aHeaderWithoutEnd() {
        let line = Array("X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".utf8)
        #expect(frames(Array(repeating: line, count: 900)) == [])
        #expect(frames(Array(repeating: line, count: 1000)) == [.broken(.headerTooLarge, header: "")])
        #expect(frames([[UInt8](repeating: 0x41, count: 70_000)]) == [.broken(.headerTooLarge, header: "")])
    }

    @Test func whatFollowsAFaultIsThrownAway() {
        let header = "MESSAGE sip:h SIP/2.0\r\n\r\n"
        #expect(
            frames([Array(header.utf8), Array(Self.options.utf8)]) == [.broken(.contentLengthMissing, header: header)])
    }

    @Test func linesWithoutCarriageReturn() {
        let message = "MESSAGE sip:h SIP/2.0\nl: 2\n\nab"
        #expect(frames(message + Self.options) == [.message(message), .message(Self.options)])
    }

    @Test func holdsAPartOnlyWithinAMessage() {
        var framer = StreamFramer()
        func feed(_ text: String) -> Bool {
            framer.append(Array(text.utf8).span.bytes)
            while framer.next() != nil {}
            return framer.holdsPart
        }
        #expect(!feed("\r\n"))
        #expect(feed("O"))
        #expect(feed("PTIONS sip:h SIP/2.0\r\nl: 3\r\n\r\na"))
        #expect(!feed("bc"))
        #expect(feed("I"))
    }

    /// Octets of all kinds in parts of all sizes: no trap, and the same frames as in one part.
    @Test(arguments: 1...20 as ClosedRange<UInt64>) func anyOctets(seed: UInt64) {
        var random = RandomSource(seed: seed)
        let words = ["\r\n", "\r", "\n", "l: 3", "Content-Length: 1", ":", " ", "X: y", "\r\n\r\n", "INVITE", "\u{0}", "l:"]
        let stream = (0..<300).flatMap { _ in Array((words.randomElement(using: &random) ?? "").utf8) }
        var parts: [[UInt8]] = []
        var rest = stream[...]
        while !rest.isEmpty {
            let count = Int.random(in: 1...min(rest.count, 40), using: &random)
            parts.append(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        func withoutPings(_ found: [Found]) -> [Found] {
            found.filter { if case .pings = $0 { false } else { true } }
        }
        #expect(withoutPings(frames(parts)) == withoutPings(frames([stream])))
    }
}
