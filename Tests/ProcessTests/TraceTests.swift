// A trace as it leaves a running core: as a ladder, as files that others read, live, and to Homer.

import Foundation
import Glibc
import Testing

@Suite struct TraceTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Registers alice over UDP, and asks over TCP and, if there is TLS, over that.
    private func talk(to core: RunningCore) async throws {
        let alice = try DatagramPeer(to: core.udp)
        let identity = "<sip:alice@home1.test>"
        let register = SIPRequest(
            method: "REGISTER", uri: "sip:home1.test", from: identity, to: identity, contact: "<sip:alice@127.0.0.1:\(alice.port)>",
            port: alice.port)
        #expect(try await alice.answer(to: register).status == 200)
        let stream = try StreamPeer(to: core.tcp)
        var options = SIPRequest.options(from: stream.port)
        options.via = "SIP/2.0/TCP"
        try await stream.sendAll(options.text)
        guard let port = core.tls, let certificate = core.certificate else { return }
        let secure = try await TLSClient(to: port, trusting: certificate)
        var other = SIPRequest.options(from: secure.port)
        other.via = "SIP/2.0/TLS"
        secure.send(other.text)
        #expect(SIPAnswer(try await secure.received()).status == 200)
        #expect(try await eventually { try await messages(of: core).count >= 6 })
    }

    private func messages(of core: RunningCore) async throws -> [Messages.Message] {
        try await http("GET", "/api/messages", port: core.http).decoded(Messages.self).messages
    }

    private func trace(_ arguments: String..., named name: String = "trace") async throws -> (status: Int32, child: Child) {
        try await run([sipcore, "trace"] + arguments, named: name, in: folder)
    }

    /// What tshark makes of a file: the packets that a filter lets through.
    private func count(_ filter: String, in file: String, _ core: RunningCore) async throws -> Int {
        let (status, tshark) = try await run(
            [try Peer.tshark.path, "-n", "-r", file, "-Y", filter, "-T", "fields", "-e", "frame.number"], named: "tshark", in: folder)
        guard status == 0 else { throw Failure("tshark: \(tshark.errors)") }
        return tshark.output.split(separator: "\n").count
    }

    @Test func `Wireshark reads what was recorded, also what came by TLS`() async throws {
        let core = try await RunningCore(in: folder, tls: true)
        try await talk(to: core)
        let recorded = try await messages(of: core)
        let file = "\(folder.path)/exported.pcapng"
        #expect(try await trace("http://127.0.0.1:\(core.http)", "--export", file).status == 0)
        #expect(try await count("_ws.malformed || _ws.expert.severity == error", in: file, core) == 0)
        #expect(try await count("ip.checksum.status == \"Bad\" || tcp.analysis.flags", in: file, core) == 0)
        #expect(try await count("sip", in: file, core) == recorded.count)
        #expect(
            try await count("sip.Method == \"REGISTER\" && udp", in: file, core) == recorded.filter { $0.method == "REGISTER" }.count / 2)
        let secure = recorded.filter { $0.transport == "tls" }.count
        #expect(secure == 2)
        #expect(try await count("sip && tcp && frame.comment contains \"transport=tls\"", in: file, core) == secure)

        // sngrep keeps what it took for SIP.
        let kept = "\(folder.path)/kept.pcap"
        let sngrep = try await run([try Peer.sngrep.path, "-N", "-q", "-I", file, "-O", kept], named: "sngrep", in: folder)
        #expect(sngrep.status == 0, "\(sngrep.child.output)\(sngrep.child.errors)")
        #expect(try await count("sip", in: kept, core) == recorded.count)

        // The core writes the same file, and the command reads it.
        let own = "\(folder.path)/own.pcapng"
        let curl = try await run(["curl", "-s", "-o", own, "http://127.0.0.1:\(core.http)/api/trace.pcapng"], named: "curl", in: folder)
        #expect(curl.status == 0)
        #expect(FileManager.default.contents(atPath: own) == FileManager.default.contents(atPath: file))
        let live = try await trace("http://127.0.0.1:\(core.http)")
        let read = try await trace(own)
        #expect(read.child.output.contains("─ REGISTER ─") && read.child.output.contains("alice"))
        #expect(read.child.output == live.child.output)
        try await core.stop()
    }

    @Test func `a trace is kept and shown in every format`() async throws {
        let core = try await RunningCore(in: folder)
        try await talk(to: core)
        let source = "http://127.0.0.1:\(core.http)"
        let lines = "\(folder.path)/kept.jsonl"
        #expect(try await trace(source, "--export", lines).status == 0)
        try await core.stop()
        let kept = try #require(folder.read("kept.jsonl")).split(separator: "\n").map {
            try JSONDecoder().decode(Messages.Message.self, from: Data($0.utf8))
        }
        #expect(kept.count >= 3 && kept.map(\.sequence) == Array(1...kept.count))
        let filtered = try await trace(lines, "--method", "REGISTER", "--direction", "out", "--format", "jsonl")
        #expect(
            filtered.child.output.split(separator: "\n").count == kept.filter { $0.method == "REGISTER" && $0.direction == "out" }.count)
        let ladder = try await trace(lines, "--width", "60", "--color", "never", "--limit", "1")
        #expect(ladder.status == 0 && ladder.child.output.split(separator: "\n").count == 3)
        #expect(ladder.child.output.contains("alice") && ladder.child.output.contains("core"))
        #expect(try await trace(lines, "--color", "always").child.output.contains("\u{1B}["))
        for (name, beginning) in [("a.svg", "<?xml"), ("a.html", "<!DOCTYPE html>")] {
            #expect(try await trace(lines, "--export", "\(folder.path)/\(name)").status == 0)
            #expect(try #require(folder.read(name)).hasPrefix(beginning))
        }
    }

    @Test func `what cannot be shown is said with its status`() async throws {
        let nonsense = try folder.write("nonsense.jsonl", "hello\n")
        for (arguments, status, reason) in [
            ([nonsense], 3, "line 1 is no JSON"), (["\(folder.path)/absent.jsonl"], 3, "cannot be read"),
            ([nonsense, "--follow"], 3, "is no trace"), ([nonsense, "--export", "a.gif"], 2, "has no ending"),
            ([nonsense, "--status", "99"], 2, "no status of SIP"), ([nonsense, "--width", "5"], 2, "cannot be read"),
            ([nonsense, "--from", "alice"], 2, "no URI"), (["http://127.0.0.1:1"], 3, "does not answer"),
            (["http://127.0.0.1:1", "--follow", "--format", "svg"], 2, "--follow shows"),
        ] as [([String], Int32, String)] {
            let (found, command) = try await run([sipcore, "trace"] + arguments, named: "wrong", in: folder)
            #expect(found == status, "\(arguments): \(command.errors)")
            #expect(command.errorLines.count == 1 && command.errors.contains(reason), "\(command.errors)")
        }
        let kept = try folder.write("kept.jsonl", "")
        #expect(try await trace(kept, "--follow").status == 2)
    }

    @Test func `it is followed until a signal ends it`() async throws {
        let core = try await RunningCore(in: folder)
        let follower = try Child([sipcore, "trace", "http://127.0.0.1:\(core.http)", "--follow", "--diff"], named: "follower", in: folder)
        let alice = try DatagramPeer(to: core.udp)
        // It may not have asked yet: what comes after it has is shown.
        #expect(
            try await eventually {
                try await alice.answer(to: .options(from: alice.port)).status == 200 && follower.output.contains("200 OK")
            })
        #expect(follower.output.contains("─ OPTIONS ─") && follower.output.contains("core"))
        follower.signal(SIGINT)
        #expect(try await follower.end() == 0, "\(follower.errors)")
        let source = "http://127.0.0.1:\(core.http)"
        let other = try Child([sipcore, "trace", source, "--follow", "--since", "1", "--format", "jsonl"], named: "other", in: folder)
        #expect(await eventually { other.output.contains("\"sequence\":2") })
        try await core.stop()
        #expect(try await other.end() == 1)
        #expect(other.errors.contains("the core ended the stream"))
    }

    @Test func `Homer is sent every message`() async throws {
        let homer = try DatagramServer()
        let core = try await RunningCore(
            in: folder, settings: "  hep: {uri: \"udp://127.0.0.1:\(homer.port)\", capture_id: 4711, password: open sesame}")
        let alice = try DatagramPeer(to: core.udp)
        #expect(try await alice.answer(to: .options(from: alice.port)).status == 200)
        var packets: [[Int: [UInt8]]] = []
        #expect(
            try await eventually {
                while let octets = homer.receivedOctets() { packets.append(try chunks(octets)) }
                return packets.count >= 2
            })
        let (request, response) = (packets[0], packets[1])
        #expect(String(decoding: try #require(request[15]), as: UTF8.self).hasPrefix("OPTIONS sip:home1.test SIP/2.0\r\n"))
        #expect(String(decoding: try #require(response[15]), as: UTF8.self).hasPrefix("SIP/2.0 200 "))
        for packet in [request, response] {
            #expect(packet[1] == [2] && packet[2] == [17] && packet[11] == [1] && packet[12] == [0, 0, 0x12, 0x67])
            #expect(packet[14] == Array("open sesame".utf8) && packet[17] == request[17])
        }
        let (aliceAt, coreAt) = (octets(alice.port), octets(core.udp))
        #expect(request[7] == aliceAt && request[8] == coreAt && response[7] == coreAt && response[8] == aliceAt)
        #expect(try await eventually { try await metric("sipcore_hep_messages_total", port: core.http) == Double(packets.count) })
        #expect(try await metric("sipcore_hep_lost_total", port: core.http) == 0)
        try await core.stop()
    }

    @Test func `a Homer that is not there holds up nobody`() async throws {
        let port = try freePorts(1)[0]
        let core = try await RunningCore(in: folder, settings: "  hep: {uri: \"udp://127.0.0.1:\(port)\"}")
        for _ in 0..<3 { #expect(try await core.isAnswering()) }
        #expect(
            try await eventually {
                let sent = try await metric("sipcore_hep_messages_total", port: core.http) ?? 0
                return sent + (try await metric("sipcore_hep_lost_total", port: core.http) ?? 0) >= 6
            })
        try await core.stop()
    }

    private func octets(_ port: UInt16) -> [UInt8] { [UInt8(port >> 8), UInt8(port & 255)] }

    /// The chunks of a HEP3 packet by their kind.
    private func chunks(_ packet: [UInt8]) throws -> [Int: [UInt8]] {
        func number(_ offset: Int) -> Int { Int(packet[offset]) << 8 | Int(packet[offset + 1]) }
        try #require(packet.starts(with: Array("HEP3".utf8)) && number(4) == packet.count)
        var chunks: [Int: [UInt8]] = [:]
        var offset = 6
        while offset < packet.count {
            let length = number(offset + 4)
            try #require(length >= 6 && offset + length <= packet.count)
            chunks[number(offset + 2)] = Array(packet[(offset + 6)..<(offset + length)])
            offset += length
        }
        return chunks
    }
}
