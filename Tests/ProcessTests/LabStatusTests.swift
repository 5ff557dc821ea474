// What `sipcore lab` says and with which status it ends.

import Foundation
import Glibc
import Testing

@Suite struct LabStatusTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func lab(_ topology: String, _ arguments: String...) async throws -> (status: Int32, child: Child) {
        try await run([sipcore, "lab", try folder.write("lab.yaml", topology)] + arguments, named: "lab", in: folder)
    }

    private static let core = """
        domain: home1.test
        core: {listen: ["udp://127.0.0.1:0"], http: "127.0.0.1:0"}
        subscribers: {alice: {password: wonderland}}

        """

    private static let scenario = """
        clients: {alice: {run: im-client}}
        scenarios:
          alice registers:
            - alice: register
            - expect: {at: alice, response: 200, to: REGISTER}
          alice is refused:
            - alice: register
            - expect: {at: alice, response: 599, to: REGISTER, within: 100ms}

        """

    @Test func `an unknown scenario is wrong usage`() async throws {
        let (status, lab) = try await lab(Self.core + Self.scenario, "--scenario", "alice register")
        #expect(status == 2)
        #expect(lab.errorLines.count == 1)
        #expect(lab.errors.contains("'alice register'") && lab.errors.contains("did you mean 'alice registers'?"))
    }

    @Test func `an invalid topology is named with line and column`() async throws {
        let (status, lab) = try await lab("domain: home1.test\ncore:\n  lisen: [udp://127.0.0.1:0]\n")
        #expect(status == 1)
        #expect(lab.errorLines.contains { $0.contains("lab.yaml:3:3: error:") && $0.contains("listen") }, "\(lab.errors)")
    }

    @Test func `a missing file cannot start`() async throws {
        let (status, lab) = try await run([sipcore, "lab", "missing.yaml"], named: "lab", in: folder)
        #expect(status == 3)
        #expect(lab.errorLines.count == 1)
        #expect(lab.errors.contains("missing.yaml") && lab.errors.contains("No such file"))
    }

    @Test func `a taken port cannot start`() async throws {
        let taken = try TakenPort()
        let (status, lab) = try await lab(Self.core.replacing("udp://127.0.0.1:0", with: "udp://127.0.0.1:\(taken.port)"))
        withExtendedLifetime(taken) {}
        #expect(status == 3)
        #expect(lab.errorLines.contains { $0.contains("127.0.0.1:\(taken.port)") }, "\(lab.errors)")
        #expect(lab.output == "")
    }

    @Test func `a command that is not found cannot start`() async throws {
        let (status, lab) = try await lab(Self.core + "clients: {alice: {command: [./no-such-client]}}\n")
        #expect(status == 3)
        let complaints = lab.errorLines.filter { $0.hasPrefix("sipcore: ") }
        #expect(complaints.count == 1, "\(lab.errors)")
        #expect(complaints.allSatisfy { $0.contains("alice") && $0.contains("./no-such-client") && $0.contains("No such file") })
    }

    @Test func `a failing scenario shows its step, what came, and the ladder`() async throws {
        let (status, lab) = try await lab(Self.core + Self.scenario, "--scenarios", "--junit", "report.xml")
        #expect(status == 1)
        let shown = lab.output + lab.errors
        #expect(shown.contains("lab.yaml:11"), "\(shown)")
        #expect(shown.contains("599") && shown.contains("awaited"), "\(shown)")
        #expect(shown.contains("401") && shown.contains("REGISTER"), "\(shown)")

        let report = try Report(folder.read("report.xml") ?? "")
        #expect(report.cases.map(\.name) == ["alice registers", "alice is refused"])
        #expect(report.cases.map(\.isFailure) == [false, true])
        #expect(report.counts == ["tests": "2", "failures": "1", "errors": "0", "skipped": "0"])
    }

    @Test func `a passing scenario alone is status 0`() async throws {
        let (status, lab) = try await lab(Self.core + Self.scenario, "--scenario", "alice registers", "--junit", "report.xml")
        #expect(status == 0, "\(lab.output)\n\(lab.errors)")
        #expect(try Report(folder.read("report.xml") ?? "").cases.map(\.isFailure) == [false])
    }
}

/// A JUnit report, as far as build servers look at it.
private struct Report {
    var cases: [(name: String, isFailure: Bool)] = []
    var counts: [String: String] = [:]

    init(_ text: String) throws {
        let suite = try #require(text.firstMatch(of: /<testsuite ([^>]*)>/))
        for name in ["tests", "failures", "errors", "skipped"] {
            counts[name] = suite.1.firstMatch(of: try Regex<(Substring, Substring)>("\(name)=\"([0-9]+)\"")).map { String($0.1) }
        }
        for found in text.matches(of: /<testcase name="([^"]*)"[^>]*?(\/?)>(?:\s*(<failure))?/) {
            cases.append((String(found.1), found.3 != nil))
        }
    }
}
