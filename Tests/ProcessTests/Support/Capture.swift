// The traffic of a test, as Wireshark sees it.

import Foundation
import Glibc
import Testing

/// What goes from and to some ports of loopback.
final class Capture: Sendable {
    /// A datagram that is no part of the conversation.
    static let mark = "capture mark"

    private let folder: TemporaryFolder
    private let ports: Set<UInt16>
    /// Where the marks are sent.
    private let markPort: UInt16
    private let dumpcap: Child
    private var file: String { "\(folder.path)/lab.pcapng" }

    /// - Parameter other: the port to mark the capture at; nil: the first of `ports`.
    init(of ports: [UInt16], markedAt other: UInt16? = nil, in folder: TemporaryFolder) async throws {
        self.folder = folder
        markPort = other ?? ports[0]
        self.ports = Set(ports + [markPort])
        let filter = self.ports.map { "port \($0)" }.joined(separator: " or ")
        let command = [try Peer.dumpcap.path, "-q", "-i", "lo", "-f", filter, "-w", "\(folder.path)/lab.pcapng"]
        dumpcap = try Child(command, named: "dumpcap", in: folder)
        try await mark("begins")
    }

    /// Once it is in the file, all that was sent before it is too.
    private func mark(_ word: String) async throws {
        let peer = try DatagramPeer(to: markPort)
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
