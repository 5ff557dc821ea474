import SIPLadder
import SIPTrace
import SansIO
import Testing
import XMLTree

/// The picture and the page: sound, whole, and nobody's message is taken for markup.
@Suite struct LadderPictureTests {
    private static let hostile = "<script>alert(1)</script>&\"'\u{1}"

    private static let model: LadderModel = {
        var trace = Trace()
        trace.add(0, .incoming, request("MESSAGE", branch: "z9hG4bK1", "Subject: \(hostile)\n", body: hostile))
        trace.add(0.1, .outgoing, at: server, peer: hostile, request("MESSAGE", branch: "z9hG4bK2", "P-Served-User: <sip:a@h>\n"))
        trace.add(0.6, .outgoing, at: server, peer: hostile, mark: .dropped, request("MESSAGE", branch: "z9hG4bK2"))
        trace.add(4, .outgoing, response(408, "Request Timeout", "MESSAGE", branch: "z9hG4bK1"))
        return LadderModel(trace.messages)
    }()

    private func elements(_ root: XMLElement, _ kind: String) -> [XMLElement] {
        (root.attribute("class")?.split(separator: " ").contains { $0 == kind } == true ? [root] : [])
            + root.elements.flatMap { elements($0, kind) }
    }

    @Test func thePictureIsXMLWithAnArrowForEachMessage() throws {
        let svg = LadderPicture(Self.model.events, nodes: Self.model.nodes, title: "Trace of \(Self.hostile)").svg
        let root = try XMLTree.parse(Array(svg.utf8))
        #expect(root.name == "svg" && root.namespace == "http://www.w3.org/2000/svg")
        #expect(elements(root, "node").map(\.text) == ["127.0.0.1:40000", "core", "<script>alert(1)</script>&\"'·"])
        #expect(elements(root, "message").count == 3 && elements(root, "fault").count == 1 && elements(root, "timer").count == 1)
        #expect(elements(root, "failure").count == 1)
        #expect(elements(root, "stroke").count == 4 && elements(root, "sign").count == 1)
        #expect(elements(root, "label").map(\.text) == ["MESSAGE", "MESSAGE", "MESSAGE [dropped]", "Timer F", "408 Request Timeout"])
        // Each arrow is between the lines of its lanes.
        let lanes = elements(root, "lane").compactMap { $0.attribute("x1").flatMap { Int($0) } }
        let strokes = elements(root, "stroke").map { stroke in ["x1", "x2"].compactMap { stroke.attribute($0).flatMap { Int($0) } } }
        #expect(lanes == lanes.sorted())
        #expect(
            strokes[0] == [lanes[0], lanes[1] - 2] && strokes[1] == [lanes[1], lanes[2] - 2] && strokes[3] == [lanes[1], lanes[0] + 2])
        let width = try #require(root.attribute("width").flatMap { Int($0) })
        #expect(lanes.allSatisfy { (0..<width).contains($0) })
    }

    @Test func aPictureOfNothingIsStillOne() throws {
        let root = try XMLTree.parse(Array(LadderPicture([], title: "nothing").svg.utf8))
        #expect(root.name == "svg")
    }

    @Test func thePageLeadsFromEachArrowToItsMessage() {
        let html = LadderPage(
            title: "Trace", Self.model, sections: [LadderPage.Section(heading: "Log <of im>", text: "1 < 2 & \(Self.hostile)")]
        ).html
        for sequence in 1...4 {
            #expect(html.contains("href=\"#m\(sequence)\"") && html.contains("<article id=\"m\(sequence)\""))
        }
        #expect(html.contains("<summary>Log &lt;of im&gt;</summary><pre>1 &lt; 2 &amp; &lt;script&gt;alert(1)"))
        #expect(html.contains("core received <a href=\"#m1\">#1</a> and changed:"))
        #expect(html.contains("<th scope=\"row\">P-Served-User</th><td><ins>&lt;sip:a@h&gt;</ins></td>"))
        #expect(html.contains("<dd class=\"fault\">dropped</dd>"))
        // Its own script is the only one.
        #expect(html.split(separator: "<script", omittingEmptySubsequences: false).count == 2)
    }

    @Test func thePageNeedsNothingElse() {
        let html = LadderPage(title: "Trace", Self.model).html
        for word in [" src=", "@import", "url(", "<link", "https://"] { #expect(!html.contains(word), "\(word)") }
        #expect(html.split(separator: "http://", omittingEmptySubsequences: false).count == 2, "only the namespace of SVG")
        #expect(html.contains("default-src 'none'") && html.contains("prefers-color-scheme:dark"))
    }

    @Test func aBodyThatIsNoTextIsShownInOctets() {
        let octets = Array("MESSAGE sip:b SIP/2.0\r\nContent-Length: 4\r\n\r\n".utf8) + [0xFF, 0x00, 0x41, 0xFE]
        let message = TracedMessage(
            sequence: 1, time: WallTime(seconds: 0), direction: .incoming, transport: .wss, local: core, remote: alice, octets: octets)
        #expect(LadderPage(title: "Trace", LadderModel([message])).html.contains("ff 00 41 fe                                      ..A."))
    }
}
