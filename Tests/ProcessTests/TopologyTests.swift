// The topologies that the product comes with do what they say.

import Glibc
import Testing

@Suite struct TopologyTests {
    @Test func `the files as they are pass the check`() async throws {
        let folder = try TemporaryFolder()
        let files = [
            "im-settings.yaml", "im-offline.yaml", "minimal.yaml", "sim.yaml", "two-servers.yaml", "hss-profile.yaml", "two-networks.yaml",
            "two-networks-home2.yaml",
        ].map(shippedTopologyPath)
        let (status, check) = try await run([sipcore, "check", "--strict"] + files, named: "check", in: folder)
        #expect(status == 0)
        #expect(check.output == "")
        #expect(check.errors == "")
    }

    @Test(arguments: ["im-settings.yaml", "im-offline.yaml"])
    func `its scenarios pass and show their ladder`(name: String) async throws {
        let folder = try TemporaryFolder()
        let text = try shippedTopology(name)
        let topology = try folder.write(name, withFreePorts(text))
        let (status, lab) = try await run([sipcore, "lab", topology, "--scenarios"], named: "lab", in: folder)
        #expect(status == 0, "\(lab.output)\n\(lab.errors)")
        for step in text.matches(of: /(?m)^    - ([^#\n]+)$/).map(\.1) {
            #expect(lab.output.contains(step), "the step '\(step)' was not shown")
        }
        // The ladder: who sent what to whom.
        #expect(lab.output.contains(/alice +bob +core +im/))
        #expect(lab.output.contains(/─ REGISTER ─+>/))
    }

    @Test(arguments: [1, 3])
    func `SIMs and passwords are asked for`(shards: Int) async throws {
        let folder = try TemporaryFolder()
        let text = withFreePorts(try shippedTopology("sim.yaml")).replacing("\ncore:\n", with: "\ncore:\n  shards: \(shards)\n")
        let topology = try folder.write("sim.yaml", text)
        let (status, lab) = try await run([sipcore, "lab", topology, "--scenarios"], named: "lab", in: folder)
        #expect(status == 0, "\(lab.output)\n\(lab.errors)")
    }

    @Test(arguments: ["im-settings.yaml", "im-offline.yaml"], [2, 4])
    func `its scenarios pass with several shards`(name: String, shards: Int) async throws {
        let folder = try TemporaryFolder()
        let text = withFreePorts(try shippedTopology(name)).replacing("\ncore:\n", with: "\ncore:\n  shards: \(shards)\n")
        #expect(text.contains("shards: \(shards)"))
        let (status, lab) = try await run([sipcore, "lab", try folder.write(name, text), "--scenarios"], named: "lab", in: folder)
        #expect(status == 0, "\(lab.output)\n\(lab.errors)")
    }

    /// Files that name one another's ports get the same ones.
    @Test(arguments: [["two-servers.yaml"], ["hss-profile.yaml", "hss-profile.xml"], ["two-networks.yaml", "two-networks-home2.yaml"]])
    func `the scenarios of what belongs together pass`(names: [String]) async throws {
        let folder = try TemporaryFolder()
        let texts = try names.map(shippedTopology)
        let written = Set(texts.flatMap { $0.matches(of: /127\.0\.0\.1:\d+/).map { String($0.output) } }).sorted()
        let ports = try freePorts(written.count)
        for (name, text) in zip(names, texts) {
            let changed = text.replacing(/127\.0\.0\.1:\d+/) { "127.0.0.1:\(ports[written.firstIndex(of: String($0.output))!])" }
            _ = try folder.write(name, changed)
        }
        let (status, lab) = try await run([sipcore, "lab", "\(folder.path)/\(names[0])", "--scenarios"], named: "lab", in: folder)
        #expect(status == 0, "\(lab.output)\n\(lab.errors)")
        let scenarios = texts[0].matches(of: /(?m)^  ([^ #\n][^\n]*):$/).map(\.1).filter { lab.output.contains("passed: \($0)") }
        #expect(!scenarios.isEmpty && lab.output.contains("\(scenarios.count) of \(scenarios.count) scenarios passed"))
    }

    @Test func `the least topology serves until it is told to end`() async throws {
        let folder = try TemporaryFolder()
        let topology = try folder.write("minimal.yaml", withFreePorts(try shippedTopology("minimal.yaml")))
        let lab = try Child([sipcore, "lab", topology], named: "lab", in: folder)
        let ready = try await lab.ready()
        #expect(ready.role == "lab")
        #expect(ready.nodes?["core"]?.sip?.count == 2)
        lab.signal(SIGTERM)
        #expect(try await lab.end() == 0, "\(lab.errors)")
    }
}
