import Glibc
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

    private func stage(_ steps: [Step.Action]?) throws -> Stage {
        let folder = try TemporaryFolder()
        let core = try FakeCore()
        var topology = smallTopology(folder: folder.path)
        topology.core.http = HostPort(host: core.address.host, port: core.address.port)
        var server = ApplicationServer(name: "im", uri: "sip:127.0.0.1:0")
        server.launch = .builtIn("im-server")
        topology.applicationServers = [server]
        topology.clients = [Client(name: "alice", launch: .builtIn("im-client"))]
        var options = LabOptions(topology: topology, executable: try executable(in: folder))
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
        #expect(ready["role"] == .string("lab"))
        #expect(ready["nodes"]?["alice"]?["role"] == .string("im-client"))
        #expect(ready["nodes"]?["core"]?["sip"]?.array?.count == 1)
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
}
