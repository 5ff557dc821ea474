// The certificate of a lab, and its files.

import Glibc

/// What the core and the built-in nodes of a lab show and believe, in PEM.
public struct LabSecurity: Sendable {
    public var certificate: [UInt8]
    public var key: [UInt8]
    /// Whom the built-in nodes believe.
    public var trust: [UInt8]
    /// Whether the topology has none, so that the core has to be given it.
    public var isMade: Bool
    /// Whether the core opens streams to built-in nodes, or asks them for certificates, and so has to believe theirs.
    public var coreHasToBelieve: Bool

    public init(certificate: [UInt8], key: [UInt8], trust: [UInt8], isMade: Bool, coreHasToBelieve: Bool) {
        self.certificate = certificate
        self.key = key
        self.trust = trust
        self.isMade = isMade
        self.coreHasToBelieve = coreHasToBelieve
    }
}

/// The same as files.
struct TLSPaths: Sendable {
    var certificate: String
    var key: String
    var trust: String
    private var isMade: Bool
    private var coreHasToBelieve: Bool

    /// Writes the files to a folder that only this user can read.
    /// - Throws: what the system says, with the name of the file.
    init(_ security: LabSecurity, in folder: String) throws {
        certificate = "\(folder)/certificate.pem"
        key = "\(folder)/key.pem"
        trust = "\(folder)/trust.pem"
        isMade = security.isMade
        coreHasToBelieve = security.coreHasToBelieve
        for (path, octets) in [(certificate, security.certificate), (key, security.key), (trust, security.trust)] {
            try TLSPaths.write(octets, to: path)
        }
    }

    /// Options of the built-in nodes.
    var nodeOptions: [String] { ["--certificate", certificate, "--key", key, "--trust", trust] }

    /// Arguments `--set KEY=VALUE` of the core.
    var coreSettings: [(key: String, value: String)] {
        (isMade ? [("core.tls.certificate", certificate), ("core.tls.key", key)] : [])
            + (coreHasToBelieve ? [("core.tls.trust", trust)] : [])
    }

    private struct WriteFailure: Error, CustomStringConvertible { let description: String }

    private static func write(_ octets: [UInt8], to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        defer { if descriptor >= 0 { close(descriptor) } }
        guard descriptor >= 0, writeAll(octets, to: descriptor) else {
            throw WriteFailure(description: "cannot write \(path): \(String(cString: strerror(errno)))")
        }
    }
}
