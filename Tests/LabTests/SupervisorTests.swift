import Glibc
import JSONText
import Synchronization
import Testing

@testable import Lab

@Suite struct SupervisorTests {
    /// A supervisor over these nodes, with what it told.
    private struct Stage {
        let supervisor: Supervisor
        let link: GuardLink
        let ends = EndLog()

        init(_ plans: [NodePlan], logFolder: String? = nil, address: HostAndPort? = nil) throws {
            link = try GuardLink(command: [sipcoreExecutable, LabGuard.subcommand])
            supervisor = Supervisor(
                plans: plans, link: link, output: try NodeOutput(logFolder: logFolder, keptLines: 2) { _ in },
                addressOfURI: { _ in address }, unexpectedEnd: { [ends] in ends.add($0.node, $0.reason) })
            Task { [supervisor] in await supervisor.watch() }
        }
    }

    private final class EndLog: Sendable {
        private let entries = Mutex<[String]>([])
        func add(_ node: String, _ reason: String) { entries.withLock { $0.append("\(node) \(reason)") } }
        var all: [String] { entries.withLock { $0 } }
    }

    private func plan(
        _ name: String, _ role: NodeRole, _ script: String, _ readiness: Readiness = .readyLine, isBuiltIn: Bool = true
    ) -> NodePlan {
        NodePlan(name: name, role: role, process: shell(script, node: name), readiness: readiness, isBuiltIn: isBuiltIn)
    }

    private let ready = #"echo '{"event":"ready","sip":["udp://127.0.0.1:4000"]}'"#

    /// A client of a few lines: it answers the verbs that the tests use.
    private var client: String {
        #"""
        echo '{"event":"ready","role":"im-client","sip":["udp://127.0.0.1:4001"]}'
        while read -r verb rest; do
            case "$verb" in
                register) echo '{"event":"message_received","body":"x"}'; echo '{"event":"registered","expires":3600}';;
                publish) echo '{"event":"settings_refused","status":403,"reason":"Forbidden"}';;
                quit) exit 0;;
                die) exit 5;;
            esac
        done
        """#
    }

    @Test func allNodesAreStartedAndStopped() async throws {
        let stage = try Stage([
            plan("core", .core, "\(ready); exec sleep 1000"),
            plan("im", .server, "\(ready); exec sleep 1000", isBuiltIn: false),
            plan("alice", .client, "exec sleep 1000", .running, isBuiltIn: false),
        ])
        try await stage.supervisor.startAll()
        let statuses = await stage.supervisor.statuses()
        #expect(statuses.map(\.name) == ["core", "im", "alice"])
        #expect(statuses.map(\.state) == ["ready", "ready", "ready"])
        let pids = statuses.compactMap(\.pid)
        #expect(pids.count == 3)
        #expect(
            await stage.supervisor.listenAddresses() == [
                "core": [HostAndPort(host: "127.0.0.1", port: 4000)], "im": [HostAndPort(host: "127.0.0.1", port: 4000)],
            ])
        await stage.supervisor.stopAll()
        #expect(pids.filter(isAlive) == [])
        #expect(await stage.supervisor.statuses().map(\.state) == ["stopped", "stopped", "stopped"])
        #expect(stage.ends.all == [])
        await stage.link.end()
    }

    @Test func aNodeThatEndsBeforeItIsReadyIsNamedWithItsLastWords() async throws {
        let stage = try Stage([plan("core", .core, "echo 'udp 127.0.0.1:5060: address in use' >&2; exit 3")])
        let failure = await #expect(throws: NodeFailure.self) { try await stage.supervisor.startAll() }
        #expect(failure?.description == "core: ended with status 3 before it was ready: udp 127.0.0.1:5060: address in use")
        await stage.link.end()
    }

    @Test func aMissingProgramIsNamed() async throws {
        let process = ProcessSpec(node: "bob", arguments: ["./my-client"], folder: "/tmp")
        let stage = try Stage([NodePlan(name: "bob", role: .client, process: process, readiness: .running, isBuiltIn: false)])
        let failure = await #expect(throws: NodeFailure.self) { try await stage.supervisor.startAll() }
        #expect(failure?.description == "bob: cannot start ./my-client: No such file or directory")
        await stage.link.end()
    }

    @Test func aPatternInTheOutputTellsReadiness() async throws {
        let stage = try Stage([
            plan("bob", .client, "echo 'listening on 5080' >&2; exec sleep 1000", .output(pattern: "^listening on [0-9]+$"))
        ])
        try await stage.supervisor.start("bob")
        #expect(await stage.supervisor.status(of: "bob")?.state == "ready")
        await stage.link.end()
    }

    @Test func anAnswerToOptionsTellsReadiness() async throws {
        let server = try #require(boundSocket(to: HostAndPort(host: "127.0.0.1", port: 0), type: SOCK_DGRAM))
        defer { close(server.descriptor) }
        let stage = try Stage(
            [plan("im", .server, "exec sleep 1000", .readyLineOrAnswer(uri: "sip:127.0.0.1"), isBuiltIn: false)],
            address: HostAndPort(host: "127.0.0.1", port: server.port))
        let answering = Task { await answerDatagrams(on: server.descriptor) }
        defer { answering.cancel() }
        try await stage.supervisor.start("im")
        answering.cancel()
        let asked = await answering.value
        #expect(asked.hasPrefix("OPTIONS sip:127.0.0.1 SIP/2.0\r\n"))
        #expect(asked.hasSuffix("Content-Length: 0\r\n\r\n"))
        #expect(await stage.supervisor.status(of: "im")?.state == "ready")
        await stage.link.end()
    }

    @Test func aNodeThatEndsByItselfIsReported() async throws {
        let stage = try Stage([plan("im", .server, "\(ready); read line; exit 4"), plan("bob", .client, client)])
        try await stage.supervisor.startAll()
        let pid = try #require(await stage.supervisor.status(of: "im")?.pid)
        kill(pid, SIGKILL)
        #expect(await eventually { stage.ends.all == ["im ended by signal 9"] })
        #expect(await stage.supervisor.status(of: "im")?.state == "stopped")
        try await stage.supervisor.start("im")
        #expect(await stage.supervisor.status(of: "im")?.state == "ready")
        await stage.link.end()
    }

    @Test func stoppingAndStartingWrongWayRoundIsRefused() async throws {
        let stage = try Stage([plan("im", .server, "\(ready); exec sleep 1000")])
        await #expect(throws: NodeFailure(node: "im", reason: "it does not run; start it first")) { try await stage.supervisor.stop("im") }
        try await stage.supervisor.start("im")
        await #expect(throws: NodeFailure(node: "im", reason: "it runs already; stop it first")) { try await stage.supervisor.start("im") }
        try await stage.supervisor.stop("im")
        await #expect(throws: NodeFailure(node: "x", reason: "the lab starts no such node")) { try await stage.supervisor.start("x") }
        await stage.link.end()
    }

    @Test func verbsAreAnsweredByTheirEvents() async throws {
        let stage = try Stage([
            plan("alice", .client, client), plan("mute", .client, "exec sleep 1000", .running, isBuiltIn: false),
        ])
        try await stage.supervisor.startAll()
        let supervisor = stage.supervisor
        #expect(
            await supervisor.perform(ClientVerb("register"), on: "alice") == .done(JSON(#"{"event":"registered","expires":3600}"#.utf8)!))
        #expect(
            await supervisor.perform(ClientVerb("publish settings"), on: "alice")
                == .refused(JSON(#"{"event":"settings_refused","status":403,"reason":"Forbidden"}"#.utf8)!))
        #expect(await supervisor.perform(ClientVerb("unregister"), on: "alice", milliseconds: 50) == .silent(speaksLines: true))
        #expect(await supervisor.perform(ClientVerb("register"), on: "mute", milliseconds: 50) == .silent(speaksLines: false))
        #expect(await supervisor.perform(ClientVerb("unregister die"), on: "nobody") == .notRunning(reason: "the lab starts no such node"))
        #expect(await supervisor.perform(ClientVerb("die"), on: "alice") == .notRunning(reason: "ended with status 5"))
        #expect(stage.ends.all == ["alice ended with status 5"])
        try await supervisor.start("alice")
        #expect(await supervisor.perform(ClientVerb("quit"), on: "alice") == .done(JSON(#"{"event":"ended"}"#.utf8)!))
        #expect(stage.ends.all.count == 1)
        await stage.link.end()
    }

    @Test func outputGoesToAFilePerNode() async throws {
        let folder = try TemporaryFolder()
        // All is written by the time it is said to be ready: the lab is told to stop as soon as it is.
        let output = #"printf '%s\nlast' '{"event":"ready","sip":["udp://127.0.0.1:4000"]}'"#
        let stage = try Stage([plan("im", .server, "echo oops >&2; \(output); exec sleep 1000")], logFolder: folder.path)
        try await stage.supervisor.startAll()
        await stage.supervisor.stopAll()
        let log = try #require(folder.read("im.log"))
        #expect(Set(log.split(separator: "\n")) == ["{\"event\":\"ready\",\"sip\":[\"udp://127.0.0.1:4000\"]}", "oops", "last"])
        await stage.link.end()
    }

    @Test func whoGoesByTheCoresClockIsStartedAfterTheCore() async throws {
        let folder = try TemporaryFolder()
        let clock = folder.path + "/clock"
        let core = plan("core", .core, "sleep 0.3; touch \(clock); \(ready); exec sleep 1000")
        var others = [("im", NodeRole.server), ("alice", .client)].map {
            plan($0, $1, "test -e \(clock) || exit 3; \(ready); exec sleep 1000")
        }
        for index in others.indices { others[index].hasVirtualClock = true }
        let stage = try Stage([core] + others)
        try await stage.supervisor.startAll()
        #expect(await stage.supervisor.statuses().map(\.state) == ["ready", "ready", "ready"])
        await stage.link.end()
    }

    @Test func aClientOnAVirtualClockWaitsItself() async throws {
        var plan = plan("alice", .client, "\(ready); while read -r line; do echo \"asked to $line\"; done")
        plan.hasVirtualClock = true
        let stage = try Stage([plan])
        try await stage.supervisor.start("alice")
        let outcome = await stage.supervisor.perform(ClientVerb("wait 80000"), on: "alice")
        #expect(outcome == .done(.members(["event": .text("waited")])))
        #expect(await eventually { await stage.supervisor.logs().first?.lines.last == "asked to wait 80000" })
        await stage.link.end()
    }

    // MARK: Commands

    @Test func aCommandRunsToItsEndWithoutInput() async throws {
        let stage = try Stage([])
        let outcome = await stage.supervisor.run(
            shell("cat; echo $COLOUR; echo x >&2; exit 3", environment: ["COLOUR": "red"]), milliseconds: 10_000)
        #expect(outcome == CommandOutcome(end: .ended(.exited(3)), output: "red"))
        #expect(stage.ends.all == [])
        await stage.link.end()
    }

    @Test func aCommandIsEndedWithAllThatItStarted() async throws {
        let folder = try TemporaryFolder()
        let stage = try Stage([])
        let script = "trap '' TERM; echo $$ > \(folder.path)/pids; (setsid sleep 1000 & echo $! >> \(folder.path)/pids); sleep 1000"
        let outcome = await stage.supervisor.run(shell(script), milliseconds: 200)
        #expect(outcome.end == .timedOut)
        let pids = (folder.read("pids") ?? "").split(separator: "\n").compactMap { pid_t($0) }
        #expect(pids.count == 2 && pids.filter(isAlive) == [])
        await stage.link.end()
    }

    @Test func aCommandThatIsNotFoundSaysSo() async throws {
        let stage = try Stage([])
        let process = ProcessSpec(node: "x", arguments: ["./no-such-command"], folder: "/tmp")
        guard case .notStarted(let reason) = await stage.supervisor.run(process, milliseconds: 10_000).end else {
            return #expect(Bool(false), "it started")
        }
        #expect(reason.contains("./no-such-command") && reason.contains("No such file"))
        await stage.link.end()
    }

    @Test func theLastLinesAreKept() async throws {
        let stage = try Stage([plan("im", .server, "for i in 1 2 3 4 5; do echo $i; done; exec sleep 1000", .output(pattern: "5"))])
        try await stage.supervisor.startAll()
        let logs = await stage.supervisor.logs()
        #expect(logs.map(\.node) == ["im"] && logs.first?.lines.suffix(2) == ["4", "5"])
        await stage.link.end()
    }
}

/// Answers every datagram with anything until cancelled, and returns the text of the first: on a busy machine the sender of
/// that one may have given up already and asked again.
private func answerDatagrams(on descriptor: Int32) async -> String {
    setNonBlocking(descriptor)
    var buffer = [UInt8](repeating: 0, count: 4096)
    var first: String?
    while !Task.isCancelled {
        var from = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutablePointer(to: &from) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                let received = recvfrom(descriptor, &buffer, buffer.count, 0, address, &length)
                guard received > 0 else { return }
                first = first ?? String(decoding: buffer.prefix(received), as: UTF8.self)
                sendto(descriptor, "x", 1, 0, address, length)
            }
        }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return first ?? ""
}
