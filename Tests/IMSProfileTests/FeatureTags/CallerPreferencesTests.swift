import SIPMessage
import Testing

@testable import IMSProfile

@Suite("Caller preferences")
struct CallerPreferencesTests {
    private func rating(_ contact: String, _ headers: [String], method: String = "INVITE") throws -> ContactRating {
        try withRequest("\(method) sip:bob@home1.test SIP/2.0", headers) { message in
            let contact = Array(contact.utf8)
            return CallerPreferences(message).rating(contactParameters: contact.span.bytes)
        }
    }

    private func kept(_ preference: Double) -> ContactRating { ContactRating(isDiscarded: false, preference: preference) }
    private let discarded = ContactRating(isDiscarded: true, preference: 0)

    /// The worked example of RFC 3841 §7.2.5, contacts u1 to u5.
    @Test("the worked example of RFC 3841")
    func workedExample() throws {
        let request = [
            "Reject-Contact: *;actor=\"msg-taker\";video", "Accept-Contact: *;audio;require", "Accept-Contact: *;video;explicit",
            "Accept-Contact: *;methods=\"BYE\";class=\"business\";q=1.0",
        ]
        let u1 = try rating(";audio;video;methods=\"INVITE,BYE\";q=0.2", request)
        #expect(!u1.isDiscarded)
        #expect(abs(u1.preference - 2.5 / 3) < 1e-9)
        #expect(try rating(";audio=\"FALSE\";methods=\"INVITE\";actor=\"msg-taker\";q=0.2", request) == discarded)
        #expect(try rating(";audio;actor=\"msg-taker\";methods=\"INVITE\";video;q=0.3", request) == discarded)
        #expect(try rating(";audio;methods=\"INVITE,OPTIONS\";q=0.2", request) == kept(0.5))
        #expect(try rating(";q=0.5", request) == kept(1))
    }

    @Test("a contact without feature tags is immune", arguments: ["", ";q=0.1;expires=60", ";reg-id=1;g.foo;pub-gruu=\"sip:a;gr=b\""])
    func immunity(_ contact: String) throws {
        #expect(try rating(contact, ["Accept-Contact: *;+g.oma.sip-im;require;explicit"]) == kept(1))
        #expect(try rating(contact, ["Reject-Contact: *;+g.oma.sip-im"]) == kept(1))
        #expect(try rating(contact, [], method: "MESSAGE") == kept(1))
    }

    @Test("require and explicit, for a contact that names half of the tags")
    func flagsOfAPartialMatch() throws {
        #expect(try rating(";audio", ["Accept-Contact: *;audio;video"]) == kept(0.5))
        #expect(try rating(";audio", ["Accept-Contact: *;audio;video;require"]) == kept(0.5))
        #expect(try rating(";audio", ["Accept-Contact: *;audio;video;explicit"]) == kept(0))
        #expect(try rating(";audio", ["Accept-Contact: *;audio;video;explicit;require"]) == discarded)
    }

    @Test("require and explicit, for a contact that contradicts")
    func flagsOfAMismatch() throws {
        #expect(try rating(";audio=\"FALSE\"", ["Accept-Contact: *;audio"]) == kept(0))
        #expect(try rating(";audio=\"FALSE\"", ["Accept-Contact: *;audio;explicit"]) == kept(0))
        #expect(try rating(";audio=\"FALSE\"", ["Accept-Contact: *;audio;require"]) == discarded)
        #expect(try rating(";audio=\"FALSE\"", ["Accept-Contact: *;audio;require;explicit"]) == discarded)
    }

    @Test("a predicate that does not match and is not required is left out of the mean")
    func unmatchedIsLeftOut() throws {
        #expect(try rating(";audio;class=\"personal\"", ["Accept-Contact: *;audio, *;class=\"business\""]) == kept(1))
    }

    @Test("Reject-Contact discards only a contact that names all its tags")
    func rejection() throws {
        #expect(try rating(";automata", ["Reject-Contact: *;automata"]) == discarded)
        #expect(try rating(";audio", ["Reject-Contact: *;automata"]) == kept(1))
        #expect(try rating(";automata=\"FALSE\"", ["j: *;automata"]) == kept(1))
        #expect(try rating(";automata;video", ["Reject-Contact: *;audio, *;automata;video"]) == discarded)
        #expect(try rating(";automata", ["Reject-Contact: *"]) == kept(1))
    }

    @Test("lists, negation, numbers and strings")
    func values() throws {
        #expect(try rating(";methods=\"INVITE, message\"", ["Accept-Contact: *;methods=\"MESSAGE\";require"]) == kept(1))
        #expect(try rating(";methods=\"INVITE\"", ["Accept-Contact: *;methods=\"!INVITE\";require"]) == discarded)
        #expect(try rating(";mobility=\"!fixed\"", ["Accept-Contact: *;mobility=\"mobile\";require"]) == kept(1))
        #expect(try rating(";+g.power=\"#>=3\"", ["Accept-Contact: *;+g.power=\"#1:2\";require"]) == discarded)
        #expect(try rating(";+g.power=\"#>=3\"", ["Accept-Contact: *;+g.power=\"#1:2,#=7\";require"]) == kept(1))
        // The `<` of a number opens no string.
        #expect(try rating(";+g.power=\"#<=3,#=7\"", ["Accept-Contact: *;+g.power=\"#=7\";require"]) == kept(1))
        let instance = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\""
        #expect(try rating(";" + instance, ["Accept-Contact: *;" + instance + ";require;explicit"]) == kept(1))
        #expect(try rating(";" + instance, ["Accept-Contact: *;+sip.instance=\"<urn:uuid:other>\";require"]) == discarded)
        #expect(try rating(";+G.OMA.sip-im", ["a: *;+g.oma.SIP-IM;require;explicit"]) == kept(1))
        #expect(try rating(";+g.oma.sip-im.large-message", ["a: *;+g.oma.sip-im;require;explicit"]) == discarded)
    }

    @Test("without either header the method and the event package count")
    func implicitPreferences() throws {
        #expect(try rating(";methods=\"INVITE,MESSAGE\"", [], method: "MESSAGE") == kept(1))
        #expect(try rating(";methods=\"INVITE\"", [], method: "MESSAGE") == discarded)
        #expect(try rating(";audio", [], method: "MESSAGE") == kept(0))
        #expect(try rating(";methods=\"SUBSCRIBE\"", ["Event: presence;id=1"], method: "SUBSCRIBE") == kept(0.5))
        let both = ";methods=\"SUBSCRIBE\";events=\"presence,reg\""
        #expect(try rating(both, ["o: presence"], method: "SUBSCRIBE") == kept(1))
        #expect(try rating(both, ["Event: conference"], method: "SUBSCRIBE") == discarded)
        #expect(try rating(";methods=\"INVITE\"", ["Reject-Contact: *;video"], method: "MESSAGE") == kept(1))
        let areImplicit = try withRequest { CallerPreferences($0).areImplicit }
        #expect(areImplicit)
    }
}
