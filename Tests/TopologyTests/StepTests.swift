// Steps of all forms, what is wrong with them, and the paths and variables in them.
import Testing
import Topology

@Suite struct StepTests {
    /// With a clock that can be moved.
    private func virtualBase(_ lines: String) -> String {
        withBase("").replacing("domain: home1.test\n", with: "domain: home1.test\ncore: {clock: virtual}\n") + lines
    }

    private func steps(_ lines: String) throws -> [Step.Action] {
        let result = read(virtualBase("scenarios:\n  x:\n" + lines.split(separator: "\n").map { "    \($0)\n" }.joined()))
        #expect(result.faults.map(\.description) == [])
        return try #require(result.topology?.scenarios.first).steps.map(\.action)
    }

    private func expectation(_ text: String) throws -> Awaited {
        guard case .expect(let expectation) = try #require(try steps("- expect: \(text)").first) else {
            throw Missing()
        }
        return expectation
    }

    private struct Missing: Error {}

    @Test func headersAreTextsOrRules() throws {
        let expectation = try expectation(
            "{at: im, request: PUBLISH, headers: {To: x, Route: [a, {pattern: 'b$'}], Date: {absent: true}, Via: {present: true}}}")
        #expect(
            expectation.headers == [
                .init(name: "To", rule: .value("x")), .init(name: "Route", rule: .value("a")), .init(name: "Route", rule: .matches("b$")),
                .init(name: "Date", rule: .absent), .init(name: "Via", rule: .present),
            ])
    }

    @Test(arguments: [
        ("hello", BodyExpectation.text(.value("hello"))), ("{pattern: 'a+'}", .text(.matches("a+"))),
        ("{absent: true}", .text(.absent)),
        (
            "{xml: {presence/tuple/@id: a, note: {absent: true}}}",
            .xml([.init(path: "presence/tuple/@id", rule: .value("a")), .init(path: "note", rule: .absent)])
        ),
        (
            "{json: {'$.a[0]': 1, $.b: {pattern: x}}}",
            .json([.init(path: "$.a[0]", rule: .value("1")), .init(path: "$.b", rule: .matches("x"))])
        ),
    ])
    func bodiesHaveSeveralForms(text: String, body: BodyExpectation) throws {
        #expect(try expectation("{at: im, request: PUBLISH, body: \(text)}").body == body)
    }

    @Test func countsAndCaptures() throws {
        #expect(try expectation("{at: im, request: A, count: 3}").count == Count(least: 3, most: 3))
        #expect(try expectation("{at: im, request: A, count: {min: 2}}").count == Count(least: 2))
        #expect(try expectation("{at: im, request: A, count: {max: 2}}").count == Count(least: 0, most: 2))
        #expect(try expectation("{at: im, request: A, never: true}").count == Count(least: 0, most: 0))
        #expect(
            try expectation("{at: im, request: A, capture: {id: Call-ID, user: {header: To, pattern: 'sip:([^@]*)'}, x: {xml: a/@b}}}")
                .capture == [
                    Capture(name: "id", source: .header("Call-ID")), Capture(name: "user", source: .header("To"), pattern: "sip:([^@]*)"),
                    Capture(name: "x", source: .xml(path: "a/@b")),
                ])
    }

    @Test func everyOtherStep() throws {
        var request = HTTPStep(method: "POST", url: "${core.http}/api/send")
        request.headers = [.init(name: "Accept", value: "*/*")]
        request.body = .json(#"{"as":"${var.who}","n":1,"on":true,"none":null,"text":"1","list":[1.5,"a"]}"#)
        request.status = 201
        request.answer = .json([.init(path: "$.id", rule: .present)])
        request.capture = [Capture(name: "id", source: .json(path: "$.id"))]
        request.timeoutMilliseconds = 9000
        var command = RunStep(command: ["./check", "${var.id}"])
        command.environment = ["A": "${core.udp}"]
        command.status = 2
        command.output = .matches("ok")
        command.capture = [Capture(name: "word", source: .body, pattern: "[a-z]+")]
        command.timeoutMilliseconds = 1000
        var hits = HitsExpectation(fault: "lost", hits: Count(least: 1, most: 1))
        hits.withinMilliseconds = 500
        let actions = try steps(
            """
            - wait: 200ms
            - advance: 7d
            - set: {who: alice}
            - fault: {method: MESSAGE, peer: bob, status: 200, action: header, set: {Expires: "0"}, remove: Contact, times: 1, probability: 0.5, as: lost}
            - expect: {fault: lost, hits: 1, within: 500ms}
            - fault: {end: lost}
            - fault: reset
            - reset
            - reset: true
            - http: {method: POST, url: "${core.http}/api/send", headers: {Accept: "*/*"}, json: {as: "${var.who}", n: 1, on: true, none: ~, text: "1", list: [1.5, a]}, status: 201, expect: {json: {$.id: {present: true}}}, capture: {id: $.id}, timeout: 9s}
            - http: {url: "http://127.0.0.1:1/", body: "${var.id}"}
            - run: [./check, "${var.id}"]
            - run: {command: [./check, "${var.id}"], env: {A: "${core.udp}"}, status: 2, output: {pattern: ok}, capture: {word: '[a-z]+'}, timeout: 1s}
            - alice: message bob "${var.word}"
            """)
        var bodied = HTTPStep(method: "POST", url: "http://127.0.0.1:1/")
        bodied.body = .text("${var.id}")
        #expect(
            actions == [
                .wait(milliseconds: 200), .advance(by: "7d"), .set([.init(name: "who", value: "alice")]),
                .fault(
                    .add(
                        rule:
                            #"{"method":"MESSAGE","peer":"bob","status":200,"action":"header","set":{"Expires":"0"},"remove":"Contact","times":1,"probability":0.5}"#,
                        name: "lost")),
                .expectHits(hits), .fault(.remove(name: "lost")), .fault(.removeAll), .reset, .reset, .http(request), .http(bodied),
                .run(RunStep(command: ["./check", "${var.id}"])), .run(command),
                .verb(client: "alice", command: #"message bob "${var.word}""#, mayFail: false),
            ])
    }

    @Test func aFilledVerbIsCheckedAndNamed() throws {
        let topology = try #require(read(base).topology)
        #expect(try topology.command(#"message bob "hi""#, of: "alice") == #"message sip:bob@home1.test "hi""#)
        let wrong = #expect(throws: WrongVerb.self) { try topology.command(#"message bbo "hi""#, of: "alice") }
        #expect(wrong?.description == "no subscriber is called 'bbo'; write 'bob'")
    }

    @Test(arguments: [
        ("expect: {at: im, request: A, headers: {To: {patern: x}}}", "13:51: error: unknown key 'patern' in a rule; write 'pattern'"),
        (
            "expect: {at: im, request: A, headers: {To: {pattern: x, absent: true}}}",
            "13:63: error: 'pattern' and 'absent' exclude each other; write one of them"
        ),
        ("set: {}", "13:12: error: nothing is set; write NAME: VALUE, one for each variable"),
        ("alice: ''", "13:14: error: the value is empty; write text"),
        ("expect: {at: im, request: A, headers: {To: {}}}", "13:50: error: nothing is said here; write one of pattern, absent, present"),
        (
            "expect: {at: im, request: A, headers: {To: {absent: false}}}",
            "13:59: error: 'false' says nothing here; write true, or leave the key out"
        ),
        (
            "expect: {at: im, request: A, body: {json: {a.b: 1}}}",
            "13:50: error: 'a.b' is no path to a value; write one such as $.contacts[0].uri"
        ),
        (
            "expect: {at: im, request: A, body: {xml: {'//a': 1}}}",
            "13:49: error: '//a' is no path to an element; write local names such as presence/tuple/status, and @id for an attribute"
        ),
        ("expect: {at: im, request: A, body: {}}", "13:42: error: nothing is said here; write one of pattern, absent, present, xml, json"),
        ("expect: {at: im, request: A, count: two}", "13:43: error: 'two' is not a whole number from 0 to 1000000; write one"),
        ("expect: {at: im, request: A, count: {min: 3, max: 2}}", "13:57: error: 'max' is less than 'min'; write at least 3"),
        ("expect: {at: im, request: A, count: {}}", "13:43: error: the count has no bound; write a number, or min, or max"),
        (
            "expect: {at: im, request: A, never: true, count: 2}",
            "13:49: error: 'never' and 'count' exclude each other; leave one of them out"
        ),
        ("expect: {at: im, stored: 1, count: 2}", "13:35: error: 'count' belongs to a message; leave it out beside 'stored'"),
        (
            "expect: {at: im, request: A, capture: {2x: To}}",
            "13:46: error: '2x' is no name of a variable; write letters, digits and '_', no digit first"
        ),
        (
            "expect: {at: im, request: A, capture: {x: {header: To, body: true}}}",
            "13:62: error: 'header' and 'body' exclude each other; write one of them"
        ),
        ("expect: {fault: lost, hits: 1}", "13:23: error: no step before has a fault 'lost'; write 'as: lost' in the step that makes it"),
        (
            "expect: {hits: 1}",
            "13:15: error: 'fault' is missing beside 'hits'; write the name of one, from 'fault: {..., as: NAME}'"
        ),
        ("wait: 2", "13:13: error: '2' has no unit; write 2s or 2ms"),
        (
            "advance: 7d",
            "13:16: warning: the core's clock is real and will refuse to be moved; write 'clock: virtual' in core"
        ),
        ("advance: forward", "13:16: error: 'forward' is no duration; write a whole number and a unit, such as 700ms, 2s, 1h or 7d"),
        ("fault: {method: MESSAGE}", "13:14: error: it is not said what befalls a message; write an action, such as drop, delay or answer"),
        ("fault: {action: dorp}", "13:23: error: 'dorp' is not known here; write 'drop'"),
        ("fault: {action: drop, peer: bbo}", "13:35: error: no node is called 'bbo'; write 'bob'"),
        ("fault: {action: drop, probability: 2}", "13:42: error: '2' is no number from 0 to 1; write one such as 0.1"),
        ("fault: {action: drop, nth: 0}", "13:34: error: '0' is not a whole number from 1 to 1000000000; write one"),
        ("fault: {end: lost}", "13:20: error: no step before has a fault 'lost'; write 'as: lost' in the step that makes it"),
        ("fault: all", "13:14: error: 'all' is not known here; write 'reset'"),
        ("rest", "13:7: error: 'rest' is not known here; write 'reset'"),
        ("reset: false", "13:14: error: 'false' says nothing here; write true, or leave the key out"),
        (
            "http: {method: GET}",
            "13:13: error: 'url' is missing in http; write 'url: ...': where the request goes, such as ${core.http}/api/registrations"
        ),
        (
            "http: {url: 'https://x/'}",
            "13:19: error: 'https://x/' is no address that can be asked; write one such as ${core.http}/api/health or http://HOST:PORT/..."
        ),
        ("http: {url: 'http://x/', json: 1, body: a}", "13:41: error: 'json' and 'body' exclude each other; write one of them"),
        ("http: {url: 'http://x/', capture: {id: id}}", "13:46: error: 'id' is no path to a value; write one such as $.contacts[0].uri"),
        ("run: ./check", "13:12: error: 'run' is a list; write it in brackets: [./check]"),
        ("run: {comand: [x]}", "13:13: error: unknown key 'comand' in run; write 'command'"),
        ("run: [x, '${var.id}']", "13:16: error: no step before has given 'id' a value; write a step 'set: {id: ...}' or a 'capture'"),
        ("run: [x, '${lab.http}']", "13:16: error: the lab has no interface of its own; add lab: {http: \"127.0.0.1:0\"}"),
        ("run: [x, '${core.upd}']", "13:16: error: nothing is known as '${core.upd}'; write '${core.udp}'"),
        (
            "run: [x, '${subscriber.name}']",
            "13:16: error: '${subscriber.name}' is known to clients alone, who are subscribers; write the value itself"
        ),
        ("alice: register expires=0", "13:14: error: a registration for 0 seconds ends one; write 'unregister'"),
        ("alice: pubish '${core.udp}'", "13:14: error: 'pubish' is no verb; write 'publish settings'"),
    ]) func wrongSteps(step: String, fault: String) {
        #expect(faults(withBase("scenarios:\n  x:\n    - \(step)\n")) == [fault])
    }

    @Test func variablesAreOfTheirScenario() {
        let text = withBase(
            """
            scenarios:
              one:
                - set: {who: bob}
                - alice: message ${var.who} "hi"
              two:
                - alice: message ${var.who} "hi"

            """)
        #expect(faults(text) == ["16:14: error: no step before has given 'who' a value; write a step 'set: {who: ...}' or a 'capture'"])
    }

    @Test func expressionsAreCheckedWithoutWhatIsFilledIn() {
        let text = withBase("scenarios: {x: [set: {a: b}, expect: {at: im, request: A, body: {pattern: '(${var.a}'}}]}\n")
        let found = faults(text) { $0 == "(x" ? "'(' has no end; write ')'" : nil }
        #expect(found == ["11:75: error: '(' has no end; write ')'"])
    }

    @Test func noClientIsCalledAsAStepIs() {
        let text = withBase("").replacing("  bob: {command: [./client]}", with: "  http: {command: [./client]}").replacing(
            "  bob: {password: builder}", with: "  http: {password: builder}")
        #expect(faults(text) == ["10:3: error: 'http' means something else in a scenario; write another name"])
    }
}

@Suite struct DocumentPathTests {
    @Test func pathsOfJSON() {
        #expect(JSONPath("$")?.steps == [])
        #expect(JSONPath("$.a-b[10].c")?.steps == [.member("a-b"), .element(10), .member("c")])
        #expect(JSONPath("$['a.b'][\"c]\"") == nil)
        #expect(JSONPath("$['a.b'].c")?.steps == [.member("a.b"), .member("c")])
    }

    @Test(arguments: ["", "a", "$a", "$.", "$..a", "$[", "$[]", "$[-1]", "$[x]", "$['']", "$.a["])
    func otherTextsAreNoPaths(text: String) { #expect(JSONPath(text) == nil) }

    @Test func pathsOfXML() {
        #expect(XMLPath("a/b/@c")?.elements == ["a", "b"] && XMLPath("a/b/@c")?.attribute == "c")
        #expect(XMLPath("a")?.attribute == nil)
    }

    @Test(arguments: ["", "/a", "a/", "a//b", "@a", "a/@", "a/@b/c", "p:a", "a[1]", "*"])
    func otherTextsAreNoPathsOfXML(text: String) { #expect(XMLPath(text) == nil) }
}
