// Names, identities, credentials and criteria of subscribers, and who may claim them.
import Testing
import Topology

@Suite struct FieldFaultTests {
    @Test(arguments: [
        ("'u{0..9': {}", "3:3: error: the range in 'u{0..9' has no end; write one such as u{0000..0999}"),
        ("'u{9..0}': {}", "3:3: error: the range '{9..0}' runs backwards; write {0..9}"),
        ("'u{00..9}': {}", "3:3: error: the numbers of '{00..9}' differ in width; write {00..09}"),
        ("'u{1-9}': {}", "3:3: error: '{1-9}' is no range of numbers; write two with two dots between, as in u{0000..0999}"),
        ("'u{a..z}': {}", "3:3: error: '{a..z}' is no range of numbers; write two of up to 18 digits, as in u{0000..0999}"),
        ("'u{0..9}x{0..9}': {}", "3:3: error: 'u{0..9}x{0..9}' has more than one range; write one, as in u{0000..0999}"),
        (
            "'u{0..1000000000000000000}': {}",
            "3:3: error: '{0..1000000000000000000}' is no range of numbers; write two of up to 18 digits, as in u{0000..0999}"
        ),
        ("'u}': {}", "3:3: error: '}' in 'u}' closes nothing; write a range such as u{0000..0999}"),
        ("'a b': {}", "3:3: error: 'a b' is no name of a subscriber; write letters, digits, '.', '_', '+' or '-'"),
        ("a: {public_identities: [alice@home1.test]}", "3:27: error: 'alice@home1.test' is no public identity; write sip:alice@home1.test"),
        ("a: {public_identities: ['+15550100']}", "3:27: error: '+15550100' is no public identity; write tel:+15550100"),
        (
            "a: {public_identities: ['tel:5550100']}",
            "3:27: error: 'tel:5550100' is a local number without its context; write tel:+..., or ;phone-context= behind it"
        ),
        ("a: {public_identities: ['tel:+1555x']}", "3:27: error: 'tel:+1555x' is no telephone number; write one such as tel:+15550100"),
        ("a: {public_identities: ['sip:home1.test']}", "3:27: error: 'sip:home1.test' names no user; write sip:USER@DOMAIN"),
        (
            "a: {public_identities: ['sip:a@home1.test;x=y']}",
            "3:27: error: a public identity has no parameters and no headers; write sip:a@home1.test"
        ),
        ("a: {public_identities: ['sip:a@home1.test:5060']}", "3:27: error: an identity has no port; write sip:a@home1.test"),
        (
            "a: {public_identities: ['sip:a@home_1']}",
            "3:27: error: 'home_1' in 'sip:a@home_1' is no domain name; write one such as home1.test"
        ),
        ("a: {private_identity: 'sip:a@home1.test'}", "3:25: error: a private identity has no scheme; write a@home1.test"),
        ("a: {private_identities: {'@x': {}}}", "3:28: error: '@x' names no user; write one such as alice@home1.test"),
        ("a: {service_profile: q}", "3:24: error: no service profile is called 'q'; write 'p'"),
        ("a: {application_servers: [im, im]}", "3:33: error: 'im' is in this list already; write each application server once"),
        (
            "a: {application_servers: [plain]}",
            "3:29: warning: nothing is sent to 'plain', which has no feature_tags; give it some, or write a service_profile that names it"
        ),
        ("a: {profile_xml: none.xml}", "3:20: error: cannot read /home/me/lab/none.xml: no such file; write the name of a readable file"),
        ("'u{0..9}': {profile_xml: none.xml}", "3:28: error: a document names one user, and 'u{0..9}' is many; write a subscriber for it"),
        (
            "'u{0..9}': {public_identities: ['tel:+15550100']}",
            "3:35: error: 'tel:+15550100' would not tell the subscribers of 'u{0..9}' apart; write {name} in it"
        ),
        (
            "'u{0..9}': {private_identity: 'x'}",
            "3:33: error: 'x@home1.test' would not tell the subscribers of 'u{0..9}' apart; write {name} in it"
        ),
        (
            "'u{0..9}': {public_identities: ['sip:{name}@{name}.test']}",
            "3:35: error: 'sip:{name}@{name}.test' would not tell the subscribers of 'u{0..9}' apart; write {name} once"
        ),
    ]) func wrongSubscribers(line: String, fault: String) {
        let text = """
            domain: home1.test
            subscribers:
              \(line)
            core: {authentication: none}
            application_servers: {im: {uri: 'sip:127.0.0.1:5080', feature_tags: [+a]}, plain: {uri: 'sip:127.0.0.1:5081'}}
            service_profiles: {p: {filter_criteria: [{priority: 0, application_server: im}]}}
            """
        #expect(faults(text) == [fault])
    }

    @Test func credentialsAreWhatTheChallengeNeeds() {
        let text = """
            domain: home1.test
            subscribers:
              alice: {}
              bob: {authentication: none}
              carol: {password: x, private_identities: {tablet: {}}}
            """
        #expect(
            faults(text) == [
                "3:10: error: the subscriber has no password to be challenged for; write 'password: ...', or 'authentication: none' if none is asked",
                "5:53: error: the private identity has no password to be challenged for; write 'password: ...', or 'authentication: none' if none is asked",
            ])
    }

    /// Names that overlap, and names that only look so.
    @Test(
        arguments: [
            ("u{0..9}", "u5", "u5"), ("u5", "u{0..9}", "u5"), ("u{0..9}", "u10", nil), ("u{00..09}", "u5", nil),
            ("u{00..09}", "u05", "u05"),
            ("u{0..99}", "u{50..150}", "u50"), ("u{0..49}", "u{50..99}", nil), ("u{0..99}", "u1{0..9}", "u10"),
            ("u{0..9}", "u1{0..9}", nil),
            ("u{0..9}", "u{0..9}x", nil), ("u{0..99}5", "u{0..9}", nil), ("u{0..9}5", "u{0..99}", "u15"), ("a{1..3}b", "a{2..5}b", "a2b"),
            ("a{1..3}b", "a{4..5}b", nil), ("{0..999999999999}", "{999999999999..999999999999999999}", "999999999999"),
            ("u{0000000..0999999}", "u{1000000..1999999}", nil), ("u{0000000..1000000}", "u{1000000..1999999}", "u1000000"),
            ("{100..200}7", "1{0..999}", "1107"), ("x{1..9}", "y{1..9}", nil), ("u{000..999}", "u{0..9}", nil),
            ("u{000..999}", "u{0..100}", "u100"),
        ] as [(String, String, String?)]) func overlapsAreFoundByArithmetic(first: String, second: String, common: String?)
    {
        let found = faults("domain: a.test\ncore: {authentication: none}\nsubscribers:\n  '\(first)': {}\n  '\(second)': {}\n")
        let expected = common.map { "5:3: error: '\($0)' is one of '\(first)' already (line 4); write names that no two subscribers share" }
        #expect(found == (expected.map { [$0] } ?? []))
    }

    /// The arithmetic against writing all names out, over small ranges of many forms.
    @Test func overlapsAgreeWithWritingTheNamesOut() {
        let patterns = ["", "1", "12"].flatMap { prefix in
            ["", "2", "0"].flatMap { suffix in
                ["{0..9}", "{3..21}", "{00..30}", "{8..112}", "{098..101}"].map { "x\(prefix)\($0)\(suffix)" }
            }
        }
        for first in patterns {
            for second in patterns where first < second {
                let topologies = [first, second].map {
                    read("domain: a.test\ncore: {authentication: none}\nsubscribers: {'\($0)': {}}").topology
                }
                let names = topologies.map { topology in
                    topology?.subscribers.first.map { subscriber in Set((subscriber.name.range ?? 0...0).map(subscriber.name.name)) } ?? []
                }
                let found = faults("domain: a.test\ncore: {authentication: none}\nsubscribers: {'\(first)': {}, '\(second)': {}}")
                #expect(found.isEmpty == names[0].isDisjoint(with: names[1]), "\(first) \(second)")
            }
        }
    }

    @Test func identitiesAreClaimedOnce() {
        let text = """
            domain: a.test
            core: {authentication: none}
            subscribers:
              alice: {public_identities: [sip:x@a.test, 'tel:+1 (555) 0100']}
              bob: {public_identities: [sip:b@a.test, SIP:x@A.TEST, sip:b@a.test]}
              carol: {private_identity: bob, public_identities: [tel:+1-555-0100]}
              'u{0..99}': {public_identities: ['tel:+1{name}', 'sip:{name}@a.test']}
              dave: {public_identities: [sip:u42@a.test]}
            """.replacing("'tel:+1 (555) 0100'", with: "tel:+1.555.0100").replacing("'tel:+1{name}', ", with: "")
        #expect(
            faults(text) == [
                "5:43: error: the public identity 'sip:x@a.test' is that of 'alice' already (line 4); write each identity once",
                "5:57: error: the public identity 'sip:b@a.test' is this subscriber's already (line 5); write each identity once",
                "6:29: error: the private identity 'bob@a.test' is that of 'bob' already (line 5); write each identity once",
                "6:54: error: the public identity 'tel:+15550100' is that of 'alice' already (line 4); write each identity once",
                "8:30: error: the public identity 'sip:u42@a.test' is that of 'u{0..99}' already (line 7); write each identity once",
            ])
    }

    @Test func namesOfARangeAreKnownByPattern() {
        let pattern = NamePattern(prefix: "u", range: 5...120, width: 0, suffix: "x")
        #expect(["u5x", "u99x", "u120x"].allSatisfy(pattern.contains))
        #expect(!["u4x", "u05x", "u121x", "ux", "u5", "5x", "u5xx", "u+5x", "u99999999999999999999999x"].contains(where: pattern.contains))
        #expect(pattern.text == "u{5..120}x" && pattern.count == 116 && NamePattern("al").contains("al"))
        #expect(NamePattern(prefix: "", range: 0...10, width: 3, suffix: "").name(7) == "007")
    }

    @Test(arguments: [
        (
            "{application_server: im}",
            "3:31: error: 'priority' is missing in a filter criterion; write 'priority: ...': the lowest number is tried first"
        ),
        ("{priority: 0, application_server: mi}", "3:65: error: no application server is called 'mi'; write 'im'"),
        (
            "{priority: 0, application_server: im, default_handling: continue}",
            "3:87: error: 'continue' is not known here; write one of session_continued, session_terminated"
        ),
        ("{priority: 0, application_server: im, trigger: [{method: PUBLISH}]}", "3:79: error: 'trigger' is a list; write it in brackets"),
        (
            "{priority: 0, application_server: im, trigger: [[{method: publish}]]}",
            "3:89: error: methods are compared with case; write PUBLISH"
        ),
        (
            "{priority: 0, application_server: im, trigger: [[{method: PUBLSIH}]]}",
            "3:89: warning: 'PUBLSIH' is no method of SIP that is known; write 'PUBLISH', if that is meant"
        ),
        (
            "{priority: 0, application_server: im, trigger: [[{methd: PUBLISH}]]}",
            "3:81: error: unknown key 'methd' in a condition; write 'method'"
        ),
        (
            "{priority: 0, application_server: im, trigger: [[{}]]}",
            "3:80: error: the condition says nothing; write one of method, request_uri, header, session_case, session_description, registration_type, feature_tag"
        ),
        (
            "{priority: 0, application_server: im, trigger: [[{method: A, header: B}]]}",
            "3:92: error: 'method' and 'header' are two conditions; write {...} for each of them"
        ),
        (
            "{priority: 0, application_server: im, trigger: [[{content: A}]]}",
            "3:81: error: 'content' is that of a header or of a line; write 'header: NAME' or 'session_description: LINE' too"
        ),
        (
            "{priority: 0, application_server: im, trigger: [[{method: MESSAGE, registration_type: initial}]]}",
            "3:98: error: 'registration_type' says nothing of MESSAGE; write it beside 'method: REGISTER'"
        ),
        (
            "{priority: 0, application_server: im, trigger: [[{not: {method: A}, method: B}]]}",
            "3:99: error: 'not' stands alone in its condition; write 'method' within it, or as a condition of its own"
        ),
        (
            "{priority: 0, application_server: im, trigger: [[{not: {not: {method: A}}}]]}",
            "3:87: error: unknown key 'not' in a condition; write one of method, request_uri, header, content, session_case, session_description, registration_type, feature_tag"
        ),
        (
            "{priority: 0, application_server: im, trigger: [[{session_case: orginating}]]}",
            "3:95: error: 'orginating' is not known here; write 'originating'"
        ),
        (
            "{priority: 0, application_server: im, trigger: [[{header: a, content: '\\d+'}]]}",
            "3:101: error: '\\d' is not POSIX; write [0-9]"
        ),
        ("{priority: 0, application_server: im, trigger: [[{header: 'a(?:b)'}]]}", "3:89: error: '(?:' is not POSIX; write '('"),
        ("{priority: 0, application_server: im, trigger: [[{request_uri: 'bad'}]]}", "3:94: error: refused; write another"),
        ("{priority: 0, application_server: im, trigger: [[{header: 'bad.*'}]]}", "3:89: error: refused; write another"),
        (
            "{priority: 0, application_server: im, trigger: [[{method: A}]], trigger_dnf: [[{method: A}]]}",
            "3:95: error: 'trigger' and 'trigger_dnf' exclude each other; write one of them"
        ),
    ]) func wrongCriteria(criterion: String, fault: String) {
        let text = """
            domain: home1.test
            application_servers: {im: {uri: 'sip:127.0.0.1:5080'}}
            service_profiles: {p: {filter_criteria: [\(criterion)]}}
            """
        let shift = "service_profiles: {p: {filter_criteria: [".count - 30
        let place = fault.split(separator: ":", maxSplits: 2)
        let column = (Int(place[1]) ?? 0) + shift
        let found = faults(text, expressionFault: { $0.hasPrefix("bad") ? "refused; write another" : nil })
        #expect(found == ["3:\(column):\(place[2])"])
    }

    @Test(
        arguments: [
            (#"\d+"#, #"'\d' is not POSIX; write [0-9]"#), (#"a\w"#, #"'\w' is not POSIX; write [[:alnum:]_]"#),
            (#"\S"#, #"'\S' is not POSIX; write [^[:space:]]"#),
            (#"[\d.]"#, #"'\d' in brackets is a backslash and a letter to POSIX; write 0-9"#),
            (
                "(?i)im",
                "'(?i)' is not POSIX; write both cases, as in [Ii][Mm], or core.header_content_case: insensitive for all header content"
            ),
            ("a.*?b", "'*?' is a lazy quantifier, which POSIX does not have; write '*', or a narrower class such as [^;]*"),
            ("a+?", "'+?' is a lazy quantifier, which POSIX does not have; write '+', or a narrower class such as [^;]*"),
            ("a{2,3}?", "'}?' is a lazy quantifier, which POSIX does not have; write '}', or a narrower class such as [^;]*"),
            ("a++", "'++' is a possessive quantifier, which POSIX does not have; write '+', or a narrower class such as [^;]*"),
            (#"(a)\1"#, #"'\1' is a back-reference, which expressions here do not have; write what is meant out"#),
            ("(?=a)", "'(?=' is not POSIX; write a condition of its own, with not: {...} for what must be absent"),
            (#"\bword"#, #"'\b' is not POSIX; write what stands around the word, such as (^|[^[:alnum:]_])"#),
            (#"\+g\.oma\.sip-im([;,=[:space:]]|$)"#, nil), (#"[]\]a*"#, nil), ("[[:alpha:]?]*", nil), (#"\\d"#, nil), (#"a\?*"#, nil),
            ("x?", nil),
            (String(repeating: "a", count: 1025), "the expression has 1025 bytes; write at most 1024"),
        ] as [(String, String?)]) func expressionsOfOtherDialects(expression: String, fault: String?)
    {
        let text = """
            domain: home1.test
            application_servers: {im: {uri: 'sip:127.0.0.1:5080', command: [x], ready: '\(expression)'}}
            """
        #expect(faults(text) == (fault.map { ["2:76: error: \($0)"] } ?? []))
    }
}
