// TLS of a core: what the topology's files hold, or a certificate made at start, and the names by which other servers are
// reached, which is what their certificates have to be of (RFC 5922 §7.3).

import JSONText
import NodeRuntime
import SIPMessage
import SansIO
import Topology

struct CoreTLS {
    let security: StreamSecurity
    private let made: MadeCertificate?
    /// The file of a certificate that a lab has made.
    private let labCertificate: String?

    /// - Parameter listeners: the bound ones; if one has TLS and there is no certificate, one is made for their addresses.
    init(_ topology: Topology, listeners: [Listener]) throws(CommandFailure) {
        var files = topology.core.tls
        if files.certificate == nil, listeners.contains(where: { $0.transport.isSecure }) {
            let fresh = try MadeCertificate(domain: topology.domain, listeners: listeners, inPlaceOf: "core.tls")
            (files.certificate, files.key, made) = (fresh.certificate, fresh.key, fresh)
        } else {
            made = nil
        }
        labCertificate = files.madeFile
        do throws(SecurityFault) {
            security = try StreamSecurity(files, names: CoreTLS.names(topology))
        } catch {
            throw CommandFailure(status: 3, text: "core.tls: \(error.reason)")
        }
    }

    /// For the ready line.
    var readyMembers: [JSON.Member] { (made?.file ?? labCertificate).map { [.init("certificate", .text($0))] } ?? [] }

    func removeFiles() { made?.removeFile() }

    /// What is wrong with the files of a topology, for its reader.
    @Sendable static func fault(of files: TLSFiles) -> TLSFileFault? {
        do throws(SecurityFault) {
            _ = try StreamSecurity(files, names: PeerNames())
            return nil
        } catch {
            return TLSFileFault(TLSFileFault.File(error.part), error.reason)
        }
    }

    // MARK: Names

    private static func names(_ topology: Topology) -> PeerNames {
        var names = PeerNames()
        for (name, target) in topology.core.hosts.sorted(by: { $0.key < $1.key }) {
            if let address = IPAddress(target.host) { names.add(name, at: Endpoint(address: address, port: target.port)) }
        }
        for server in topology.applicationServers {
            if let (host, endpoint) = secureServer(server.uri, topology), IPAddress(host) == nil { names.add(host, at: endpoint) }
        }
        for network in topology.networks {
            guard let (host, endpoint) = secureServer(network.uri, topology) else { continue }
            // Whoever speaks for a network may show the certificate of its domain (RFC 5922 §4).
            names.add(network.domain, at: endpoint)
            if IPAddress(host) == nil { names.add(host, at: endpoint) }
        }
        return names
    }

    /// The host in a URI that asks for TLS, and where it leads; nil: for no TLS, or nowhere yet: the core tells the streams what
    /// it has located.
    private static func secureServer(_ text: String, _ topology: Topology) -> (host: String, endpoint: Endpoint)? {
        let octets = Array(text.utf8)
        let bytes = octets.span.bytes
        guard let uri = bytes.uri(Slice(0, octets.count)), let transport = bytes.transport(of: uri), transport.isSecure else { return nil }
        let host = String(octets: bytes[uri.host])
        let named = topology.core.hosts[host.lowercased()]
        let ports = [uri.port, named?.port ?? 0, transport.defaultPort]
        let port = ports.first { $0 != 0 } ?? transport.defaultPort
        return topology.endpoint(of: named?.host ?? host, port: port).map { (host, $0) }
    }
}

extension StreamSecurity {
    fileprivate init(_ files: TLSFiles, names: PeerNames) throws(SecurityFault) {
        let clients: ClientCertificates =
            switch files.clients {
            case .none: .none
            case .request: .request
            case .require: .require
            }
        try self.init(certificate: files.certificate, key: files.key, trust: files.trust, clients: clients, names: names)
    }
}

extension TLSFileFault.File {
    fileprivate init(_ part: SecurityFault.Part) {
        self =
            switch part {
            case .certificate: .certificate
            case .key: .key
            case .trust: .trust
            }
    }
}
