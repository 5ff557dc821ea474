// Scenarios with all forms of steps against the real nodes; labs side by side; what is reported; `--watch`.

import Foundation
import Glibc
import Testing

@Suite struct ScenarioTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let lab = """
        domain: home1.test
        core: {listen: ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"], http: "127.0.0.1:0"}
        lab: {http: "127.0.0.1:0"}
        application_servers: {im: {uri: "sip:127.0.0.1:0", feature_tags: [+g.oma.sip-im], run: im-server}}
        subscribers: {alice: {password: wonderland, application_servers: [im]}, bob: {password: builder, application_servers: [im]}}
        clients: {alice: {run: im-client}, bob: {run: im-client}}
        scenarios:

        """

    private func lab(_ scenarios: String, _ arguments: String..., environment: [String] = []) async throws -> (status: Int32, child: Child)
    {
        let file = try folder.write("lab.yaml", Self.lab + scenarios)
        return try await run(environment + [sipcore, "lab", file] + arguments, named: "lab", in: folder)
    }

    @Test func `every form of step holds against the real nodes, as the README shows them`() async throws {
        let (status, lab) = try await lab(try readmeBlock(after: "## Scenarios", "yaml").replacing("scenarios:\n", with: ""), "--scenarios")
        #expect(status == 0, "\(lab.output)\n\(lab.errors)")
        #expect(lab.output.contains("1 of 1 scenarios passed"))
        let steps = lab.output.split(separator: "\n").count { $0.hasPrefix("  ok ") }
        #expect(steps == 16)
    }

    /// What steps do not see, such as a reset by HTTP, does not make `expect` blind.
    @Test func `numbers that begin anew are noticed, and compact names are names`() async throws {
        let scenarios = """
              begins anew:
                - alice: register
                - expect: {at: im, request: REGISTER, headers: {t: "<sip:alice@home1.test>"}}
                - http: {url: "${core.http}/api/reset", method: POST, status: 204}
                - alice: register
                - expect: {at: im, request: REGISTER}
                - http: {url: "${core.http}/api/health", method: HEAD}
              is not blind:
                - alice: register
                - expect: {at: im, request: REGISTER}
                - run: [curl, -s, -X, POST, "${core.http}/api/reset"]
                - alice: register
                - expect: {at: im, request: REGISTER, never: true, within: 300ms}
              knows compact names:
                - alice: register
                - expect: {at: im, request: REGISTER, headers: {m: {absent: true}}, within: 100ms}
              counts:
                - alice: register
                - expect: {at: im, request: REGISTER, count: 2, within: 100ms}

            """
        let (status, lab) = try await lab(scenarios, "--scenarios")
        #expect(status == 1)
        let results = lab.output.split(separator: "\n").filter { $0.hasPrefix("passed: ") || $0.hasPrefix("failed: ") }
        #expect(results == ["passed: begins anew", "failed: is not blind", "failed: knows compact names", "failed: counts"])
        #expect(lab.output.contains("1 of them: #"))
        #expect(!lab.output.contains("came before those of earlier steps"), "\(lab.output)")
    }

    /// The steps that steer the core, under a clock that moves only by them.
    private static let steered = """
          time, faults and a new beginning:
            - alice: register expires=3600
            - bob: register expires=3600
            - fault: {method: MESSAGE, peer: im, direction: out, action: answer, answer_status: 503, times: 1, as: refused}
            - alice: message bob "without the server"
            - expect: {at: bob, request: MESSAGE, body: "without the server"}
            - expect: {fault: refused, hits: 1}
            - fault: {end: refused}
            - fault: {method: REGISTER, peer: bob, action: drop, times: 1, as: lost}
            - advance: 1h
            - expect: {at: im, request: REGISTER, headers: {To: {pattern: bob}}}
            - expect: {at: bob, response: 200, to: REGISTER, count: 1, within: 100ms}
            - http: {url: "${core.http}/api/messages?peer=bob&method=REGISTER&direction=in", expect: {json: {"$.messages[2].fault": dropped}}}
            - expect: {fault: lost, hits: 1}
            - http: {url: "${core.http}/api/clock", expect: {json: {$.now: "2026-01-01T01:00:00.000000Z"}}}
            - fault: reset
            - http: {url: "${core.http}/api/faults", expect: {json: {"$.faults[0]": {absent: true}}}}
            - advance: 12h
            - http: {url: "${core.http}/api/registrations/sip:bob@home1.test", expect: {json: {$.public_identity: "sip:bob@home1.test"}}}
            - reset
            - http: {url: "${core.http}/api/registrations", expect: {json: {"$.registrations[0]": {absent: true}}}}
            - http: {url: "${core.http}/api/clock", expect: {json: {$.now: "2026-01-01T13:00:00.000000Z"}}}
            - alice: register
            - expect: {at: alice, response: 200, to: REGISTER}

        """

    @Test func `steps move the clock, have messages go astray and begin anew`() async throws {
        let file = try folder.write(
            "lab.yaml",
            Self.lab.replacing("http: \"127.0.0.1:0\"}\nlab", with: "http: \"127.0.0.1:0\", clock: virtual, seed: 4}\nlab") + Self.steered)
        let (status, lab) = try await run([sipcore, "lab", file, "--scenarios"], named: "lab", in: folder)
        #expect(status == 0, "\(lab.output)\n\(lab.errors)")
        // What does not hold is told as well as any other step: the real clock, and a fault that nobody made.
        for (steps, told) in [("advance: 1h", "clock: virtual"), ("expect: {fault: none, hits: 1}", "none")] {
            let (status, lab) = try await self.lab("  wrong:\n    - \(steps)\n", "--scenarios")
            #expect(status == 1)
            #expect((lab.output + lab.errors).contains(told), "\(lab.output)\n\(lab.errors)")
        }
    }

    private static let failing = """
          alice registers:
            - alice: register
            - expect: {at: alice, response: 200, to: REGISTER}
          the wrong tag is awaited:
            - alice: register
            - alice: publish settings
            - expect: {at: im, request: PUBLISH, headers: {Accept-Contact: "*;+g.other", Expires: {absent: true}}, within: 50ms}
          bob registers:
            - bob: register

        """

    @Test func `a failure is shown header by header, as annotation and as a page`() async throws {
        let (status, lab) = try await lab(
            Self.failing, "--scenarios", "--report", "reports", "--junit", "junit.xml", environment: ["env", "GITHUB_ACTIONS=true"])
        #expect(status == 1)
        #expect(
            lab.output.contains("- Accept-Contact  *;+g.other") && lab.output.contains("+ Accept-Contact  *;+g.oma.sip-im"), "\(lab.output)"
        )
        let annotation = lab.output.split(separator: "\n").first { $0.hasPrefix("::error ") } ?? ""
        #expect(
            annotation.contains("lab.yaml,line=14,col=7,title=the wrong tag is awaited failed::awaited%3A")
                || annotation.contains("line=14,col=7"), "\(annotation)")
        let page = folder.read("reports/02-the-wrong-tag-is-awaited.html") ?? ""
        #expect(page.contains("<svg") && page.contains("Nearest message") && page.contains("Log of im"), "\(page.prefix(2000))")
        #expect(page.contains("PUBLISH sip:alice@home1.test SIP/2.0"))
        #expect(folder.read("reports/01-alice-registers.html") == nil)
        #expect(lab.output.contains("2 of 3 scenarios passed"))

        let quiet = try await self.lab(Self.failing, "--scenarios", "--annotations", "none", environment: ["env", "GITHUB_ACTIONS=true"])
        #expect(!quiet.child.output.contains("::error"))
    }

    @Test func `scenarios run side by side in labs of their own, and are told in their order`() async throws {
        let taken = try TakenPort()
        let scenarios = Self.failing.replacing("    - bob: register\n", with: "    - bob: register\n    - expect: {at: im, stored: 0}\n")
        let file = try folder.write(
            "lab.yaml",
            (Self.lab + scenarios).replacing("udp://127.0.0.1:0", with: "udp://127.0.0.1:\(taken.port)").replacing(
                "http: \"127.0.0.1:0\"}\nlab", with: "http: \"127.0.0.1:0\", database: lab.sqlite}\nlab"))
        let (status, lab) = try await run(
            [sipcore, "lab", file, "--scenarios", "--jobs", "3", "--junit", "junit.xml", "--logs", "logs"], named: "lab", in: folder)
        withExtendedLifetime(taken) {}
        #expect(status == 1, "\(lab.output)\n\(lab.errors)")
        let told = lab.output.split(separator: "\n").filter {
            $0.hasPrefix("scenario: ") || $0.hasPrefix("passed: ") || $0.hasPrefix("failed: ")
        }
        #expect(
            told == [
                "scenario: alice registers", "passed: alice registers", "scenario: the wrong tag is awaited",
                "failed: the wrong tag is awaited", "scenario: bob registers", "passed: bob registers",
            ])
        let names = (folder.read("junit.xml") ?? "").matches(of: /testcase name="([^"]*)"/).map { String($0.1) }
        #expect(names == ["alice registers", "the wrong tag is awaited", "bob registers"])
        #expect(folder.read("logs/bob-registers/bob.log")?.contains("registered") == true)
        #expect(folder.read("lab.sqlite") == nil)
    }

    @Test func `a server that would not hear of another port stands in the way`() async throws {
        let text = Self.lab.replacing(
            "run: im-server}", with: "run: im-server}, mine: {uri: \"sip:127.0.0.1:5999\", command: [sh, -c, sleep 60]}")
        let file = try folder.write("lab.yaml", text + Self.failing)
        let (status, lab) = try await run([sipcore, "lab", file, "--scenarios", "--jobs", "2"], named: "lab", in: folder)
        #expect(status == 1)
        #expect(lab.errors.contains("${application_servers.mine.uri}"), "\(lab.errors)")
    }

    @Test(arguments: [["--jobs", "0", "--scenarios"], ["--jobs", "2"], ["--report", "x"], ["--annotations", "gitlab"]])
    func `wrong switches are wrong usage`(arguments: [String]) async throws {
        let file = try folder.write("lab.yaml", Self.lab + Self.failing)
        let (status, lab) = try await run([sipcore, "lab", file] + arguments, named: "lab", in: folder)
        #expect(status == 2)
        #expect(lab.errorLines.count == 1, "\(lab.errors)")
    }

    @Test func `a watched lab runs anew, waits out what is wrong, and ends with 0`() async throws {
        func write(_ name: String) throws -> String {
            try folder.write("lab.yaml", Self.lab + "  \(name):\n    - alice: register\n")
        }
        let file = try write("first")
        let lab = try Child([sipcore, "lab", file, "--scenarios", "--watch"], named: "lab", in: folder)
        #expect(await eventually { lab.output.contains("passed: first") && lab.errors.contains("waiting for a change") })
        _ = try folder.write("lab.yaml", Self.lab + "  broken:\n    - alce: register\n")
        #expect(await eventually { lab.errors.contains("write 'alice'") }, "\(lab.errors)")
        #expect(lab.exitStatus == nil)
        _ = try write("second one")
        #expect(await eventually { lab.output.contains("passed: second one") }, "\(lab.output)")
        lab.signal(SIGINT)
        #expect(try await lab.end() == 0)
    }
}
