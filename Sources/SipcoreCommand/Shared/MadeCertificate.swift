// A certificate for listeners with TLS that bring none: made at start, and put into a file for whoever is to believe it.

import Glibc
import NodeRuntime
import SansIO

/// A certificate, its key, and the file of the certificate.
struct MadeCertificate {
    /// In PEM.
    let certificate: [UInt8]
    let key: [UInt8]
    /// Where the certificate alone is; the key never leaves the process.
    let file: String

    /// - Parameters:
    ///   - domain: the SIP domain that it is for.
    ///   - listeners: it is for their addresses, for those of the loopback and for `localhost` as well.
    ///   - option: what would have given one, for what is said of a failure.
    init(domain: String, listeners: [Listener], inPlaceOf option: String) throws(CommandFailure) {
        let made = try MadeCertificate.make(
            domain: domain, addresses: listeners.flatMap { [$0.local.address, $0.advertised.address] }, inPlaceOf: option)
        certificate = Array(made.certificate.utf8)
        key = Array(made.key.utf8)
        file = try MadeCertificate.save(made.certificate)
    }

    /// The certificate is of no use without its key, which ends with the process.
    func removeFile() {
        unlink(file)
        rmdir(String(file.prefix(upTo: file.lastIndex(of: "/") ?? file.endIndex)))
    }

    /// Makes a certificate for these addresses that a peer can have, those of the loopback and `localhost`.
    static func make(
        domain: String, names: [String] = [], addresses: [IPAddress], inPlaceOf option: String
    ) throws(CommandFailure) -> SelfSignedCertificate {
        var known = [IPAddress.loopback, IPAddress(high: 0, low: 1)]
        for address in addresses where !address.isUnspecified && !known.contains(address) { known.append(address) }
        var generator = SystemRandomNumberGenerator()
        do {
            return try SelfSignedCertificate(
                domain: domain, names: ["localhost"] + names, addresses: known, at: SystemClock.now.wall, using: &generator)
        } catch {
            throw CommandFailure(status: 3, text: "\(option): no certificate could be made: \(error)")
        }
    }

    /// Writes it to a folder that nobody else can have prepared.
    private static func save(_ certificate: String) throws(CommandFailure) -> String {
        let temporary = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(temporary)/sipcore-XXXXXX".utf8CString)
        guard let folder = mkdtemp(&template) else {
            throw CommandFailure(status: 3, text: "no folder for the certificate in \(temporary): \(String(cString: strerror(errno)))")
        }
        let path = String(cString: folder) + "/certificate.pem"
        do throws(FileFailure) { try Descriptor.replace(path, with: certificate) } catch {
            throw CommandFailure(status: 3, text: "cannot write \(path): \(error.reason)")
        }
        return path
    }
}
