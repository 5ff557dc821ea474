import Glibc
import JSONText
import Testing
import Topology

@testable import Lab

/// Whole labs. The executable is a script that plays the roles; the guard alone is the real one.
@Suite(.serialized) struct LabRunTests {
    /// Its clients print the events that the verbs ask for, and tell the fake core nothing.
    private func executable(in folder: TemporaryFolder) throws -> String {
        try folder.write(
            "sipcore",
            #"""
            #!/bin/sh
            role=$1
            case "$role" in
                lab-guard) exec "\#(sipcoreExecutable)" lab-guard;;
                core) test -e fail && { echo 'udp 127.0.0.1:5060: address in use' >&2; exit 3; };;
            esac
            echo $$ >> pids
            echo "{\"event\":\"ready\",\"role\":\"$role\",\"sip\":[\"udp://127.0.0.1:4000\"]}"
            if [ "$role" != im-client ]; then exec sleep 1000; fi
            while read -r verb rest; do
                case "$verb" in
                    register) echo '{"event":"registered","expires":3600}';;
                    publish) echo '{"event":"settings_refused","status":403,"reason":"Forbidden"}';;
                    message) kill $(head -1 pids);;
                esac
            done
            """#, isExecutable: true)
    }

    private struct Stage {
        let folder: TemporaryFolder
        let core: FakeCore
        var options: LabOptions
        var pids: [pid_t] { (folder.read("pids") ?? "").split(separator: "\n").compactMap { pid_t($0) } }
        var junit: String { folder.read("junit.xml") ?? "" }
    }

    private func stage(_ steps: [Step.Action]?, clockIsReal: Bool = false) throws -> Stage {
        let folder = try TemporaryFolder()
        let core = try FakeCore(clockIsReal: clockIsReal)
        var topology = smallTopology(folder: folder.path)
        topology.core.http = HostPort(host: core.address.host, port: core.address.port)
        var server = ApplicationServer(name: "im", uri: "sip:127.0.0.1:0")
        server.launch = .builtIn("im-server")
        topology.applicationServers = [server]
        topology.clients = [Client(name: "alice", launch: .builtIn("im-client"))]
        var options = LabOptions(topology: topology, executable: try executable(in: folder), version: "1")
        options.readyFile = folder.path + "/ready"
        options.junitFile = folder.path + "/junit.xml"
        options.logFolder = folder.path
        options.scenarios = steps.map { actions in
            [
                Scenario(
                    name: "it", steps: actions.enumerated().map { Step(file: "lab.yaml", line: $0 + 10, text: "step \($0)", action: $1) })
            ]
        }
        return Stage(folder: folder, core: core, options: options)
    }

    private func expect(_ node: String, _ change: (inout Awaited) -> Void) -> Step.Action {
        var expectation = Awaited(node: node)
        expectation.withinMilliseconds = 100
        change(&expectation)
        return .expect(expectation)
    }

    @Test func aScenarioPassesAndNothingIsLeft() async throws {
        let stage = try stage([
            .verb(client: "alice", command: "register", mayFail: false),
            .stop("im"),
            .start("im"),
            .verb(client: "alice", command: "publish settings", mayFail: true),
        ])
        #expect(await LabRun(stage.options).run() == 0)
        #expect(stage.pids.count == 4)
        #expect(stage.pids.filter(isAlive) == [])
        #expect(stage.junit.contains("tests=\"1\" failures=\"0\""))
        let ready = try #require(JSON((stage.folder.read("ready") ?? "").utf8))
        #expect(ready["role"] == .text("lab"))
        #expect(ready["nodes"]?["alice"]?["role"] == .text("im-client"))
        #expect(ready["nodes"]?["core"]?["sip"]?.list?.count == 1)
        #expect(stage.folder.read("alice.log")?.contains("registered") == true)
    }

    @Test func anExpectedMessagePassesAndAMissingOneFails() async throws {
        let steps = [
            Step.Action.verb(client: "alice", command: "register", mayFail: false),
            expect("alice") { $0.response = 200 },
            expect("alice") { $0.response = 500 },
        ]
        let passing = try stage(Array(steps.prefix(2)))
        let answer = messageJSON(1, "out", "127.0.0.1:4000", "SIP/2.0 200 OK", method: "REGISTER", status: 200)
        let feeding = Task { await feed(passing, answer) }
        #expect(await LabRun(passing.options).run() == 0)
        await feeding.value

        let failing = try stage(steps)
        let secondFeeding = Task { await feed(failing, answer) }
        #expect(await LabRun(failing.options).run() == 1)
        await secondFeeding.value
        #expect(failing.junit.contains("lab.yaml:12"))
        #expect(failing.junit.contains("awaited: a response 500 at alice within 100 ms"))
        #expect(failing.junit.contains("#1 200 to REGISTER: is 200, not 500"))
        #expect(failing.pids.filter(isAlive) == [])
    }

    /// The fake core knows of the answer once alice was driven, as a real one would.
    private func feed(_ stage: Stage, _ message: JSON) async {
        _ = await eventually { stage.folder.read("alice.log")?.contains("registered") == true }
        stage.core.record(message)
    }

    @Test func aRefusalFailsUnlessTheNextStepExpectsIt() async throws {
        let publish = Step.Action.verb(client: "alice", command: "publish settings", mayFail: false)
        let refused = try stage([publish])
        #expect(await LabRun(refused.options).run() == 1)
        #expect(refused.junit.contains("settings_refused"))

        // The expectation fails, for the fake core recorded nothing, but the verb before it does not.
        let expected = try stage([publish, expect("alice") { $0.response = 403 }])
        #expect(await LabRun(expected.options).run() == 1)
        #expect(expected.junit.contains("lab.yaml:11"))
    }

    @Test func aNodeThatEndsByItselfFailsTheScenario() async throws {
        let stage = try stage([
            .verb(client: "alice", command: "message sip:bob@home1.test x", mayFail: true),
            expect("im") { $0.withinMilliseconds = 60_000 },
        ])
        #expect(await LabRun(stage.options).run() == 1)
        #expect(stage.junit.contains("without being asked to"))
        #expect(stage.pids.filter(isAlive) == [])
    }

    @Test func aCoreThatCannotStartIsStatus3() async throws {
        let stage = try stage(nil)
        _ = try stage.folder.write("fail", "")
        #expect(await LabRun(stage.options).run() == 3)
        #expect(stage.pids.filter(isAlive) == [])
        #expect(stage.folder.read("ready") == nil)
    }

    @Test func anInterruptedLabEndsInOrder() async throws {
        let stage = try stage(nil)
        let interrupting = Task {
            _ = await eventually { stage.folder.read("ready") != nil }
            kill(getpid(), SIGTERM)
        }
        #expect(await LabRun(stage.options).run() == 0)
        await interrupting.value
        #expect(stage.pids.count == 3)
        #expect(stage.pids.filter(isAlive) == [])
    }

    // MARK: Steps of other kinds

    @Test func theCoreIsSteered() async throws {
        var hits = HitsExpectation(fault: "lost", hits: Count(least: 2, most: 2))
        hits.withinMilliseconds = 100
        let stage = try stage([
            .advance(by: "7d"), .fault(.add(rule: #"{"action":"drop","times":2}"#, name: "lost")), .expectHits(hits),
            .fault(.remove(name: "lost")), .fault(.add(rule: #"{"action":"cut"}"#, name: nil)), .fault(.removeAll),
            .fault(.add(rule: #"{"action":"close"}"#, name: nil)), .reset, .fault(.add(rule: #"{"action":"drop"}"#, name: nil)),
            .wait(milliseconds: 1),
        ])
        #expect(await LabRun(stage.options).run() == 0, "\(stage.junit)")
        // What a scenario has not ended itself ends with it.
        #expect(
            stage.core.orders == [
                #"POST /api/clock/advance {"by":"7d"}"#, #"POST /api/faults {"action":"drop","times":2}"#, "GET /api/faults",
                "DELETE /api/faults/7", #"POST /api/faults {"action":"cut"}"#, "DELETE /api/faults",
                #"POST /api/faults {"action":"close"}"#, "POST /api/reset", #"POST /api/faults {"action":"drop"}"#,
                "DELETE /api/faults/7",
            ])
    }

    @Test func whatTheCoreRefusesIsToldInItsWords() async throws {
        let stage = try stage([.advance(by: "1h")], clockIsReal: true)
        #expect(await LabRun(stage.options).run() == 1)
        #expect(stage.junit.contains("answered 409: the clock is real; write clock: virtual"), "\(stage.junit)")
    }

    @Test func aFaultWithOtherHitsFails() async throws {
        var hits = HitsExpectation(fault: "lost", hits: Count(least: 3))
        hits.withinMilliseconds = 50
        let stage = try stage([.fault(.add(rule: "{}", name: "lost")), .expectHits(hits)])
        #expect(await LabRun(stage.options).run() == 1)
        #expect(stage.junit.contains("awaited: at least 3 hits of the fault lost within 50 ms"), "\(stage.junit)")
        #expect(stage.junit.contains("2 hits"))
    }

    private func request(_ path: String, _ change: (inout HTTPStep) -> Void) -> Step.Action {
        var step = HTTPStep(method: "POST", url: "${core.http}\(path)")
        change(&step)
        return .http(step)
    }

    @Test func variablesGoFromStepToStep() async throws {
        var command = RunStep(command: ["/bin/sh", "-c", "echo \"$1 $COLOUR\"", "sh", "${var.kind}"])
        command.environment = ["COLOUR": "${var.colour}"]
        command.output = .matches("^fake ${var.colour}$")
        command.capture = [Capture(name: "word", source: .body, pattern: "(f[a-z]+)")]
        let stage = try stage([
            .set([.init(name: "quoted", value: #"a "b""#), .init(name: "colour", value: "r.d")]),
            request("/echo") { step in
                step.body = .json(#"{"x":"${var.quoted}"}"#)
                step.status = 201
                step.answer = .json([
                    PathRule(path: "$.said.x", rule: .value("${var.quoted}")), PathRule(path: "$.list[1]", rule: .value("true")),
                    PathRule(path: "$.list[2]", rule: .absent),
                ])
                step.capture = [Capture(name: "kind", source: .header("x-kind")), Capture(name: "one", source: .json(path: "$.list[0]"))]
            },
            .run(command),
            request("/echo") { $0.body = .text("${var.word} ${var.one}") },
        ])
        #expect(await LabRun(stage.options).run() == 0, "\(stage.junit)")
        #expect(stage.core.orders == [#"POST /echo {"x":"a \"b\""}"#, "POST /echo fake 1"])
    }

    @Test func aVerbThatIsWrongWhenFilledInFails() async throws {
        let stage = try stage([
            .set([.init(name: "who", value: "bbo")]), .verb(client: "alice", command: #"message ${var.who} "hi""#, mayFail: true),
        ])
        #expect(await LabRun(stage.options).run() == 1)
        #expect(stage.junit.contains("no subscriber is called 'bbo'; write 'bob'"), "\(stage.junit)")
    }

    @Test func anAnswerThatIsNotAsAwaitedIsShown() async throws {
        let stage = try stage([request("/nowhere") { $0.answer = .text(.matches("something")) }])
        #expect(await LabRun(stage.options).run() == 1)
        #expect(stage.junit.contains("status 404"), "\(stage.junit)")
        #expect(stage.junit.contains("which does not match something"), "\(stage.junit)")
        #expect(stage.junit.contains("nothing here"), "\(stage.junit)")
    }

    @Test func aCommandThatFailsSaysHow() async throws {
        let failing = try stage([.run(RunStep(command: ["/bin/sh", "-c", "echo seen; exit 4"]))])
        #expect(await LabRun(failing.options).run() == 1)
        #expect(failing.junit.contains("it ended with status 4") && failing.junit.contains("printed: seen"), "\(failing.junit)")

        var slow = RunStep(command: ["/bin/sh", "-c", "sleep 1000 & echo $! > slow; wait"])
        slow.timeoutMilliseconds = 300
        let stage = try stage([.run(slow)])
        #expect(await LabRun(stage.options).run() == 1)
        #expect(stage.junit.contains("it went on, and was ended"), "\(stage.junit)")
        let pid = try #require((stage.folder.read("slow") ?? "").split(separator: "\n").first.flatMap { pid_t($0) })
        #expect(!isAlive(pid))
    }

    @Test func capturesAndCountsOfMessages() async throws {
        func message(_ number: Int, _ body: String) -> JSON {
            messageJSON(
                number, "out", "127.0.0.1:4000", "MESSAGE sip:alice@127.0.0.1:4000 SIP/2.0", method: "MESSAGE",
                headers: [("To", "<sip:alice@home1.test>"), ("Call-ID", "call-\(number)")], body: body)
        }
        let steps: [Step.Action] = [
            .verb(client: "alice", command: "register", mayFail: false),
            expect("alice") {
                $0.request = "MESSAGE"
                $0.withinMilliseconds = 5000
                $0.body = .text(.value("three"))
                $0.capture = [Capture(name: "id", source: .header("Call-ID"))]
            },
            expect("alice") {
                $0.headers = [HeaderExpectation(name: "Call-ID", rule: .matches("^call-[12]$"))]
                $0.count = Count(least: 2, most: 2)
            },
            expect("alice") {
                $0.request = "MESSAGE"
                $0.count = Count(least: 0, most: 0)
            },
            request("/echo") { $0.body = .text("${var.id}") },
        ]
        let passing = try stage(steps)
        let feeding = Task { await feed(passing, message(1, "one"), message(2, "two"), message(3, "three")) }
        #expect(await LabRun(passing.options).run() == 0, "\(passing.junit)")
        await feeding.value
        #expect(passing.core.orders == ["POST /echo call-3"])

        let failing = try stage(steps)
        let secondFeeding = Task { await feed(failing, message(1, "one"), message(2, "two"), message(3, "three"), message(4, "four")) }
        #expect(await LabRun(failing.options).run() == 1)
        await secondFeeding.value
        #expect(failing.junit.contains("awaited: no MESSAGE at alice within 100 ms"), "\(failing.junit)")
        #expect(failing.junit.contains("#4 MESSAGE: as awaited, but one too many"), "\(failing.junit)")
    }

    private func feed(_ stage: Stage, _ messages: JSON...) async {
        _ = await eventually { stage.folder.read("alice.log")?.contains("registered") == true }
        for message in messages { stage.core.record(message) }
    }

    // MARK: Reports

    @Test func aFailureHasAPageWithLogs() async throws {
        var stage = try stage([
            .verb(client: "alice", command: "register", mayFail: false), expect("alice") { $0.response = 500 },
        ])
        stage.options.reportFolder = stage.folder.path + "/report"
        #expect(await LabRun(stage.options).run() == 1)
        let page = stage.folder.read("report/01-it.html") ?? ""
        #expect(page.contains("<title>it failed</title>") && page.contains("a response 500 at alice"), "\(page)")
        #expect(page.contains("Log of alice") && page.contains("registered"), "\(page)")
    }

    // MARK: Side by side

    @Test func eachScenarioHasALabOfItsOwn() async throws {
        var stage = try stage([.run(RunStep(command: ["/bin/sh", "-c", "echo x >> ran"]))])
        let first = try #require(stage.options.scenarios?.first)
        // The fake core is at a port of the file's, which isolated labs do not take: their steps are of the kind that need none.
        stage.options.scenarios = [
            first, Scenario(name: "two", steps: [Step(file: "lab.yaml", line: 30, text: "x", action: .wait(milliseconds: 1))]),
        ]
        stage.options.jobs = 2
        #expect(await LabRun(stage.options).run() == 1)
        #expect(stage.junit.contains("tests=\"2\""))
        let names = stage.junit.matches(of: /testcase name="([^"]*)"/).map { String($0.1) }
        #expect(names == ["it", "two"])
        // Core, server and client, twice.
        #expect(stage.pids.count == 6 && stage.pids.filter(isAlive) == [])
        for name in ["it/alice.log", "two/alice.log"] { #expect(stage.folder.read(name) != nil) }
    }
}
