import SIPMessage
import SIPTransaction
import SansIO
import Testing

/// Of an answer of ours to a request other than INVITE only our own fields are kept; what the request sent again gets is the same.
struct OwnResponseTests {
    private static let fields = "Contact: <sip:a@192.0.2.9>;expires=600\r\nDate: Sat, 01 Jan 2028 00:00:00 GMT\r\n"

    @Test(arguments: [("OPTIONS", 200), ("MESSAGE", 404), ("REGISTER", 401), ("SUBSCRIBE", 202), ("NOTIFY", 481)])
    func theRequestSentAgainGetsTheSameOctets(_ method: String, _ status: UInt16) throws {
        var rig = Rig()
        let request = incoming(method, parameters: ";rport;x=\"a,b\"")
        let id = try rig.open(request)
        try rig.answer(id, request, status, fields: Self.fields)
        let first = try #require(rig.sent().first)
        #expect(first.text.contains(Self.fields) && first.field("To")?.contains(";tag=") == true)
        for _ in 0..<3 {
            let again = try rig.receive(request)
            #expect(again == .absorbed)
            #expect(rig.sent() == [first])
        }
    }

    @Test func lessThanTheAnswerIsKept() throws {
        var rig = Rig()
        let request = incoming("OPTIONS")
        let id = try rig.open(request)
        try rig.answer(id, request, 200, fields: Self.fields)
        let kept = rig.layer.bytesKept
        #expect(kept > Self.fields.utf8.count && kept < (rig.sent().first?.text.utf8.count ?? 0))
        _ = rig.run(to: 40_000)
        #expect(rig.layer.bytesKept == 0 && !rig.layer.contains(id))
    }

    /// A tag that the layer cannot make again, an INVITE, which it sends again by itself, and a provisional response.
    @Test(arguments: [("OPTIONS", 200, 7 as UInt64?), ("INVITE", 486, nil), ("OPTIONS", 183, nil)])
    func elseTheWholeIsKept(_ method: String, _ status: UInt16, _ tag: UInt64?) throws {
        var rig = Rig()
        let request = incoming(method)
        let id = try rig.open(request)
        try rig.answer(id, request, status, fields: Self.fields, tag: tag)
        let first = try #require(rig.sent().first)
        #expect(rig.layer.bytesKept >= first.text.utf8.count)
        _ = try rig.receive(request)
        #expect(rig.sent() == [first])
    }

    /// Whoever asks again from elsewhere reads where it is now (RFC 3581 §4); the answer goes where the first went.
    @Test func viaSaysWhereTheRequestCameFromThisTime() throws {
        var rig = Rig()
        let request = incoming("OPTIONS", parameters: ";rport")
        let id = try rig.open(request)
        try rig.answer(id, request, 200)
        let first = try #require(rig.sent().first)
        var elsewhere = Rig.udp
        elsewhere.remote.port = 6000
        _ = try rig.receive(request, over: elsewhere)
        let again = try #require(rig.sent().first)
        #expect(again.flow == first.flow)
        #expect(again.text == first.text.replacing("rport=5070", with: "rport=6000"))
    }

    @Test func aCancelIsAnsweredWithTheTagOfTheAnswer() throws {
        var rig = Rig()
        let request = incoming("MESSAGE")
        let id = try rig.open(request)
        try rig.answer(id, request, 200)
        let to = try #require(rig.sent().first?.field("To"))
        #expect(to.hasSuffix(";tag=" + String(decoding: rig.layer.lastTag(of: id), as: UTF8.self)))
    }
}
