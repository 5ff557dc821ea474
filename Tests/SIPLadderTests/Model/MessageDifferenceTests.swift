import SIPLadder
import Testing

@Suite struct MessageDifferenceTests {
    private func changes(_ before: String, _ after: String) -> [String] {
        func parts(_ headers: String) -> MessageParts {
            MessageParts(Array("MESSAGE sip:bob@home1.test SIP/2.0\r\n\(headers.replacing("\n", with: "\r\n"))\r\n\r\n".utf8))
        }
        return MessageDifference(from: parts(before), to: parts(after)).changes.map { "\($0.sign) \($0.text)" }
    }

    @Test func nothingChangedIsNothing() {
        #expect(changes("Via: a\nv: b\nTo: x", "v: a, b\nt: x").isEmpty)
    }

    @Test func whatAProxyDoesIsNamed() {
        let before = """
            v: SIP/2.0/UDP 127.0.0.1:40000;branch=z9hG4bK1;rport
            Route: <sip:core;lr>
            Max-Forwards: 70
            f: <sip:alice@home1.test>;tag=1
            P-Preferred-Identity: <sip:alice@home1.test>
            """
        let after = """
            Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK2
            Via: SIP/2.0/UDP 127.0.0.1:40000;branch=z9hG4bK1;rport=40000
            Route: <sip:im;lr>, <sip:core;lr;odi=1>
            Max-Forwards: 69
            From: <sip:alice@home1.test>;tag=1
            P-Asserted-Identity: <sip:alice@home1.test>
            """
        #expect(
            changes(before, after) == [
                "+ Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK2",
                "~ Via: SIP/2.0/UDP 127.0.0.1:40000;branch=z9hG4bK1;rport → SIP/2.0/UDP 127.0.0.1:40000;branch=z9hG4bK1;rport=40000",
                "+ Route: <sip:im;lr>", "~ Route: <sip:core;lr> → <sip:core;lr;odi=1>", "~ Max-Forwards: 70 → 69",
                "- P-Preferred-Identity: <sip:alice@home1.test>", "+ P-Asserted-Identity: <sip:alice@home1.test>",
            ])
    }

    @Test func theValueThatIsMostAlikeIsTheOneThatChanged() {
        let via = "SIP/2.0/UDP 127.0.0.1:40001;branch=z9hG4bK1"
        #expect(
            changes("Via: \(via);rport", "Via: SIP/2.0/UDP 127.0.0.1:40002;branch=z9hG4bK2, \(via);rport=40001") == [
                "+ Via: SIP/2.0/UDP 127.0.0.1:40002;branch=z9hG4bK2", "~ Via: \(via);rport → \(via);rport=40001",
            ])
    }

    @Test func valuesInQuotesAreOneEach() {
        #expect(changes(#"Route: "a, b" <sip:x,y>"#, #"Route: <sip:new>, "a, b" <sip:x,y>"#) == ["+ Route: <sip:new>"])
    }

    @Test func startLineAndBodyAreComparedToo() {
        let one = MessageParts(Array("MESSAGE sip:a SIP/2.0\r\nContent-Length: 2\r\n\r\nhi".utf8))
        let other = MessageParts(Array("MESSAGE sip:b SIP/2.0\r\nContent-Length: 3\r\n\r\nhey".utf8))
        #expect(
            MessageDifference(from: one, to: other).changes.map(\.text) == [
                "start line: MESSAGE sip:a SIP/2.0 → MESSAGE sip:b SIP/2.0", "Content-Length: 2 → 3", "body: 2 octets → 3 octets",
            ])
    }
}
