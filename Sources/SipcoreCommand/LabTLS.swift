// TLS within a lab: the core and the built-in nodes are of one network, so they share a certificate, the topology's or one
// that is made for the lab, and believe it.

import Lab
import NodeRuntime
import SansIO
import Topology

enum LabTLS {
    /// - Returns: nil if no listener of the core and no built-in server has TLS.
    static func security(for topology: Topology) throws(CommandFailure) -> LabSecurity? {
        let hasSecureServer = topology.applicationServers.contains { isBuiltIn($0.launch) && $0.asksForTLS }
        guard hasSecureServer || topology.core.listen.contains(where: { $0.transport == .tls || $0.transport == .wss }) else { return nil }
        let files = topology.core.tls
        // Of the core's own files nothing is changed unless it has to believe our nodes.
        let coreHasToBelieve = hasSecureServer || files.clients != .none
        if let certificate = files.certificate, let key = files.key {
            return LabSecurity(
                certificate: certificate, key: key, trust: joined(files.trust, certificate), isMade: false,
                coreHasToBelieve: coreHasToBelieve)
        }
        let hosts = topology.core.listen.map(\.host) + [topology.core.advertise].compactMap { $0 }
        let made = try MadeCertificate.make(
            domain: topology.domain, addresses: hosts.compactMap { IPAddress($0) }, inPlaceOf: "core.tls.certificate")
        let certificate = Array(made.certificate.utf8)
        return LabSecurity(
            certificate: certificate, key: Array(made.key.utf8), trust: joined(files.trust, certificate), isMade: true,
            coreHasToBelieve: coreHasToBelieve)
    }

    private static func isBuiltIn(_ launch: Launch) -> Bool { if case .builtIn = launch { true } else { false } }

    private static func joined(_ trust: [UInt8]?, _ certificate: [UInt8]) -> [UInt8] {
        guard let trust else { return certificate }
        return trust + [0x0A] + certificate
    }
}
