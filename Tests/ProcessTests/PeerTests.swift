// The core between SIP programs that people use: baresip, linphone, PJSUA2 and sippy. Each registers, and messages or calls,
// as its own script in the folder Peers has it. sippy speaks UDP alone.

import Testing

@Suite struct PeerTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Runs a script against a core and has Wireshark look at what went over the wire.
    private func run(_ command: [String], named name: String, against core: RunningCore, over transport: String) async throws {
        guard transport != "tls" else { return try await runSecurely(command, named: name, against: core) }
        let capture = try await Capture(of: [transport == "udp" ? core.udp : core.tcp], markedAt: core.udp, in: folder)
        let (status, child) = try await ProcessTests.run(command, named: name, in: folder)
        #expect(status == 0, "\(child.output)\n\(child.errors)\n\(core.process.errors)")
        try await capture.end()
        #expect(try await capture.count("_ws.malformed || _ws.expert.severity == error") == 0)
        #expect(try await capture.count("sip.CSeq.method == \"REGISTER\" && sip.Status-Code == 200") >= 1)
    }

    /// The same over TLS, into which Wireshark cannot look: what the core says it saw has to do.
    private func runSecurely(_ command: [String], named name: String, against core: RunningCore) async throws {
        let certificate = try #require(core.certificate)
        let (status, child) = try await ProcessTests.run(command + [certificate], named: name, in: folder)
        #expect(status == 0, "\(child.output)\n\(child.errors)\n\(core.process.errors)")
        let messages = try await http("GET", "/api/messages?method=REGISTER&limit=1000", port: core.http).decoded(Messages.self).messages
        #expect(messages.contains { $0.direction == "out" && $0.status == 200 })
        #expect(Set(messages.map(\.transport)) == ["tls"])
    }

    /// No peer breaks a rule; what begins a capture is no message.
    private func expectSoundTraffic(at core: RunningCore, over transport: String) async throws {
        try await expectFindings(transport == "tls" ? [:] : ["malformed-message": "the datagram that marks the capture"], at: core)
    }

    /// Whether a contact answered a MESSAGE with 200.
    private func messageArrived(_ core: RunningCore) async throws -> Bool {
        let messages = try await http("GET", "/api/messages?method=MESSAGE", port: core.http).decoded(Messages.self).messages
        return messages.contains { $0.direction == "in" && $0.start_line.hasPrefix("SIP/2.0 200 ") }
    }

    @Test(arguments: ["udp", "tcp", "tls"])
    func `PJSUA2 registers, messages and calls`(transport: String) async throws {
        let core = try await RunningCore(in: folder, authentication: "digest", tls: transport == "tls")
        let command = [try peerPython(), peerPath("pjsua2_pair.py"), transport, "\(try core.port(transport))"]
        try await run(command, named: "pjsua2", against: core, over: transport)
        try await expectSoundTraffic(at: core, over: transport)
        try await core.stop()
    }

    @Test(arguments: ["udp", "tcp", "tls"])
    func `baresip registers, messages and calls`(transport: String) async throws {
        try await expectMessage(through: .baresip, "baresip_pair.py", over: transport)
    }

    @Test(arguments: ["udp", "tcp", "tls"])
    func `linphone registers and messages`(transport: String) async throws {
        try await expectMessage(through: .linphonec, "linphone_user.py", over: transport)
    }

    /// Runs the script of a program that does not tell what becomes of its message: the core tells that.
    private func expectMessage(through peer: Peer, _ script: String, over transport: String) async throws {
        let core = try await RunningCore(in: folder, authentication: "digest", tls: transport == "tls")
        _ = try peer.path
        let command = [try peerPython(), peerPath(script), transport, "\(try core.port(transport))", folder.path]
        try await run(command, named: peer.rawValue, against: core, over: transport)
        #expect(try await messageArrived(core))
        try await expectSoundTraffic(at: core, over: transport)
        try await core.stop()
    }

    @Test func `sippy registers and calls`() async throws {
        let core = try await RunningCore(in: folder, authentication: "digest")
        let script = [try peerPython(), peerPath("sippy_user.py"), "\(core.udp)"]
        let bob = try Child(script + ["bob", "builder"], named: "bob", in: folder)
        #expect(await eventually { bob.output.contains("registered") || bob.exitStatus != nil }, "\(bob.errors)")
        try await run(script + ["alice", "wonderland", "bob"], named: "alice", against: core, over: "udp")
        #expect(try await bob.end() == 0, "\(bob.output)\n\(bob.errors)")
        try await expectSoundTraffic(at: core, over: "udp")
        try await core.stop()
    }
}
