// TLS of an IM Server or IM Client: what the files of its options hold, or a certificate made at start, and the names of which
// the core's certificate may be (RFC 5922 §4, §7.3).

import ArgumentParser
import JSONText
import NodeRuntime
import SIPMessage
import SansIO

/// Named as under `core.tls`.
struct TLSOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "For tls:// and where the core asks for it: our certificate in PEM, with the chain behind it. Without, one is made at start, "
                + "its file named in the ready line.", valueName: "file"), completion: .file())
    var certificate: String?

    @Option(help: ArgumentHelp("The key to the certificate, in PEM.", valueName: "file"), completion: .file())
    var key: String?

    @Option(
        help: ArgumentHelp("Whose certificates are believed, in PEM; without, those whom the system believes.", valueName: "file"),
        completion: .file())
    var trust: String?

    func validate() throws {
        if certificate != nil, key == nil { throw ValidationError("--certificate has no key; add --key") }
        if key != nil, certificate == nil { throw ValidationError("--key has no certificate; add --certificate") }
    }
}

struct NodeTLS {
    /// nil: neither a listener nor the way to the core has TLS.
    let security: StreamSecurity?
    private let made: MadeCertificate?

    /// - Parameters:
    ///   - domain: the home network domain, whose certificate the core may show too.
    ///   - listeners: the bound ones; if one has TLS and there is no certificate, one is made for their addresses.
    init(_ options: TLSOptions, domain: String, listeners: [Listener], core: CoreAddress) throws(CommandFailure) {
        let listensSecurely = listeners.contains { $0.transport.isSecure }
        guard listensSecurely || core.transport.isSecure else {
            (security, made) = (nil, nil)
            return
        }
        var certificate = try NodeTLS.contents(options.certificate, of: "--certificate")
        var key = try NodeTLS.contents(options.key, of: "--key")
        let trust = try NodeTLS.contents(options.trust, of: "--trust")
        if certificate == nil, listensSecurely {
            let fresh = try MadeCertificate(domain: domain, listeners: listeners, inPlaceOf: "--certificate")
            (certificate, key, made) = (fresh.certificate, fresh.key, fresh)
        } else {
            made = nil
        }
        var names = PeerNames()
        names.add(domain, at: core.endpoint)
        if let host = core.hostName { names.add(host, at: core.endpoint) }
        do throws(SecurityFault) {
            security = try StreamSecurity(certificate: certificate, key: key, trust: trust, names: names)
        } catch {
            made?.removeFile()
            throw CommandFailure(status: 3, text: "\(NodeTLS.option(error.part)): \(error.reason)")
        }
    }

    /// For the ready line.
    var readyMembers: [JSON.Member] { made.map { [.init("certificate", .text($0.file))] } ?? [] }

    func removeFiles() { made?.removeFile() }

    private static func contents(_ path: String?, of option: String) throws(CommandFailure) -> [UInt8]? {
        guard let path else { return nil }
        do throws(FileFailure) { return try Descriptor.contents(of: path) } catch {
            throw CommandFailure(status: 3, text: "\(option): cannot read \(path): \(error.reason)")
        }
    }

    private static func option(_ part: SecurityFault.Part) -> String {
        switch part {
        case .certificate: "--certificate"
        case .key: "--key"
        case .trust: "--trust"
        }
    }
}
