// A certificate for a lab that brings none of its own (RFC 5280): signed by its own key, so whoever is to believe it is
// given it as the one certificate to trust. It names the SIP domain as RFC 5922 §7.1 has it.

import Crypto
public import SansIO

/// A certificate made at start, and its key, which never leaves the process.
public struct SelfSignedCertificate: Sendable {
    /// In PEM.
    public let certificate: String
    /// In PEM (PKCS #8).
    public let key: String

    /// Clocks of peers may be a little behind, and a lab is not to fail after a night.
    private static let validSince = TimeSpan.seconds(-86_400)
    private static let validFor = TimeSpan.seconds(365 * 86_400)

    /// - Parameters:
    ///   - domain: the SIP domain, which is the subject too.
    ///   - names: further host names that it is for.
    ///   - addresses: the addresses that it is for.
    public init(
        domain: String, names: [String] = [], addresses: [IPAddress] = [], at now: WallTime,
        using generator: inout some RandomNumberGenerator
    ) throws {
        let key = P256.Signing.PrivateKey()
        let unsigned = SelfSignedCertificate.unsigned(
            domain, names, addresses, now, publicKey: [UInt8](key.publicKey.derRepresentation), &generator)
        let signature = try key.signature(for: unsigned).derRepresentation
        let signed = DER.sequence(unsigned, SelfSignedCertificate.ecdsaWithSHA256, DER.bitString([UInt8](signature)))
        certificate = PEM.text("CERTIFICATE", signed)
        self.key = key.pemRepresentation + "\n"
    }

    private static let ecdsaWithSHA256 = DER.sequence(DER.objectIdentifier(1, 2, 840, 10045, 4, 3, 2))

    /// TBSCertificate (RFC 5280 §4.1).
    private static func unsigned(
        _ domain: String, _ names: [String], _ addresses: [IPAddress], _ now: WallTime, publicKey: [UInt8],
        _ generator: inout some RandomNumberGenerator
    ) -> [UInt8] {
        let commonName = DER.sequence(DER.objectIdentifier(2, 5, 4, 3), DER.utf8String(domain))
        let name = DER.sequence(DER.set(commonName))
        let serial = [1] + (0..<15).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let version3: [UInt8] = [2]
        return DER.sequence(
            DER.explicit(0, DER.integer(version3)), DER.integer(serial), ecdsaWithSHA256, name,
            DER.sequence(DER.time(now + validSince), DER.time(now + validFor)), name, publicKey,
            DER.explicit(3, DER.sequence(alternativeNames(domain, names, addresses), purposes)))
    }

    /// Subject alternative names (RFC 5280 §4.2.1.6): `dNSName` is [2], `uniformResourceIdentifier` [6], `iPAddress` [7].
    private static func alternativeNames(_ domain: String, _ names: [String], _ addresses: [IPAddress]) -> [UInt8] {
        // A SIP URI would put the names of DNS out of force, so each name has one of its own (RFC 5922 §7.1).
        let all = [domain] + names.filter { $0 != domain }
        var entries: [UInt8] = []
        for name in all { entries += DER.implicit(6, Array("sip:\(name)".utf8)) }
        for name in all { entries += DER.implicit(2, Array(name.utf8)) }
        for address in addresses { entries += DER.implicit(7, address.octets) }
        return DER.sequence(DER.objectIdentifier(2, 5, 29, 17), DER.octetString(DER.sequence(entries)))
    }

    /// For both ends of TLS (RFC 5280 §4.2.1.12).
    private static let purposes: [UInt8] = {
        let server = DER.objectIdentifier(1, 3, 6, 1, 5, 5, 7, 3, 1)
        let client = DER.objectIdentifier(1, 3, 6, 1, 5, 5, 7, 3, 2)
        return DER.sequence(DER.objectIdentifier(2, 5, 29, 37), DER.octetString(DER.sequence(server, client)))
    }()
}
