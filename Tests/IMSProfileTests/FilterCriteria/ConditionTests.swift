import SIPMessage
import Testing

@testable import IMSProfile

@Suite("Service point triggers")
struct ConditionTests {
    private typealias Condition = ServicePointTrigger.Condition

    private func holds(
        _ condition: ServicePointTrigger.Condition, _ startLine: String = "MESSAGE sip:bob@home1.test SIP/2.0", _ headers: [String] = [],
        body: String = "", in context: EvaluationContext = .originating, options: ServiceProfile.Options = .init()
    ) throws -> Bool {
        try withRequest(startLine, headers, body: body) { message in
            let results = try [false, true].map { isNegated in
                let trigger = TriggerPoint(isConjunctive: true, groups: [[ServicePointTrigger(condition, isNegated: isNegated)]])
                return try ServiceProfile(trigger: trigger, options: options).matches(at: 0, message, context)
            }
            #expect(results[0] != results[1], "negation inverts")
            return results[0]
        }
    }

    @Test("the method is compared whole and with case")
    func method() throws {
        #expect(try holds(.method("MESSAGE")))
        #expect(try !holds(.method("MESS")))
        #expect(try !holds(.method("message")))
        #expect(try !holds(.method("PUBLISH")))
        #expect(try holds(.method("CHAT"), "CHAT sip:bob@home1.test SIP/2.0"))
        #expect(try !holds(.method("CHAT"), "CHATS sip:bob@home1.test SIP/2.0"))
        #expect(try !holds(.method("MESSAGE"), "CHAT sip:bob@home1.test SIP/2.0"))
    }

    @Test("registration types limit REGISTER alone")
    func registrationTypes() throws {
        let register = "REGISTER sip:home1.test SIP/2.0"
        for type in RegistrationType.allCases {
            #expect(try holds(.method("REGISTER"), register, in: .registration(type)))
            #expect(try holds(.method("REGISTER", registrationTypes: [type]), register, in: .registration(type)))
            #expect(try holds(.registrationType([type]), register, in: .registration(type)))
            let others = RegistrationType.allCases.filter { $0 != type }
            #expect(try !holds(.method("REGISTER", registrationTypes: others), register, in: .registration(type)))
            #expect(try !holds(.registrationType(others), register, in: .registration(type)))
        }
        #expect(try holds(.method("MESSAGE", registrationTypes: [.initial])))
        #expect(try !holds(.registrationType(RegistrationType.allCases)))
        #expect(try !holds(.method("REGISTER", registrationTypes: [.initial]), register))
    }

    @Test("the session case is compared as it is", arguments: SessionCase.allCases)
    func sessionCase(_ sessionCase: SessionCase) throws {
        for other in SessionCase.allCases {
            let context = EvaluationContext(sessionCase: other, isRegistered: true)
            #expect(try holds(.sessionCase(sessionCase), in: context) == (sessionCase == other))
        }
    }

    static let requestURIs: [(pattern: String, uri: String, holds: Bool, holdsInFull: Bool)] = [
        (#"^conference\.home1\.test$"#, "sip:alice@conference.home1.test", true, false),
        (#"^conference\.home1\.test:5060$"#, "sips:alice@conference.home1.test:5060;lr", true, false),
        ("alice", "sip:alice@home1.test", false, true), ("transport", "sip:home1.test;transport=tcp", false, true),
        ("^sip:", "sip:alice@home1.test", false, true), (#"^\+1555"#, "tel:+15550100;phone-context=x", true, false),
        ("context", "tel:+15550100;phone-context=x", false, true), (#"^\[2001:db8::1\]:5070$"#, "sip:[2001:db8::1]:5070", true, false),
        ("^urn:service:sos", "urn:service:sos.fire", true, true), ("HOME1", "sip:home1.test", false, false),
    ]

    @Test("the Request-URI is searched in host and port or number, or in full", arguments: requestURIs)
    func requestURI(_ example: (pattern: String, uri: String, holds: Bool, holdsInFull: Bool)) throws {
        var options = ServiceProfile.Options()
        #expect(try holds(.requestURI(example.pattern), "MESSAGE \(example.uri) SIP/2.0") == example.holds)
        options.requestURIScopeIsFull = true
        #expect(try holds(.requestURI(example.pattern), "MESSAGE \(example.uri) SIP/2.0", options: options) == example.holdsInFull)
    }

    static let headers: [(condition: ServicePointTrigger.Condition, headers: [String], holds: Bool)] = [
        (.header("Subject"), ["Subject: x"], true), (.header("subject"), ["s: x"], true), (.header("Subject"), [], false),
        (.header("Subject"), ["Subject:"], true),
        // As a name an expression without metacharacters finds nothing longer.
        (.header("Contact"), ["Accept-Contact: *;audio"], false), (.header("To"), ["Reply-To: <sip:a@b>"], false),
        // Compact names, in the request and in the criterion.
        (.header("Accept-Contact"), ["a: *;audio"], true), (.header("Event"), ["o: reg"], true),
        (.header("j"), ["Reject-Contact: *"], true),
        (.header("Session-Expires"), ["x: 90"], true), (.header("Allow-Events"), ["u: reg"], true),
        (.header("b"), ["Referred-By: <sip:a@b>"], true),
        // Names that are not known by number.
        (.header("X-Tag"), ["x-tag: 1"], true), (.header("X-Tag"), ["X-Tags: 1"], false),
        (.header("X-Tag", content: "^2$"), ["X-Tag: 1", "X-Tag: 2"], true),
        // Expressions for names are searched without case, in the long form.
        (.header(".*Contact"), ["a: *;audio"], true), (.header("^(Accept|Reject)-contact$"), ["j: *;audio"], true),
        (.header("^a$"), ["a: *"], false),
        (.header("^X-.*"), ["x-anything: 1"], true), (.header("^X-.*", content: "2"), ["x-anything: 1"], false),
        (.header("^X-.*", content: "2"), ["x-anything: 1", "X-Other: 2"], true),
        // Content: any line, each as received.
        (.header("Accept-Contact", content: "^\\*;b"), ["Accept-Contact: *;a", "Accept-Contact: *;b"], true),
        (.header("Accept-Contact", content: "^\\*;b"), ["Accept-Contact: *;a, *;b"], false),
        (.header("Accept-Contact", content: "a, \\*;b$"), ["Accept-Contact: *;a, *;b"], true),
        (.header("Subject", content: "^one two  three$"), ["Subject: one \r\n\t two  three"], true),
        (.header("Subject", content: "onetwo"), ["Subject: one\r\n two"], false),
        (.header("Subject", content: "^$"), ["Subject:  "], true), (.header("Subject", content: "^$"), [], false),
        (.header("Accept-Contact", content: #".*\+g\.oma\.sip-im([;,=[:space:]]|$).*"#), ["a: *;+g.oma.sip-im"], true),
        (.header("Accept-Contact", content: #".*\+g\.oma\.sip-im([;,=[:space:]]|$).*"#), ["a: *;+g.oma.sip-im.large-message"], false),
        (.featureTag("+g.oma.sip-im"), ["a: *;+g.oma.sip-im;require"], true),
        (.featureTag("+g.oma.sip-im"), ["a: *;+g.oma.sip-im.x"], false),
    ]

    @Test("headers by name and content", arguments: headers)
    func header(_ example: (condition: ServicePointTrigger.Condition, headers: [String], holds: Bool)) throws {
        #expect(try holds(example.condition, headers: example.headers) == example.holds)
    }

    private func holds(_ condition: ServicePointTrigger.Condition, headers: [String]) throws -> Bool {
        try holds(condition, "MESSAGE sip:bob@home1.test SIP/2.0", headers)
    }

    @Test("header contents have case, unless the option takes it from them")
    func contentCase() throws {
        let condition = ServicePointTrigger.Condition.header("User-Agent", content: "IM-serv")
        #expect(try !holds(condition, headers: ["User-Agent: im-SERV/1"]))
        var options = ServiceProfile.Options()
        options.headerContentIgnoresCase = true
        #expect(try holds(condition, "MESSAGE sip:bob@home1.test SIP/2.0", ["User-Agent: im-SERV/1"], options: options))
    }

    private static let description = "v=0\r\nm=message 7654 TCP/MSRP *\r\na=accept-types:text/plain\r\n"

    static let descriptions: [(line: String, content: String?, holds: Bool)] = [
        ("m", nil, true), ("m", "^message", true), ("^m$", "TCP/MSRP \\*$", true), ("a", "^accept-types:text/plain$", true),
        ("[am]", "plain", true), ("m", "audio", false), ("k", nil, false), ("m=", nil, false), ("M", nil, false), ("v", "^0$", true),
    ]

    @Test("lines of a session description, in a body or a part of one", arguments: descriptions)
    func sessionDescription(_ example: (line: String, content: String?, holds: Bool)) throws {
        let condition = Condition.sessionDescription(line: example.line, content: example.content)
        let invite = "INVITE sip:bob@home1.test SIP/2.0"
        let multipart = """
            preamble\r\n--b 1\r\nContent-Type: text/plain\r\n\r\nm=no description\r\n--b 1 \r\ncontent-type : application/SDP;x=y\r\n\
            Content-ID: <a>\r\n\r\n\(Self.description)\r\n--b 1\r\nContent-Type: application/sdp\r\n\r\nk=second\r\n--b 1--\r\nepilogue
            """
        let nested = "--o\r\nContent-Type: multipart/mixed;\r\n boundary=\"b 1\"\r\n\r\n\(multipart)\r\n--o--\r\n"
        #expect(try holds(condition, invite, ["c: application/sdp"], body: Self.description) == example.holds)
        #expect(
            try holds(condition, invite, ["c: application/sdp"], body: Self.description.split(separator: "\r\n").joined(separator: "\n"))
                == example.holds)
        #expect(try holds(condition, invite, ["Content-Type: multipart/mixed;boundary=\"b 1\""], body: multipart) == example.holds)
        #expect(try holds(condition, invite, ["Content-Type: Multipart/Related; boundary=o"], body: nested) == example.holds)
        #expect(try !holds(condition, invite, ["Content-Type: text/plain"], body: Self.description))
        #expect(try !holds(condition, invite, [], body: Self.description))
    }

    static let brokenMultiparts: [(contentType: String, body: String)] = [
        ("multipart/mixed", "--b\r\nContent-Type: application/sdp\r\n\r\nm=x\r\n--b--"),
        ("multipart/mixed;boundary=b", ""), ("multipart/mixed;boundary=\"\"", "--\r\nContent-Type: application/sdp\r\n\r\nm=x\r\n----"),
        ("multipart/mixed;boundary=b", "--bb\r\nContent-Type: application/sdp\r\n\r\nm=x\r\n"),
        ("multipart/mixed;boundary=b", "--b\r\nContent-Type: application/sdp\r\n"), ("multipart/mixed;boundary=b", "--b\r\n\r\n\r\nm=x"),
        ("multipart/mixed;boundary=b", "--b--\r\nContent-Type: application/sdp\r\n\r\nm=x"), ("multipart", "--"), ("/;boundary=b", "--b"),
    ]

    @Test("a broken multipart body has no session description", arguments: brokenMultiparts)
    func brokenMultipart(_ example: (contentType: String, body: String)) throws {
        let condition = Condition.sessionDescription(line: "m")
        #expect(try !holds(condition, "INVITE sip:bob@home1.test SIP/2.0", ["Content-Type: \(example.contentType)"], body: example.body))
    }

    @Test("a part that is not closed goes to the end of the body")
    func unclosedPart() throws {
        let condition = Condition.sessionDescription(line: "m", content: "^x$")
        let body = "--b\r\nContent-Type: application/sdp\r\n\r\nm=x"
        #expect(try holds(condition, "INVITE sip:bob@home1.test SIP/2.0", ["Content-Type: multipart/mixed;boundary=b"], body: body))
    }
}
