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

        #expect(try await capture.count("_ws.malformed || _ws.expert.severity == error") == 0)
        #expect(try await capture.count("(udp || tcp.len > 0) && !sip && !(udp contains \"\(Capture.mark)\")") == 0)
        let (core, server) = (ports[0], ports[1])
        for method in ["PUBLISH", "MESSAGE"] {
            // From alice to the core and on to the IM Server.
            #expect(try await capture.count("sip.Method == \"\(method)\" && \(to(core)) && !\(from(server))") == 1, "\(method)")
            #expect(try await capture.count("sip.Method == \"\(method)\" && \(to(server))") >= 1, "\(method)")
        }
        // Alice comes, bob comes and both go in the end; each time the core accepts and tells the IM Server.
        let ofRegister = "sip.CSeq.method == \"REGISTER\""
        let accepted = try await capture.count("sip.Status-Code == 200 && \(ofRegister) && \(from(core)) && !\(to(server))")
        #expect(accepted == 4)
        #expect(try await capture.count("sip.Status-Code == 401 && \(ofRegister)") >= 2)
        #expect(try await capture.count("sip.Method == \"REGISTER\" && \(to(server))") == accepted)
        #expect(try await capture.count("sip.Status-Code == 200 && \(ofRegister) && \(from(server))") == accepted)
        // The message that waited, to bob and to him alone.
        #expect(try await capture.count("sip.Method == \"MESSAGE\" && \(from(core)) && !\(to(server))") == 1)
    }
}

private func from(_ port: UInt16) -> String { "(udp.srcport == \(port) || tcp.srcport == \(port))" }
private func to(_ port: UInt16) -> String { "(udp.dstport == \(port) || tcp.dstport == \(port))" }

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
        let filter = ports.map { "port \($0)" }.joined(separator: " or ")
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
        let decoding = ports.flatMap { ["-d", "udp.port==\($0),sip", "-d", "tcp.port==\($0),sip"] }
        let command = [try Peer.tshark.path, "-n", "-r", file] + decoding + ["-Y", filter, "-T", "fields", "-e", "frame.number"]
        let (status, tshark) = try await run(command, named: "tshark", in: folder)
        guard status == 0 else { throw Failure("tshark: \(tshark.errors)") }
        return tshark.output.split(separator: "\n").count
    }
}
