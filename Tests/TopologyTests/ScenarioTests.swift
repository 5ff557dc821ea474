// Scenarios, clients and placeholders.
import Testing
import Topology

@Suite struct ScenarioTests {
    @Test func stepsOfTheExample() throws {
        let text = withBase(
            """
            scenarios:
              settings reach the IM server:
                - alice: register
                - expect: {at: im, request: REGISTER, headers: {To: "<sip:alice@home1.test>", Route: [a, b]}, within: 700ms}
                - {bob: 'message alice "hi \\"there\\""', may_fail: true}
                - expect: {at: alice, response: 200, to: PUBLISH, in_order: true}
                - expect: {at: im, stored: 1}
                - stop: im
                - start: bob
            """)
        let scenario = try #require(read(text).topology?.scenarios.first)
        #expect(scenario.name == "settings reach the IM server" && scenario.steps.map(\.line) == Array(13...19))
        #expect(scenario.steps[0].text == "alice: register" && scenario.steps[0].file == "lab/t.yaml")
        #expect(scenario.steps[0].action == .verb(client: "alice", command: "register", mayFail: false))
        var register = Expectation(node: "im")
        register.request = "REGISTER"
        register.headers = [
            HeaderExpectation(name: "To", value: "<sip:alice@home1.test>"), HeaderExpectation(name: "Route", value: "a"),
            HeaderExpectation(name: "Route", value: "b"),
        ]
        register.withinMilliseconds = 700
        #expect(scenario.steps[1].action == .expect(register))
        #expect(
            scenario.steps[1].text
                == #"expect: {at: im, request: REGISTER, headers: {To: "<sip:alice@home1.test>", Route: [a, b]}, within: 700ms}"#)
        #expect(scenario.steps[2].action == .verb(client: "bob", command: #"message sip:alice@home1.test "hi \"there\"""#, mayFail: true))
        var response = Expectation(node: "alice")
        response.response = 200
        response.responseTo = "PUBLISH"
        response.inOrder = true
        #expect(scenario.steps[3].action == .expect(response))
        var stored = Expectation(node: "im")
        stored.stored = 1
        #expect(scenario.steps[4].action == .expect(stored))
        #expect(scenario.steps[5].action == .stop("im") && scenario.steps[6].action == .start("bob"))
    }

    @Test(arguments: [
        ("alce: register", "13:7: error: no client is called 'alce'; write 'alice'"),
        ("expct: {at: im}", "13:14: error: 'expct' is one value, not a map; write the value alone"),
        ("alice: regster", "13:14: error: 'regster' is no verb; write 'register'"),
        ("alice: publish setings", "13:14: error: 'publish setings' is no verb; write 'publish settings'"),
        (
            "alice: dance",
            "13:14: error: 'dance' is no verb; write one of register, unregister, publish settings, remove settings, message, wait, quit"
        ),
        ("alice: register expires=x", "13:14: error: 'x' is no number of seconds; write one such as expires=3600"),
        ("alice: register now", "13:14: error: 'now' is no option of 'register'; write 'register expires=N'"),
        ("alice: unregister now", "13:14: error: 'now' is no option of 'unregister'; write 'unregister' alone"),
        ("alice: publish settings offline-delivry=on", "13:14: error: 'offline-delivry' is no setting; write 'offline-delivery'"),
        (
            "alice: publish settings offline-delivery=yes",
            "13:14: error: 'yes' is neither on nor off; write offline-delivery=on or offline-delivery=off"
        ),
        ("alice: wait", "13:14: error: 'wait' takes one number of seconds; write 'wait 2'"),
        ("alice: wait 2s", "13:14: error: '2s' is no number of seconds; write one such as 2 or 0.5"),
        ("alice: message", #"13:14: error: the receiver is missing; write message bob "see you at nine""#),
        ("alice: message bob hi", #"13:14: error: the text of a message stands in double quotes; write message bob "see you at nine""#),
        (#"alice: message bob "hi"#, "13:14: error: the text of the message has no end; write a double quote behind it"),
        (
            #"alice: message bob "hi" x"#,
            #"13:14: error: something follows the text of the message; write \" for a quote within it, as nothing may follow"#
        ),
        (#"alice: message bbo "hi""#, "13:14: error: no subscriber is called 'bbo'; write 'bob'"),
        (#"alice: message mailto:x "hi""#, "13:14: error: 'mailto:x' is no public identity; write sip:mailto:x@home1.test"),
        ("stop: mi", "13:13: error: no node of the lab is called 'mi'; write 'im'"),
        ("stop: other", "13:13: error: the lab does not start 'other'; write 'run' or 'command' for it, or another node"),
        ("{stop: im, start: im}", "13:18: error: 'stop' and 'start' are two steps; write a dash before each of them"),
        ("{may_fail: true}", "13:7: error: the step does nothing; write 'CLIENT: VERB', 'expect: {...}', 'stop: NODE' or 'start: NODE'"),
        ("{stop: im, may_fail: true}", "13:18: error: 'may_fail' belongs to a client's verb; leave it out"),
        (
            "expect: {request: PUBLISH}",
            "13:15: error: 'at' is missing in expect; write 'at: ...': the node at which the message is awaited"
        ),
        ("expect: {at: mi, request: PUBLISH}", "13:20: error: no node is called 'mi'; write 'im'"),
        ("expect: {at: core, request: PUBLISH}", "13:20: error: every message passes the core; write the node at its other end"),
        ("expect: {at: im}", "13:15: error: nothing is awaited; write 'request: METHOD', 'response: STATUS' or 'stored: NUMBER'"),
        (
            "expect: {at: im, request: A, response: 200}",
            "13:36: error: 'request' and 'response' are two expectations; write a step for each of them"
        ),
        (
            "expect: {at: im, request: A, to: B}",
            "13:36: error: 'to' says which method a response answers; write it beside 'response', or leave it out"
        ),
        ("expect: {at: im, response: 99}", "13:34: error: '99' is not a whole number from 100 to 699; write one"),
        (
            "expect: {at: other, stored: 1}",
            "13:27: error: 'other' does not tell what it has stored; write 'at:' a server with 'run: im-server'"
        ),
        ("expect: {at: im, stored: 1, body: x}", "13:35: error: 'body' belongs to a message; leave it out beside 'stored'"),
        ("expect: {at: im, request: PUBLISH, header: {}}", "13:42: error: unknown key 'header' in expect; write 'headers'"),
        ("expect: {at: im, request: PUBLISH, within: 2}", "13:50: error: '2' has no unit; write 2s or 2ms"),
    ]) func wrongSteps(step: String, fault: String) {
        #expect(faults(withBase("scenarios:\n  x:\n    - \(step)\n")).filter { !$0.contains("no client is called 'expct'") } == [fault])
    }

    @Test func aClientsOwnSettingsAreItsOwn() {
        #expect(faults(withBase("scenarios: {x: [bob: publish settings colour=red]}")) == [])
    }

    @Test func clientsAreSubscribers() {
        let text =
            "domain: a.test\ncore: {authentication: none}\nsubscribers: {'u{0..9}': {}, alice: {}}\nclients: {u7: {run: im-client}, u10: {}, alcie: {run: im-server}}\n"
        #expect(
            faults(text) == [
                "4:33: error: no subscriber is called 'u10'; write 'u0'",
                "4:42: error: no subscriber is called 'alcie'; write 'alice'",
                "4:55: error: 'im-server' is not known here; write 'im-client'",
            ])
    }

    @Test func noTwoNodesAreCalledAlike() {
        #expect(
            faults(withBase("").replacing("  other:", with: "  bob:")).filter { $0.contains("error") } == [
                "10:3: error: a node is called 'bob' already (line 4), and scenarios could not tell them apart; write another name"
            ])
    }

    @Test func aNetworkMayBeStartedByTheLab() throws {
        func network(_ section: String) -> String { withBase("networks:\n  home2.test: {uri: 'sip:127.0.0.1:6060'\(section)}\n") }
        let text = network(", command: ['${sipcore}', core, b.yaml], env: {A: '${core.http}'}, ready: 'x+'")
        let started = try #require(read(text + "scenarios: {s: [{stop: home2.test}, {start: home2.test}]}\n").topology?.networks.first)
        #expect(started.launch == .command(["${sipcore}", "core", "b.yaml"]) && started.environment == ["A": "${core.http}"])
        #expect(started.readyPattern == "x+")
        #expect(read(network("")).topology?.networks.first?.launch == .external)
        #expect(
            faults(network(", ready: x")) == [
                "12:43: error: 'ready' belongs to a program of your own; write 'command: [PROGRAM, ARGUMENT, ...]' too, or leave it out"
            ])
        #expect(faults(network(", command: ['${sipcor}']")).first?.contains("write '${sipcore}'") == true)
        #expect(
            faults(network("") + "scenarios: {s: [{stop: home2.test}]}\n") == [
                "13:24: error: the lab does not start 'home2.test'; write 'run' or 'command' for it, or another node"
            ])
    }

    @Test func placeholdersAreCheckedAndFilledIn() throws {
        func command(_ arguments: String) -> String {
            withBase("").replacing("{command: [./client]}", with: "{command: [x, \(arguments)], env: {A: \"${core.tcp}\"}}")
        }
        let right = command(#""${core.udp}", "${core.http}", "${application_servers.im.uri}", "${subscriber.private_identity}", "${x""#)
        let topology = try #require(read(right).topology)
        guard case .command(let arguments) = topology.clients[1].launch else { return #expect(Bool(false)) }
        let values = PlaceholderValues(
            udp: "127.0.0.1:5060", tcp: nil, http: "http://127.0.0.1:1", applicationServers: ["im": "sip:im"], executable: "/bin/sipcore")
        #expect(try values.fill("${sipcore} x") == "/bin/sipcore x")
        let filled = try arguments.map { try values.with(topology.subscribers[1], named: "bob").fill($0) }
        #expect(filled == ["x", "127.0.0.1:5060", "http://127.0.0.1:1", "sip:im", "bob@home1.test", "${x"])
        #expect(throws: UnknownPlaceholder(name: "core.tcp")) { try values.fill("a ${core.tcp}") }
        #expect(
            faults(
                command(#""${core.upd}", "${application_servers.mi.uri}", "${application_servers.im}", "${subscriber.nam}", "${nothing}""#))
                == [
                    "10:22: error: nothing is known as '${core.upd}'; write '${core.udp}'",
                    "10:37: error: no application server is called 'mi'; write 'im'",
                    "10:70: error: of an application server '${application_servers.im}' gives nothing; write ${application_servers.im.uri}",
                    "10:99: error: a subscriber has no 'nam' to fill in; write '${subscriber.name}'",
                    "10:120: error: nothing is known as '${nothing}'; write one of ${core.udp}, ${core.tcp}, ${core.tls}, ${core.ws}, ${core.wss}, ${core.http}, ${application_servers.NAME.uri}, ${sipcore}, ${subscriber.name}, ${subscriber.private_identity}, ${subscriber.public_identity}, ${subscriber.password}",
                ])
        let server =
            "domain: a.test\ncore: {listen: ['udp://127.0.0.1:1']}\napplication_servers: {a: {uri: 'sip:127.0.0.1:2', command: [x, '${subscriber.name}', '${core.tcp}']}}"
        #expect(
            faults(server) == [
                "3:64: error: '${subscriber.name}' is known to clients alone, who are subscribers; write the value itself",
                "3:86: error: the core has no listener for ${core.tcp}; add one such as tcp://127.0.0.1:5060 to core.listen",
            ])
    }

    @Test func scenariosOfAFileOfTheirOwn() throws {
        let topology = try #require(read(base).topology)
        let list = topology.loadScenarios(file: "s/offline.yaml", text: "- alice: register\n- bob: quit\n", in: surroundings())
        #expect(list.scenarios.map(\.name) == ["offline"] && list.scenarios[0].steps.map(\.line) == [1, 2] && list.faults.isEmpty)
        let map = topology.loadScenarios(file: "s.yaml", text: "scenarios:\n  a: [alice: register]\n  b: [bob: quit]\n", in: surroundings())
        #expect(map.scenarios.map(\.name) == ["a", "b"] && map.scenarios[0].steps[0].file == "s.yaml")
        let wrong = topology.loadScenarios(file: "s.yaml", text: "scenarios:\n  a: [alce: register]\ndomain: x\n", in: surroundings())
        #expect(wrong.scenarios.isEmpty)
        #expect(
            wrong.faults.map(\.description) == [
                "s.yaml:2:7: error: no client is called 'alce'; write 'alice'",
                "s.yaml:3:1: error: unknown key 'domain' in a file of scenarios; write 'scenarios'",
            ])
        #expect(topology.loadScenarios(file: "s.yaml", text: "", in: surroundings()).faults.count == 1)
    }
}
