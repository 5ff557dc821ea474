// What Wireshark's dissectors say of the traffic of a lab.

import Foundation
import Glibc
import Testing

@Suite struct DecodingTests {
    @Test func `tshark decodes the whole conversation`() async throws {
        let folder = try TemporaryFolder()
        let ports = try freePorts(2)
        var text = withFreePorts(try shippedTopology("im-settings.yaml"))
        // Both are known before anything is sent: the capture begins earlier.
        text = text.replacing("udp://127.0.0.1:0", with: "udp://127.0.0.1:\(ports[0])")
        text = text.replacing("uri: sip:127.0.0.1:0", with: "uri: sip:127.0.0.1:\(ports[1])")
        let topology = try folder.write("lab.yaml", text)
        let capture = try await Capture(of: ports, in: folder)

        let (status, lab) = try await run([sipcore, "lab", topology, "--scenarios"], named: "lab", in: folder)
        #expect(status == 0, "\(lab.output)\n\(lab.errors)")
        try await capture.end()

        #expect(try await capture.count("_ws.malformed || sip.malformed || _ws.expert.severity == error") == 0)
        #expect(try await capture.count("udp && !sip && !(udp contains \"\(Capture.mark)\")") == 0)
        // Between the clients' registrations: challenged, answered, and told to the IM Server.
        let expected = [
            "sip.Method == \"PUBLISH\" && udp.dstport == \(ports[0])": 1,
            "sip.Method == \"PUBLISH\" && udp.dstport == \(ports[1])": 1,
            "sip.Status-Code == 200 && sip.CSeq.method == \"PUBLISH\" && udp.srcport == \(ports[0])": 1,
            // From alice to the core and on to the IM Server; when bob is back from there to the core, and on to bob.
            "sip.Method == \"MESSAGE\"": 4,
            "sip.Method == \"MESSAGE\" && udp.dstport == \(ports[1])": 1,
            "sip.Status-Code == 401 && sip.CSeq.method == \"REGISTER\"": 2,
        ]
        for (filter, count) in expected { #expect(try await capture.count(filter) == count, "\(filter)") }
        // Each registration that the core accepted it told the IM Server: so many there are of both.
        let accepted = try await capture.count(
            "sip.Status-Code == 200 && sip.CSeq.method == \"REGISTER\" && udp.srcport == \(ports[0])")
        #expect(try await capture.count("sip.Method == \"REGISTER\" && udp.dstport == \(ports[1])") == accepted)
        #expect(accepted >= 2)
    }
}

/// What goes from and to some ports of loopback.
private final class Capture: Sendable {
    /// A datagram that is no part of the conversation.
    static let mark = "capture mark"

    private let folder: TemporaryFolder
    private let ports: [UInt16]
    private let dumpcap: Child
    private var file: String { "\(folder.path)/lab.pcapng" }

    init(of ports: [UInt16], in folder: TemporaryFolder) async throws {
        self.folder = folder
        self.ports = ports
        let filter = ports.map { "udp port \($0)" }.joined(separator: " or ")
        let command = [try Peer.dumpcap.path, "-q", "-i", "lo", "-f", filter, "-w", "\(folder.path)/lab.pcapng"]
        dumpcap = try Child(command, named: "dumpcap", in: folder)
        try await mark("begins")
    }

    /// Once it is in the file, all that was sent before it is too.
    private func mark(_ word: String) async throws {
        let peer = try DatagramPeer(to: ports[0])
        let text = Data("\(Self.mark) \(word)".utf8)
        let isThere = await eventually {
            peer.send(Array(text))
            return FileManager.default.contents(atPath: file)?.firstRange(of: text) != nil || dumpcap.exitStatus != nil
        }
        guard isThere, dumpcap.exitStatus == nil else { throw Failure("dumpcap does not capture on lo: \(dumpcap.errors)") }
    }

    func end() async throws {
        try await mark("ends")
        dumpcap.signal(SIGINT)
        #expect(try await dumpcap.end() == 0, "\(dumpcap.errors)")
    }

    /// How many packets a display filter lets through.
    func count(_ filter: String) async throws -> Int {
        let decoding = ports.flatMap { ["-d", "udp.port==\($0),sip"] }
        let command = [try Peer.tshark.path, "-n", "-r", file] + decoding + ["-Y", filter, "-T", "fields", "-e", "frame.number"]
        let (status, tshark) = try await run(command, named: "tshark", in: folder)
        guard status == 0 else { throw Failure("tshark: \(tshark.errors)") }
        return tshark.output.split(separator: "\n").count
    }
}
