import SIPLadder
import Testing

@Suite struct LadderTests {
    @Test func drawsAnArrowForEachMessageBetweenItsColumns() {
        let entries = [
            LadderEvent(microseconds: 1_000_000, from: "alice", to: "core", label: "REGISTER", detail: "sip:alice@home1.test"),
            LadderEvent(microseconds: 1_000_412, from: "core", to: "alice", label: "401 Unauthorized"),
            LadderEvent(microseconds: 2_500_000, from: "core", to: "im", label: "REGISTER"),
        ]
        let expected = """
            alice                 core           im
              │                     │             │
            0.000000    │───── REGISTER ─────>│             │    sip:alice@home1.test
            0.000412    │<─ 401 Unauthorized ─│             │
            1.500000    │                     │─ REGISTER ─>│
            """
        #expect(Ladder.text(entries, nodes: ["alice", "core", "im"]).trimmedLines == expected.trimmedLines)
    }

    @Test func isEmptyWithoutMessages() {
        #expect(Ladder.text([], nodes: ["alice"]).isEmpty)
    }

    @Test func leavesOutSilentNodesAndAddsUnnamedOnesLast() {
        let text = Ladder.text(
            [LadderEvent(microseconds: 0, from: "127.0.0.1:9", to: "core", label: "OPTIONS")], nodes: ["alice", "core"])
        let heading = text.split(separator: "\n")[0].split(separator: " ")
        #expect(heading == ["core", "127.0.0.1:9"])
        #expect(text.contains("<"))
    }

    @Test func anArrowAcrossOtherLifelinesPointsAtItsTarget() throws {
        let text = Ladder.text(
            [
                LadderEvent(microseconds: 0, from: "a", to: "b", label: "X"),
                LadderEvent(microseconds: 1, from: "a", to: "c", label: "MESSAGE"),
                LadderEvent(microseconds: 2, from: "b", to: "c", label: "X"),
            ])
        let lines = text.split(separator: "\n").map(Array.init)
        let last = try #require(lines[0].lastIndex(of: "c"))
        #expect(lines[3][last] == "│")
        #expect(lines[3][last - 1] == ">")
        #expect(String(lines[3]).contains(" MESSAGE "))
    }

    @Test func longLabelsAreCutAndControlCharactersAreShown() {
        let label = String(repeating: "x", count: 200) + "\r\n"
        let text = Ladder.text([LadderEvent(microseconds: 0, from: "a", to: "b", label: label, detail: "one\ntwo")])
        #expect(text.split(separator: "\n").count == 3)
        #expect(text.contains("…"))
        #expect(text.contains("one·two"))
        #expect(text.split(separator: "\n").allSatisfy { $0.count < 100 })
    }

    @Test func aMessageOfANodeToItselfKeepsItsLabel() {
        let text = Ladder.text([LadderEvent(microseconds: 0, from: "core", to: "core", label: "REGISTER")])
        #expect(text.contains("⟲ REGISTER"))
    }
}

extension String {
    fileprivate var trimmedLines: [String] {
        split(separator: "\n").map { line in String(line.drop { $0 == " " }) }
    }
}
