import SIPMessage
import Testing

@testable import IMSProfile

@Suite("Feature tags that a request asks for")
struct FeatureTagTests {
    private func asks(_ headers: [String], for tag: String = "+g.oma.sip-im") throws -> Bool {
        try withRequest("PUBLISH sip:alice@home1.test SIP/2.0", headers) { message in
            let tag = Array(tag.utf8)
            return message.asksFor(tag.span.bytes)
        }
    }

    static let asking: [[String]] = [
        ["Accept-Contact: *;+g.oma.sip-im"],
        ["Accept-Contact: *;+g.oma.sip-im;require;explicit"],
        ["a: *;+G.OMA.SIP-IM"],
        ["Accept-Contact: * ; +g.oma.sip-im ; require"],
        ["Accept-Contact: *;+g.oma.sip-im=\"TRUE\""],
        ["Accept-Contact: *;audio, *;video;+g.oma.sip-im"],
        ["Accept-Contact: *;audio", "Accept-Contact: *;+g.oma.sip-im"],
        ["Accept-Contact: *;audio;description=\"<a,b;c>\";+g.oma.sip-im"],
        ["Accept-Contact: *;audio,\r\n *;+g.oma.sip-im"],
    ]

    @Test("asked for", arguments: asking)
    func isAskedFor(_ headers: [String]) throws {
        #expect(try asks(headers))
    }

    static let notAsking: [[String]] = [
        [],
        ["Accept-Contact: *"],
        ["Accept-Contact: *;+g.oma.sip-im.large-message"],
        ["Accept-Contact: *;g.oma.sip-im"],
        ["Accept-Contact: *;+g.oma.sip-im=\"FALSE\""],
        ["Accept-Contact: *;+g.oma.sip-im=\"!TRUE\""],
        ["Accept-Contact: +g.oma.sip-im"],
        ["Accept-Contact: *+g.oma.sip-im"],
        ["Accept-Contact: *;description=\"<;+g.oma.sip-im;>\""],
        ["Reject-Contact: *;+g.oma.sip-im"],
        ["Contact: <sip:alice@192.0.2.1>;+g.oma.sip-im"],
    ]

    @Test("not asked for", arguments: notAsking)
    func isNotAskedFor(_ headers: [String]) throws {
        #expect(try !asks(headers))
    }

    @Test("a longer tag is asked for as itself")
    func longerTag() throws {
        #expect(try asks(["Accept-Contact: *;+g.oma.sip-im.large-message"], for: "+g.oma.sip-im.large-message"))
        #expect(try asks(["Accept-Contact: *;audio"], for: "audio"))
    }

    @Test("base tags stand without a plus, all others with one")
    func tellsFeatureTags() {
        let base = [
            "audio", "application", "data", "control", "video", "text", "automata", "class", "duplex", "mobility", "description", "events",
            "priority", "methods", "schemes", "extensions", "isfocus", "actor", "language", "type", "+g.oma.sip-im", "+sip.instance",
            "AUDIO",
        ]
        let others = ["q", "expires", "require", "explicit", "reg-id", "g.oma.sip-im", "+", "audios", "", "pub-gruu"]
        for name in base + others {
            let bytes = Array(name.utf8)
            let isFeatureTag = bytes.span.bytes.isFeatureTag(Slice(0, bytes.count))
            #expect(isFeatureTag == base.contains(name), "\(name)")
        }
    }
}
