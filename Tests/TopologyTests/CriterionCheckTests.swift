// What is said of criteria that are each in order and do not go together.

import Testing
import Topology

@Suite struct CriterionCheckTests {
    /// The warnings about the criteria of a profile that alice has; the first criterion is on line 8.
    private func warnings(_ criteria: [String]) -> [String] {
        let lines = criteria.map { "      - \($0)\n" }.joined()
        return faults(
            """
            domain: home1.test
            application_servers:
              {im: {uri: "sip:127.0.0.1:5080"}, other: {uri: "sip:127.0.0.1:5090"}}
            service_profiles:
              q: {filter_criteria: [{priority: 0, application_server: im}, {priority: 1, application_server: other}]}
              p:
                filter_criteria:
            \(lines)subscribers:
              alice: {password: x, service_profile: p}

            """)
    }

    private func warning(_ trigger: String) -> [String] { warnings(["{priority: 0, application_server: im, \(trigger)}"]) }

    @Test(arguments: [
        (
            "trigger: [[{method: PUBLISH}], [{method: MESSAGE}]]",
            "'method: PUBLISH' and 'method: MESSAGE' exclude each other; write both in one group, if either will do, or two criteria"
        ),
        (
            "trigger: [[{method: REGISTER}], [{session_case: terminating}]]",
            "'method: REGISTER' and 'session_case: terminating' exclude each other; "
                + "write both in one group, if either will do, or two criteria"
        ),
        (
            "trigger: [[{header: Subject}], [{not: {header: Subject}}]]",
            "'header: Subject' and 'not: {header: Subject}' exclude each other; "
        ),
        (
            "trigger: [[{feature_tag: +g.a}], [{not: {header: Accept-Contact}}]]",
            "'feature_tag: +g.a' and 'not: {header: Accept-Contact}' exclude each other; "
        ),
        (
            "trigger: [[{header: Subject, content: a}], [{not: {header: Subject}}]]",
            "'header: Subject, content: a' and 'not: {header: Subject}' exclude each other; "
        ),
        (
            "profile_part: registered, trigger: [[{session_case: terminating_unregistered}]]",
            "'session_case: terminating_unregistered' and 'profile_part: registered' exclude each other; "
        ),
    ]) func whatCanNeverHold(trigger: String, text: String) throws {
        let found = warning(trigger)
        #expect(found.count == 1)
        let first = try #require(found.first)
        #expect(first.contains(": warning: the criterion can never hold: \(text)"), "\(first)")
        #expect(first.hasPrefix("8:"))
        // The group at fault is pointed at.
        let line = "      - {priority: 0, application_server: im, \(trigger)}"
        let place = try #require(Int(first.split(separator: ":")[1]))
        #expect(line.dropFirst(place - 1).hasPrefix("[{"), "\(first)")
    }

    @Test func threeGroupsMayExcludeOneAnother() {
        #expect(
            warning(
                "trigger: [[{session_case: originating}], [{registration_type: initial}, {session_case: terminating}], [{method: PUBLISH}]]"
            )
                == ["8:9: warning: the criterion can never hold: its conditions exclude each other; write two criteria"])
    }

    @Test func aGroupThatCanNeverHoldIsAWayTooFew() {
        #expect(
            warning("trigger_dnf: [[{method: PUBLISH}], [{method: MESSAGE}, {method: INVITE}]]").map { $0.drop { $0 != " " } } == [
                " warning: this group can never hold: 'method: MESSAGE' and 'method: INVITE' exclude each other; leave it out"
            ])
    }

    @Test(arguments: [
        "trigger: [[{method: PUBLISH}, {method: MESSAGE}], [{session_case: originating}]]",
        "trigger: [[{method: REGISTER, registration_type: [initial, deregistration]}], [{session_case: originating}]]",
        "trigger: [[{not: {method: REGISTER}}], [{session_case: terminating}, {session_case: originating_cdiv}]]",
        "profile_part: unregistered, trigger: [[{session_case: originating_cdiv}]]",
        "trigger: [[{header: Subject, content: a}], [{not: {header: Subject, content: b}}], [{header: Subject}]]",
        "trigger: [[{session_description: m, content: audio}], [{session_description: m}], [{request_uri: home1}]]",
        "trigger_dnf: [[{method: PUBLISH}, {session_case: originating}], [{method: MESSAGE}]]",
        "profile_part: registered",
    ]) func whatMayHoldIsPassedOver(trigger: String) {
        #expect(warning(trigger) == [])
    }

    @Test func whatGoesToOneServerTwiceIsSaid() {
        let criteria = [
            "{priority: 0, application_server: im, trigger: [[{method: MESSAGE}, {method: PUBLISH}]]}",
            "{priority: 1, application_server: other, trigger: [[{method: MESSAGE}]]}",
            "{priority: 2, application_server: im, trigger: [[{method: MESSAGE}], [{session_case: originating}]]}",
        ]
        #expect(
            warnings(criteria) == [
                "10:9: warning: each request that this criterion takes has gone to 'im' by that of priority 0 already, "
                    + "and would go there twice; leave one of them out, or say in it which requests the other does not take"
            ])
        // The narrower one first is no repetition of all, and another body is told besides.
        #expect(warnings([criteria[2], criteria[1].replacing("other", with: "im").replacing("1", with: "9")]) == [])
        #expect(
            warnings([
                "{priority: 0, application_server: im, trigger: [[{method: REGISTER}]]}",
                "{priority: 1, application_server: im, service_info: x, trigger: [[{method: REGISTER}]]}",
            ]) == [])
    }

    @Test func whatTheShortFormBringsASecondTimeIsSaid() {
        func found(_ criteria: String) -> [String] {
            faults(
                """
                domain: home1.test
                application_servers:
                  im: {uri: "sip:127.0.0.1:5080", feature_tags: [+g.a]}
                  other: {uri: "sip:127.0.0.1:5090", feature_tags: [+g.b]}
                service_profiles: {p: {filter_criteria: [\(criteria)]}}
                subscribers:
                  alice: {password: x, service_profile: p, application_servers: [other, im]}

                """)
        }
        let end = "already, and would go there twice; leave 'im' out here, or say in that criterion which it does not take"
        #expect(
            found("{priority: 4, application_server: im, trigger: [[{method: REGISTER}]]}") == [
                "7:73: warning: each REGISTER goes there by the criterion of priority 4 \(end)"
            ])
        #expect(
            found("{priority: 2, application_server: im, trigger: [[{feature_tag: +g.A}], [{not: {method: REGISTER}}]]}") == [
                "7:73: warning: each request with a feature tag of 'im' goes there by the criterion of priority 2 \(end)"
            ])
        #expect(found("{priority: 2, application_server: im, trigger: [[{feature_tag: +g.A}], [{method: MESSAGE}]]}") == [])
    }

    @Test(arguments: ["^sip:.*@home1", "sip:bob", "tel:", "^sips:bob"])
    func anExpressionForWhatIsNotLookedAtNeverMatches(_ expression: String) {
        let found = warning("trigger: [[{request_uri: '\(expression)'}]]")
        #expect(found.count == 1)
        #expect(
            found.first?.hasSuffix(
                "warning: request_uri is searched in host and port, or in the number, so '\(expression)' never matches; "
                    + "leave the scheme out, or write core.request_uri_scope: full") == true)
    }

    @Test func itMayMatchWhereTheWholeIsSearched() {
        #expect(
            faults(
                """
                domain: home1.test
                core: {request_uri_scope: full}
                application_servers: {im: {uri: "sip:127.0.0.1:5080"}}
                service_profiles: {p: {filter_criteria: [{priority: 0, application_server: im, trigger: [[{request_uri: '^sip:bob'}]]}]}}

                """) == [])
    }

    @Test func onePriorityForTwoIsNoOrder() {
        #expect(
            warnings([
                "{priority: 3, application_server: im, trigger: [[{method: MESSAGE}]]}",
                "{priority: 3, application_server: other, trigger: [[{method: MESSAGE}]]}",
            ]) == [
                "9:9: warning: priority 3 is that of an earlier criterion too, and which comes first only the document says; "
                    + "write another number"
            ])
    }

    @Test func aServerThatNobodyUsesIsIdle() {
        let text = """
            domain: home1.test
            application_servers:
              im: {uri: "sip:127.0.0.1:5080", feature_tags: [+g.a]}
              spare: {uri: "sip:127.0.0.1:5090", feature_tags: [+g.b]}
              idle: {uri: "sip:127.0.0.1:5091", run: im-server}
              sender: {uri: "sip:127.0.0.1:5092", command: [./as]}
            subscribers:
              alice: {password: x, application_servers: [im]}

            """
        let rest =
            "so the core sends it nothing; write it under application_servers of those that it serves, or in their service_profile, "
            + "or leave it so if it only sends requests of its own"
        #expect(
            faults(text) == [
                "4:3: warning: no criterion names 'spare', \(rest)",
                "5:3: warning: no criterion names 'idle', \(rest)",
                "6:3: warning: no criterion names 'sender', \(rest)",
            ])
        // Those who come later may name them.
        #expect(faults(String(text[..<(text.firstRange(of: "subscribers:")?.lowerBound ?? text.endIndex)])) == [])
    }

    /// What is odd is told beside what is wrong elsewhere, all in one go.
    @Test func anErrorElsewhereHidesNothing() {
        let text = """
            domain: home1.test
            application_servers:
              im: {uri: "sip:127.0.0.1:5080", feature_tags: [+g.a]}
              spare: {uri: "sip:127.0.0.1:5090", feature_tags: [+g.b]}
            service_profiles:
              p:
                filter_criteria:
                  - {priority: 1, application_server: im, trigger: [[{header: Subject, content: bad}], [{method: OPTIONS}]]}
                  - {priority: 2, application_server: im, trigger: [[{method: PUBLISH}], [{method: MESSAGE}]]}
            subscribers:
              alice: {password: x, service_profile: p}

            """
        let found = faults(text, expressionFault: { $0 == "bad" ? "refused; write another" : nil })
        #expect(
            found.map { $0.prefix { $0 != ";" } } == [
                "4:3: warning: no criterion names 'spare', so the core sends it nothing",
                "8:85: error: refused",
                "9:78: warning: the criterion can never hold: 'method: PUBLISH' and 'method: MESSAGE' exclude each other",
            ])
    }

    @Test func aDocumentsCriteriaAreLookedAtToo() {
        let document = """
            <IMSSubscription><PrivateID>dave@home1.test</PrivateID><ServiceProfile>
            <PublicIdentity><Identity>sip:dave@home1.test</Identity></PublicIdentity>
            <InitialFilterCriteria><Priority>0</Priority><TriggerPoint><ConditionTypeCNF>1</ConditionTypeCNF>
            <SPT><Group>0</Group><Method>PUBLISH</Method></SPT><SPT><Group>1</Group><Method>MESSAGE</Method></SPT></TriggerPoint>
            <ApplicationServer><ServerName>sip:127.0.0.1:5080</ServerName></ApplicationServer></InitialFilterCriteria>
            </ServiceProfile></IMSSubscription>
            """
        let text = """
            domain: home1.test
            application_servers: {im: {uri: "sip:127.0.0.1:5080"}}
            subscribers: {dave: {password: x, profile_xml: dave.xml}}

            """
        let found = read(text, files: ["/home/me/lab/dave.xml": document]).faults.map(\.description)
        #expect(
            found == [
                "lab/dave.xml:3:1: warning: the criterion can never hold: 'method: PUBLISH' and 'method: MESSAGE' exclude each other; "
                    + "write both in one group, if either will do, or two criteria"
            ])
    }
}
