// What each condition makes of a request, in words, and how near a criterion was to taking it.

import IMSProfile
import SIPMessage
import Testing

@Suite struct ExplanationTests {
    private static let headers = [
        "a: *;+g.oma.sip-im.large-message", "X-Mark: one", "X-Mark: two", "Content-Type: application/sdp",
    ]

    private func verdict(
        _ trigger: TriggerPoint?, sessionCase: SessionCase = .originating, isRegistered: Bool = true, part: ProfilePart? = nil,
        type: RegistrationType? = nil
    ) throws -> CriterionVerdict {
        var faults: [CriterionFault] = []
        let criterion = InitialFilterCriterion(
            priority: 10, profilePart: part, trigger: trigger, applicationServer: ApplicationServer(uri: "sip:127.0.0.1:5080"))
        let profile = ServiceProfile([criterion], faults: &faults)
        try #require(faults.isEmpty)
        return try withRequest(
            "MESSAGE sip:bob@home2.test:5061 SIP/2.0", ExplanationTests.headers, body: "v=0\r\nm=audio 4000 RTP/AVP 0\r\n"
        ) { message in
            profile.verdict(
                at: 0, message, EvaluationContext(sessionCase: sessionCase, isRegistered: isRegistered, registrationType: type))
        }
    }

    private func one(_ condition: ServicePointTrigger.Condition, isNegated: Bool = false) -> TriggerPoint {
        TriggerPoint(isConjunctive: true, groups: [[ServicePointTrigger(condition, isNegated: isNegated)]])
    }

    @Test func eachConditionIsShownWithWhatTheRequestHas() throws {
        let expected: [(ServicePointTrigger.Condition, String, String?, String)] = [
            (.method("PUBLISH"), "method: PUBLISH", "MESSAGE", "the method PUBLISH; the method is MESSAGE"),
            (
                .requestURI("^home1"), "request_uri: '^home1'", "home2.test:5061",
                "the Request-URI to match `^home1`; it has `home2.test:5061`"
            ),
            (.header("Subject"), "header: Subject", nil, "a header field Subject; the message has no Subject"),
            (
                .header("X-Mark", content: "it's"), "header: X-Mark, content: 'it''s'", "one, two",
                "X-Mark to match `it's`; the message has `one, two`"
            ),
            (
                .header("^X-M", content: "three"), "header: ^X-M, content: 'three'", "X-Mark: one, X-Mark: two",
                "^X-M to match `three`; the message has `X-Mark: one, X-Mark: two`"
            ),
            (
                .sessionCase(.terminatingUnregistered), "session_case: terminating_unregistered", "originating",
                "the session case terminating_unregistered; the session case is originating"
            ),
            (
                .sessionDescription(line: "m", content: "video"), "session_description: m, content: 'video'", "m=audio 4000 RTP/AVP 0",
                "a line m= that matches `video` in its session description; it has `m=audio 4000 RTP/AVP 0`"
            ),
            (
                .sessionDescription(line: "b"), "session_description: b", nil,
                "a line b= in its session description; it has none"
            ),
            (
                .featureTag("+g.oma.sip-im"), "feature_tag: +g.oma.sip-im", "*;+g.oma.sip-im.large-message",
                "Accept-Contact to ask for `+g.oma.sip-im`; the message has `*;+g.oma.sip-im.large-message`"
            ),
            (
                .registrationType([.initial, .deregistration]), "registration_type: [initial, deregistration]", nil,
                "a REGISTER of the type initial or deregistration; it is no REGISTER"
            ),
        ]
        for (condition, text, value, miss) in expected {
            let shown = try verdict(one(condition))
            let first = try #require(shown.groups.first?.first)
            #expect(first.condition == text)
            #expect(first.value == value)
            #expect(!first.holds)
            #expect(shown.miss(server: "im") == "criterion 10 for `im` needs \(miss)")
            // The opposite holds, and says so.
            let opposite = try verdict(one(condition, isNegated: true))
            #expect(opposite.groups.first?.first?.condition == "not: {\(text)}")
            #expect(opposite.groups.first?.first?.holds == true)
            #expect(opposite.isFulfilled)
            #expect(opposite.miss(server: "im") == nil)
        }
    }

    @Test func whatHoldsAndShouldNotIsNamedToo() throws {
        let expected: [(ServicePointTrigger.Condition, String)] = [
            (.method("MESSAGE"), "another method than MESSAGE; the method is MESSAGE"),
            (.requestURI("home2"), "the Request-URI not to match `home2`; it has `home2.test:5061`"),
            (.header("x-mark"), "no header field x-mark; the message has `one, two`"),
            (.header("X-Mark", content: "two"), "X-Mark not to match `two`; the message has `one, two`"),
            (.sessionCase(.originating), "another session case than originating; the session case is originating"),
            (.sessionDescription(line: "m"), "no line m= in its session description; it has `m=audio 4000 RTP/AVP 0`"),
            (
                .featureTag("+g.oma.sip-im.large-message"),
                "Accept-Contact not to ask for `+g.oma.sip-im.large-message`; the message has `*;+g.oma.sip-im.large-message`"
            ),
        ]
        for (condition, miss) in expected {
            let shown = try verdict(one(condition, isNegated: true))
            #expect(shown.miss(server: "im") == "criterion 10 for `im` needs \(miss)")
        }
    }

    @Test func anyConditionOfAGroupWouldDo() throws {
        let trigger = TriggerPoint(
            isConjunctive: true,
            groups: [
                [ServicePointTrigger(.method("PUBLISH")), ServicePointTrigger(.method("SUBSCRIBE"))],
                [ServicePointTrigger(.header("X-Mark"))],
            ])
        #expect(
            try verdict(trigger).miss(server: "im")
                == "criterion 10 for `im` needs the method PUBLISH or the method SUBSCRIBE; the method is MESSAGE")
    }

    @Test func theShortestWayIsTold() throws {
        let trigger = TriggerPoint(
            isConjunctive: false,
            groups: [
                [ServicePointTrigger(.method("PUBLISH")), ServicePointTrigger(.sessionCase(.terminating))],
                [ServicePointTrigger(.method("MESSAGE")), ServicePointTrigger(.sessionCase(.terminating))],
            ])
        #expect(
            try verdict(trigger).miss(server: "im")
                == "criterion 10 for `im` needs the session case terminating; the session case is originating")
    }

    @Test func theProfilePartCountsAsACondition() throws {
        let shown = try verdict(one(.method("MESSAGE")), part: .unregistered)
        #expect(shown.profilePart?.condition == "profile_part: unregistered")
        #expect(shown.profilePart?.holds == false)
        #expect(shown.miss(server: "im") == "criterion 10 for `im` needs the user to be not registered; the user is registered")
    }

    @Test func nearerIsWhatLacksLess() throws {
        let method = try verdict(one(.method("REGISTER")))
        let tag = try verdict(one(.featureTag("+g.oma.sip-im")))
        func publish(with header: String) throws -> CriterionVerdict {
            let groups = [[ServicePointTrigger(.method("PUBLISH"))], [ServicePointTrigger(.header(header))]]
            return try verdict(TriggerPoint(isConjunctive: true, groups: groups))
        }
        let both = try publish(with: "Subject")
        let methodOfMany = try publish(with: "X-Mark")
        #expect(tag.isNearer(than: method))
        #expect(method.isNearer(than: both))
        #expect(methodOfMany.isNearer(than: method))
        #expect(!method.isNearer(than: method))
    }

    @Test func withoutATriggerItIsAlwaysFulfilled() throws {
        let shown = try verdict(nil)
        #expect(shown.isFulfilled && shown.groups.isEmpty && shown.miss(server: "im") == nil)
    }
}
