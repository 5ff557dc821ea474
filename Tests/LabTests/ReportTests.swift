import JSONText
import SIPLadder
import Testing
import Topology

@testable import Lab

@Suite struct ReportTests {
    private func failed() throws -> ScenarioResult {
        let octets = "MESSAGE sip:bob@home1.test SIP/2.0\r\nCall-ID: <c>\r\nCSeq: 1 MESSAGE\r\n\r\nhi"
        var json = messageJSON(3, "in", "127.0.0.1:4000", "MESSAGE sip:bob@home1.test SIP/2.0", method: "MESSAGE")
        guard case .object(var members) = json else { throw Failure() }
        members.append(.init("local", .text("127.0.0.1:5060")))
        members.append(.init("raw", .text(octets)))
        members.append(.init("fault", .text("dropped")))
        json = .object(members)
        let message = try #require(RecordedMessage(json))
        var details = FailureDetails(
            file: "labs/my,lab.yaml", line: 12, column: 7, awaited: "a 200 at alice", cameInstead: ["100% nothing"])
        details.messages = [message]
        details.arrows = [.init(microseconds: 0, from: "alice", to: "core", label: "MESSAGE")]
        details.columns = ["alice", "core"]
        details.logs = [.init(node: "im", lines: ["it <broke>"])]
        return ScenarioResult(
            name: "it: fails", time: 1, failure: .init(step: "labs/my,lab.yaml:12  expect", report: details.report, details: details))
    }

    private struct Failure: Error {}

    @Test func gitHubIsToldWhere() throws {
        let passed = ScenarioResult(name: "it passes", time: 1, failure: nil)
        let bare = ScenarioResult(name: "bare", time: 0, failure: .init(step: "s", report: "its lab did not start"))
        #expect(
            GitHubAnnotations.lines([passed, try failed(), bare]) == [
                "::error file=labs/my%2Clab.yaml,line=12,col=7,title=it%3A fails failed::awaited: a 200 at alice%0Acame instead:%0A  100%25 nothing",
                "::error title=bare failed::its lab did not start",
            ])
    }

    @Test func thePageHoldsAllThatIsKnown() throws {
        let page = try #require(HTMLReport.page(try failed()))
        for piece in [
            "<title>it: fails failed</title>", "a 200 at alice", "100% nothing", "Log of im", "it &lt;broke&gt;", "alice", "dropped",
            "Call-ID: &lt;c&gt;",
        ] { #expect(page.contains(piece), "\(piece)") }
        #expect(!page.contains("src=") && !page.contains("http://") || page.contains("http://www.w3.org/2000/svg"))
        #expect(HTMLReport.page(ScenarioResult(name: "x", time: 0, failure: nil)) == nil)
    }

    @Test(arguments: [("Settings reach the IM server!", "03-settings-reach-the-im-server.html"), ("…", "03-scenario.html")])
    func filesAreCalledAsTheirScenarios(name: String, file: String) { #expect(HTMLReport.fileName(name, number: 3) == file) }

    @Test func onlyFailuresAreWritten() throws {
        let folder = try TemporaryFolder()
        let results = [ScenarioResult(name: "one", time: 1, failure: nil), try failed()]
        #expect(HTMLReport.write(results, to: folder.path + "/a/b") == [])
        #expect(folder.read("a/b/02-it-fails.html")?.contains("it: fails") == true)
        #expect(folder.read("a/b/01-one.html") == nil)
        _ = try folder.write("file", "")
        #expect(HTMLReport.write(results, to: folder.path + "/file/b").first?.contains("Not a directory") == true)
    }
}

@Suite struct GroupedOutputTests {
    @Test func wordsKeepTheirOrderAndStream() {
        let group = GroupedOutput()
        group.console.print("one")
        group.console.write(Array("im | two\n".utf8))
        group.console.complain("three")
        var seen: [String] = []
        group.flush { seen.append("\($1) \(String(decoding: $0, as: UTF8.self))") }
        #expect(seen == ["1 one\n", "2 im | two\n", "2 sipcore: three\n"])
        group.flush { _, _ in seen.append("again") }
        #expect(seen.count == 3)
    }
}

@Suite struct IsolatedTopologyTests {
    private func server(_ name: String, _ launch: Launch) -> ApplicationServer {
        var server = ApplicationServer(name: name, uri: "sip:127.0.0.1:5080")
        server.launch = launch
        server.database = "/labs/\(name).sqlite"
        return server
    }

    private func topology() -> Topology {
        var topology = smallTopology()
        topology.core.listen = [ListenAddress(transport: .udp, host: "127.0.0.1", port: 5060)]
        topology.core.http = HostPort(host: "127.0.0.1", port: 8080)
        topology.core.database = "/labs/lab.sqlite"
        topology.lab.http = HostPort(host: "127.0.0.1", port: 8090)
        topology.applicationServers = [
            server("im", .builtIn("im-server")), server("mine", .command(["./mine", "${application_servers.mine.uri}"])),
            server("fixed", .command(["./fixed"])), server("elsewhere", .external),
        ]
        return topology
    }

    @Test func nothingThatTheFileFixesIsTaken() throws {
        let resolved = try ResolvedTopology(topology(), isolatedIn: "/scratch")
        #expect(resolved.isIsolated)
        #expect(resolved.topology.core.listen[0].port != 5060 && resolved.topology.core.listen[0].port != 0)
        #expect(resolved.coreHTTP.port != 8080 && resolved.topology.lab.http?.port == 0)
        #expect(resolved.topology.core.database == "/scratch/core.sqlite")
        let uris = resolved.topology.applicationServers.map(\.uri)
        #expect(!uris.prefix(2).contains { $0.hasSuffix(":5080") || $0.hasSuffix(":0") })
        // These would not hear of another port.
        #expect(uris.suffix(2) == ["sip:127.0.0.1:5080", "sip:127.0.0.1:5080"])
        #expect(resolved.topology.applicationServers.allSatisfy { $0.database == nil })
        #expect(
            Set(resolved.overrides.map(\.key)) == [
                "core.database", "core.listen", "core.http", "application_servers.im.uri", "application_servers.im.http",
                "application_servers.mine.uri",
            ])
    }

    @Test func whatStandsInTheWayIsNamed() {
        var topology = topology()
        var network = Network(domain: "home2.test", uri: "sip:127.0.0.1:6060", isTrusted: true)
        network.launch = .command(["./core2"])
        topology.networks = [network]
        #expect(
            ResolvedTopology.obstacles(to: topology) == [
                "the command of fixed has the port of its uri written in it; give it ${application_servers.fixed.uri} instead",
                "home2.test is started at the fixed address sip:127.0.0.1:6060; run one lab at a time, with --jobs 1",
            ])
        #expect(ResolvedTopology.shared(by: topology) == ["elsewhere"])
    }

    @Test func aPortIsChosenOnce() {
        var ports: [UInt16] = []
        for _ in 0..<50 {
            var choice = FreePorts(isAlone: false)
            if let port = choice.choose(host: "127.0.0.1") { ports.append(port) }
            choice.release()
        }
        #expect(ports.count == 50 && Set(ports).count == 50)
    }
}

@Suite struct InterruptionTests {
    @Test func whoComesLateHearsOfItToo() {
        let interruption = Interruption()
        let early = Counter()
        interruption.add { early.add() }
        #expect(!interruption.isFired)
        interruption.fire()
        interruption.fire()
        let late = Counter()
        interruption.add { late.add() }
        #expect(interruption.isFired && early.count == 2 && late.count == 2)
    }
}

@Suite struct LabWatchTests {
    @Test func changesAreSeenSinceTheyWereRead() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("a", "1")
        let files = WatchedFiles()
        files.add(path)
        files.add(folder.path + "/missing")
        #expect(files.changed == [])
        _ = try folder.write("a", "22")
        #expect(files.changed == [path])
        files.add(path)
        #expect(files.changed == [path])
        _ = try folder.write("missing", "")
        #expect(files.changed == [path, folder.path + "/missing"])
    }

    @Test func filesAreReadAnewWhenTheyHaveChanged() async throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("a", "1")
        let rounds = Counter()
        let interruption = Interruption()
        let watch = LabWatch { files in
            files.add(path)
            rounds.add()
            return nil
        }
        let watching = Task { await watch.run(until: interruption) }
        #expect(await eventually { rounds.count == 1 })
        _ = try folder.write("a", "another length")
        #expect(await eventually { rounds.count == 2 })
        interruption.fire()
        await watching.value
        #expect(rounds.count == 2)
    }
}
