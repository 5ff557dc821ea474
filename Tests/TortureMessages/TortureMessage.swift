// The messages of RFC 4475 (SIP torture test messages) and RFC 5118 (the same for IPv6), each in a file under the name that
// the RFC gives it. What makes a message hard is as the RFC has it, octet by octet; names, hosts, numbers and texts are our own.

import Foundation

/// One of them.
public struct TortureMessage: Sendable, CustomStringConvertible {
    /// As the RFC names it, without `.dat`.
    public let name: String
    public let octets: [UInt8]

    public var description: String { name }

    /// All of both RFCs, by name.
    public static let all = rfc4475 + rfc5118
    public static let rfc4475 = folder("rfc4475")
    public static let rfc5118 = folder("rfc5118")

    /// The message of a name; a name that is none is a fault of the test.
    public static func named(_ name: String) -> TortureMessage {
        guard let message = all.first(where: { $0.name == name }) else { preconditionFailure("no torture message \(name)") }
        return message
    }

    private static func folder(_ name: String) -> [TortureMessage] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: name)
        let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        return files.filter { $0.pathExtension == "sip" }.sorted { $0.path < $1.path }.compactMap { file in
            guard let octets = try? Data(contentsOf: file) else { return nil }
            return TortureMessage(name: file.deletingPathExtension().lastPathComponent, octets: [UInt8](octets))
        }
    }
}
