// What TLS needs on our side: the certificate that is shown, whose certificates are believed, whether clients are asked for
// theirs (RFC 3261 §26.3.1, RFC 5922). It is read and checked once; the contexts of the library are made when first needed.

import NIOSSL
public import SansIO

/// What is wrong with certificates or keys.
public struct SecurityFault: Error, Hashable, Sendable {
    public enum Part: Sendable { case certificate, key, trust }
    public let part: Part
    /// What is wrong; what would be right.
    public let reason: String
}

/// The names by which servers are reached. A flow has an address alone; this is the way back.
public struct PeerNames: Sendable {
    private var ofEndpoints: [Endpoint: [String]] = [:]
    private var ofAddresses: [IPAddress: [String]] = [:]

    public init() {}

    /// A name that leads to an address; also, port 0 or not, to other ports of it of which nothing is known.
    public mutating func add(_ name: String, at endpoint: Endpoint) {
        if endpoint.port != 0 { ofEndpoints[endpoint, default: []].append(name) }
        ofAddresses[endpoint.address, default: []].append(name)
    }

    subscript(remote: Endpoint) -> [String] { ofEndpoints[remote] ?? ofAddresses[remote.address] ?? [] }
}

/// A node's certificate and key, and whom it believes.
public struct StreamSecurity: Sendable {
    /// Whether a client has to show a certificate.
    public enum ClientCertificates: Sendable {
        case none
        /// One that is shown has to be believed; none is well, too.
        case request
        case require
    }

    /// How long the peer may take to answer that TLS ends.
    private static let farewell = StreamDriver.farewell

    private let chain: [NIOSSLCertificate]
    private let key: NIOSSLPrivateKey?
    private let trust: [NIOSSLCertificate]?
    private let clients: ClientCertificates
    private let names: PeerNames
    private let learned = LearnedNames()

    /// Reads certificates and keys in PEM, and looks whether they belong together.
    /// - Parameters:
    ///   - certificate: our own, and the chain behind it; nil: there is none, so no listener can use this.
    ///   - key: the private key to it, without a pass phrase.
    ///   - trust: whose certificates are believed; nil: the system's.
    ///   - names: by what names servers are reached: such a name is what their certificate has to be of.
    public init(
        certificate: [UInt8]?, key: [UInt8]?, trust: [UInt8]?, clients: ClientCertificates = .none, names: PeerNames = PeerNames()
    ) throws(SecurityFault) {
        chain = try certificate.map { (octets) throws(SecurityFault) in try StreamSecurity.certificates(octets, .certificate) } ?? []
        self.key = try key.map { (octets) throws(SecurityFault) in try StreamSecurity.privateKey(octets) }
        self.trust = try trust.map { (octets) throws(SecurityFault) in try StreamSecurity.certificates(octets, .trust) }
        self.clients = clients
        self.names = names
        guard !chain.isEmpty, self.key != nil else { return }
        do {
            _ = try serverContext()
        } catch {
            throw SecurityFault(part: .key, reason: "this key does not belong to the certificate; name the key that it was made with")
        }
    }

    private static func certificates(_ octets: [UInt8], _ part: SecurityFault.Part) throws(SecurityFault) -> [NIOSSLCertificate] {
        if !octets.isEmpty, let certificates = try? NIOSSLCertificate.fromPEMBytes(octets), !certificates.isEmpty { return certificates }
        throw SecurityFault(part: part, reason: "the file holds no certificate in PEM; it begins with -----BEGIN CERTIFICATE-----")
    }

    private static func privateKey(_ octets: [UInt8]) throws(SecurityFault) -> NIOSSLPrivateKey {
        if !octets.isEmpty, let key = try? NIOSSLPrivateKey(bytes: octets, format: .pem) { return key }
        throw SecurityFault(
            part: .key, reason: "the file holds no private key in PEM, or it has a pass phrase; it begins with -----BEGIN PRIVATE KEY-----")
    }

    /// The names that lead to a server.
    func names(of remote: Endpoint) -> [String] { names[remote] + learned[remote] }

    /// Notes a name of the topology that was found to lead to a server.
    func learn(_ name: String, at remote: Endpoint) { learned.add(name, at: remote) }

    // MARK: Contexts

    /// For streams that peers open.
    func serverContext() throws -> NIOSSLContext {
        guard let key else { throw NIOSSLError.failedToLoadPrivateKey }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        switch clients {
        case .none: configuration.certificateVerification = .none
        case .request: configuration.certificateVerification = .optionalVerification
        case .require: configuration.certificateVerification = .noHostnameVerification
        }
        return try context(configuration)
    }

    /// For streams that we open. Our certificate is shown to a server that asks; whose the server's is, `PeerIdentity` looks.
    func clientContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .noHostnameVerification
        if let key {
            configuration.certificateChain = chain.map { .certificate($0) }
            configuration.privateKey = .privateKey(key)
        }
        return try context(configuration)
    }

    private func context(_ base: TLSConfiguration) throws -> NIOSSLContext {
        var configuration = base
        configuration.minimumTLSVersion = .tlsv12
        configuration.shutdownTimeout = StreamSecurity.farewell
        if let trust { configuration.trustRoots = .certificates(trust) }
        return try NIOSSLContext(configuration: configuration)
    }
}
