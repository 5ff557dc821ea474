import SIPTrace
import Testing

@testable import SIPLadder

/// The ladder on screens of all sizes, and what its strokes mean.
@Suite struct ScreenTests {
    private static func event(
        _ microseconds: Int64, _ from: String, _ to: String, _ label: String, _ detail: String = "", kind: LadderEvent.Kind = .message,
        status: Int? = nil, mark: TraceMark = .none, sequence: UInt64? = nil
    ) -> LadderEvent {
        var event = LadderEvent(kind, microseconds: microseconds, from: from, to: to, label: label, detail: detail, sequence: sequence)
        event.status = status
        event.mark = mark
        return event
    }

    private static let events = [
        event(0, "alice", "core", "MESSAGE", "sip:bob@home1.test", sequence: 1),
        event(500_000, "alice", "core", "MESSAGE", "again after 0.5 s", kind: .retransmission),
        event(500_100, "core", "im", "MESSAGE", "sip:bob@home1.test", kind: .fault, mark: .dropped),
        event(600_000, "im", "core", "202 Accepted", "to MESSAGE", kind: .fault, status: 202, mark: .dropped),
        event(32_500_100, "core", "core", "Timer F", "no answer from im to MESSAGE for 32 s", kind: .timer),
        event(32_500_200, "core", "alice", "408 Request Timeout", "to MESSAGE", status: 408, sequence: 5),
    ]

    private func lines(_ text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    @Test func eachKindIsDrawnAsWhatItIs() {
        let drawn = lines(Ladder.text(ScreenTests.events, nodes: ["alice", "core", "im"]))
        #expect(drawn.count == 8)
        #expect(drawn[2].contains("─ MESSAGE ─") && drawn[2].contains(">│"))
        #expect(drawn[3].contains("╌ MESSAGE ╌") && !drawn[3].contains("─"))
        #expect(drawn[4].contains("─ MESSAGE [dropped] ─") && drawn[4].contains("╳│") && !drawn[4].contains(">"))
        #expect(drawn[5].contains("│╳─") && drawn[5].contains("202 Accepted [dropped]"))
        #expect(drawn[6].contains("◷ Timer F") && drawn[6].hasSuffix("no answer from im to MESSAGE for 32 s"))
        #expect(drawn[7].contains("│<─") && drawn[7].contains(" 408 Request Timeout "))
    }

    @Test(arguments: Array(20...140))
    func noLineIsWiderThanTheScreen(width: Int) {
        let wide = ScreenTests.events.map { event in
            var event = event
            event.from = event.from.replacing("alice", with: "日本のアリス😀")
            event.to = event.to.replacing("alice", with: "日本のアリス😀")
            event.detail += " 見る"
            return event
        }
        let many = (0..<12).map { ScreenTests.event(Int64($0), "node\($0)", "node\($0 + 1)", "REGISTER", "to everyone") }
        for events in [ScreenTests.events, wide, many] {
            let hop = HopDifference(
                node: "core", received: 1,
                difference: MessageDifference(
                    from: MessageParts(Array("A sip:a SIP/2.0\r\nX: 日本日本日本日本日本日本日本日本\r\n\r\n".utf8)),
                    to: MessageParts(Array("A sip:a SIP/2.0\r\nX: y\r\n\r\n".utf8))))
            let drawn = lines(Ladder.text(events, hops: [5: hop], style: LadderStyle(width: width)))
            #expect(drawn.count >= events.count)
            for line in drawn { #expect(DisplayWidth.of(line) <= width, "\(line)") }
        }
    }

    @Test func aNarrowScreenGivesUpDetailsBeforeItsLifelines() {
        let drawn = lines(Ladder.text(ScreenTests.events, nodes: ["alice", "core", "im"], style: LadderStyle(width: 60)))
        #expect(drawn[2].contains("MESSAGE") && drawn[2].contains("│"))
        #expect(drawn[7].contains("…"))
        // Where even those have no room, each event is a line of its own.
        let least = lines(Ladder.text(ScreenTests.events, style: LadderStyle(width: 24)))
        #expect(least.count == 6)
        #expect(least[0] == "0.000000 MESSAGE alice>…")
    }

    @Test func lifelinesStandUnderWideNames() {
        let drawn = lines(Ladder.text([ScreenTests.event(0, "日本", "core", "OPTIONS")]))
        // The name takes four columns, its lifeline is under the middle of them.
        let lifeline = drawn[1].prefix { $0 == " " }.count
        #expect(drawn[0].prefix { $0 == " " }.count == lifeline - 2)
    }

    @Test func coloursAreThereOnlyWhenTheyAreAskedFor() {
        let plain = Ladder.text(ScreenTests.events)
        #expect(!plain.contains("\u{1B}"))
        let coloured = Ladder.text(ScreenTests.events, style: LadderStyle(isColoured: true))
        #expect(coloured.replacing(/\u{1B}\[[0-9]*m/, with: "") == plain)
        let drawn = lines(coloured)
        #expect(drawn[2].contains("\u{1B}[36m") && drawn[3].contains("\u{1B}[2m") && drawn[4].contains("\u{1B}[35m"))
        #expect(drawn[6].contains("\u{1B}[33m") && drawn[7].contains("\u{1B}[31m"))
        for line in drawn.dropFirst(2) { #expect(line.components("\u{1B}[0m") == 1) }
    }

    @Test func whatAHopChangedStandsBelowItsMessage() throws {
        let hop = HopDifference(
            node: "core", received: 1,
            difference: MessageDifference(
                from: MessageParts(Array("A sip:a SIP/2.0\r\nMax-Forwards: 70\r\nRoute: <sip:c>\r\n\r\n".utf8)),
                to: MessageParts(Array("A sip:a SIP/2.0\r\nVia: x\r\nMax-Forwards: 69\r\n\r\n".utf8))))
        let text = Ladder.text(ScreenTests.events, hops: [5: hop])
        let below = try #require(text.firstRange(of: "core received #1 and changed\n"))
        let rest = text[below.upperBound...].split(separator: "\n").map { $0.drop { $0 == " " } }
        #expect(rest == ["+ Via: x", "~ Max-Forwards: 70 → 69", "- Route: <sip:c>"])
    }

    @Test func aLadderThatGrowsTellsItsNodesAnew() {
        var feed = LadderFeed()
        let first = lines(feed.text(ScreenTests.events[0]))
        #expect(first.count == 3 && first[0].contains("alice") && first[0].contains("core") && !first[0].contains("im"))
        #expect(lines(feed.text(ScreenTests.events[1])).count == 1)
        let joined = lines(feed.text(ScreenTests.events[2]))
        #expect(joined.count == 3 && joined[0].contains("im"))
        #expect(joined[2].hasPrefix("    0.500100"))
        #expect(lines(feed.text(ScreenTests.events[5])).count == 1)
    }
}

extension String {
    fileprivate func components(_ separator: String) -> Int { split(separator: separator, omittingEmptySubsequences: false).count - 1 }
}
