import Glibc
import Testing

/// A process `sipcore core`.
final class RunningCore: Sendable {
    let process: Child
    let udp: UInt16
    let tcp: UInt16
    /// nil: it was not asked to listen with TLS.
    let tls: UInt16?
    /// The file of its certificate.
    let certificate: String?
    let http: UInt16

    /// Starts it and waits until it serves.
    /// - Parameters:
    ///   - port: its port of UDP and TCP; 0: any.
    ///   - tls: whether it listens with TLS too.
    ///   - settings: further lines of `core:`, each with its indentation.
    ///   - sections: further sections.
    init(
        in folder: TemporaryFolder, named name: String = "core", port: UInt16 = 0, authentication: String = "none",
        tls isSecure: Bool = false, domain: String = "home1.test", settings: String = "", subscribers: String = twoSubscribers,
        sections: String = ""
    ) async throws {
        let topology = try folder.write(
            "\(name).yaml",
            """
            domain: \(domain)
            core:
              listen: [udp://127.0.0.1:\(port), tcp://127.0.0.1:\(port)\(isSecure ? ", tls://127.0.0.1:0" : "")]
              http: 127.0.0.1:0
              authentication: \(authentication)
            \(settings)
            subscribers:
            \(subscribers)
            \(sections)
            """)
        process = try Child([sipcore, "core", topology, "--ready-file", "\(folder.path)/\(name).ready"], named: name, in: folder)
        let ready = try await process.ready()
        udp = try ready.port("udp")
        tcp = try ready.port("tcp")
        tls = isSecure ? try ready.port("tls") : nil
        certificate = ready.certificate
        http = try ready.httpPort
    }

    /// Its port of a transport.
    func port(_ transport: String) throws -> UInt16 {
        switch transport {
        case "udp": udp
        case "tcp": tcp
        default: try #require(tls)
        }
    }

    /// Ends it as a user does, and makes sure that it ended well.
    func stop() async throws {
        process.signal(SIGTERM)
        #expect(try await process.end() == 0, "\(process.errors)")
    }

    /// Whether it answers; it does whatever it was sent before.
    func isAnswering() async throws -> Bool {
        let peer = try DatagramPeer(to: udp)
        return try await peer.answer(to: .options(from: peer.port)).status == 200
    }
}

let twoSubscribers = """
      alice: {password: wonderland}
      bob: {password: builder}
    """

/// The shipped topology with ports that are free instead of its own.
func withFreePorts(_ topology: String) -> String { topology.replacing(/127\.0\.0\.1:\d+/, with: "127.0.0.1:0") }
