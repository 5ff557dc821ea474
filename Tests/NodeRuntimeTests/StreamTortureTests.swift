import SansIO
import Testing
import TortureMessages

@testable import NodeRuntime

/// The messages of RFC 4475 and RFC 5118 on a stream (RFC 3261 §18.3): each is framed as its Content-Length says, and what
/// makes that impossible breaks the stream.
@Suite struct StreamTortureTests {
    private enum Outcome: Equatable {
        /// Messages of so many octets.
        case messages([Int])
        /// The header is there, the body is not.
        case waits
        /// The stream ends, after messages of so many octets.
        case broken(StreamEnding, after: [Int])
    }

    private func frame(_ octets: [UInt8]) -> Outcome {
        var framer = StreamFramer()
        framer.append(octets.span.bytes)
        var lengths: [Int] = []
        while let frame = framer.next() {
            switch frame {
            case .message(_, let count): lengths.append(count)
            case .pings: break
            case .broken(let ending, _, let count):
                // The header is whole, so that there is something to answer.
                #expect(count > 0)
                return .broken(ending, after: lengths)
            }
        }
        return lengths.isEmpty && framer.holdsPart ? .waits : .messages(lengths)
    }

    /// Those that are not just one message from their first octet to their last.
    private static let special: [String: Outcome] = [
        // §3.1.1.8: on a stream the second request is one; its body is longer than it says, and what is over begins a third.
        "dblreq": .broken(.contentLengthMissing, after: [300, 443]),
        "clerr": .waits,
        "ncl": .broken(.contentLengthInvalid, after: []),
        "mcl01": .broken(.contentLengthConflict, after: []),
        "inv2543": .broken(.contentLengthMissing, after: []),
    ]

    @Test(arguments: TortureMessage.all)
    func isFramed(_ message: TortureMessage) {
        guard let special = Self.special[message.name] else {
            guard case .messages(let lengths) = frame(message.octets) else {
                Issue.record("not framed")
                return
            }
            #expect(lengths.count == 1)
            return
        }
        #expect(frame(message.octets) == special)
    }
}
