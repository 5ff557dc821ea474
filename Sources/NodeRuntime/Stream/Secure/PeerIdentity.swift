// Whose a server's certificate is (RFC 5922 §7): that somebody believed has signed it says only that it is somebody's.

import NIOSSL
import SansIO

/// What a certificate says about the one who shows it.
struct PeerIdentity {
    /// The domains that it is for, in small letters (RFC 5922 §7.1).
    private(set) var domains: [String] = []
    /// The addresses that it is for, 4 or 16 octets each (RFC 5280 §4.2.1.6).
    private(set) var addresses: [[UInt8]] = []

    /// SIP URIs without a user part count; only where there are none names of DNS do, and only where no alternative name
    /// is given at all the common name does.
    init(_ certificate: NIOSSLCertificate) {
        var hosts: [String] = []
        var hasAlternatives = false
        for name in certificate._subjectAlternativeNames() {
            hasAlternatives = true
            switch name.nameType {
            case .uri: if let domain = PeerIdentity.domain(ofURI: PeerIdentity.text(name)) { domains.append(domain) }
            case .dnsName: hosts.append(PeerIdentity.text(name))
            case .ipAddress: addresses.append(Array(name.contents))
            default: break
            }
        }
        if domains.isEmpty { domains = hosts }
        if !hasAlternatives { domains = certificate.subjectName.filter { $0.type == .commonName }.suffix(1).map { $0.value.lowercased() } }
    }

    /// Whether it is for one of these names, or for this address. Names are compared whole: no wildcard stands for
    /// anything (§7.2).
    func isOf(_ names: [String], at address: IPAddress) -> Bool {
        names.contains { domains.contains($0.lowercased()) } || addresses.contains(address.octets)
    }

    /// Whether it is for this host, a name or an address in brackets or without.
    func isOf(_ host: String) -> Bool {
        guard let address = IPAddress(host) else { return domains.contains(host.lowercased()) }
        return addresses.contains(address.octets)
    }

    /// For the log.
    var description: String {
        let all = domains + addresses.compactMap { IPAddress(octets: $0)?.text }
        return all.isEmpty ? "nobody" : all.joined(separator: ", ")
    }

    private static func text(_ name: _SubjectAlternativeName) -> String { String(decoding: name.contents, as: UTF8.self).lowercased() }

    private static func domain(ofURI text: String) -> String? {
        guard text.hasPrefix("sip:"), !text.contains("@") else { return nil }
        let host = text.dropFirst(4).prefix { $0 != ";" && $0 != "?" && $0 != ":" }
        return host.isEmpty ? nil : String(host)
    }
}
