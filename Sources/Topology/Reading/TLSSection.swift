// The section `core.tls`: what the files hold, and that it fits together. Certificates are not read here; the world around
// the reader says what is wrong with them.

extension Reader {
    mutating func readTLS(_ node: Node, into core: inout CoreSettings) {
        var files = TLSFiles()
        files.certificate = contents(TLSKeys.certificate, in: node)
        files.key = contents(TLSKeys.key, in: node)
        files.trust = contents(TLSKeys.trust, in: node)
        files.clients = node[TLSKeys.clients] ?? ClientCertificates.none
        core.tls = files
        checkPair(node)
        if let value = node[node: TLSKeys.clients], files.clients != .none, node[node: TLSKeys.trust] == nil {
            error(value.position, "nothing says whose certificates are believed; write core.tls.trust too, or 'clients: none'")
        }
        // A file that could not be read has been pointed out.
        let isRead = [(TLSKeys.certificate, files.certificate), (TLSKeys.key, files.key), (TLSKeys.trust, files.trust)]
            .allSatisfy { node[node: $0.0] == nil || $0.1 != nil }
        guard isRead, (files.certificate == nil) == (files.key == nil), let fault = surroundings.tlsFault(files) else { return }
        error(place(of: fault.file, in: node).position, fault.text)
    }

    /// A certificate is of no use without its key.
    private mutating func checkPair(_ node: Node) {
        let (certificate, key) = (node[node: TLSKeys.certificate], node[node: TLSKeys.key])
        if let certificate, key == nil { error(certificate.position, "the certificate has no key; write core.tls.key too") }
        if let key, certificate == nil { error(key.position, "the key has no certificate; write core.tls.certificate too") }
    }

    private mutating func contents(_ key: Key<String>, in node: Node) -> [UInt8]? {
        guard let path = file(key, in: node), let value = node[node: key] else { return nil }
        do throws(UnreadableFile) {
            return try surroundings.readFile(path)
        } catch {
            self.error(value.position, "cannot read \(path): \(error.reason); write the name of a file in PEM")
            return nil
        }
    }

    private func place(of file: TLSFileFault.File, in node: Node) -> Node {
        switch file {
        case .certificate: node[node: TLSKeys.certificate] ?? node
        case .key: node[node: TLSKeys.key] ?? node
        case .trust: node[node: TLSKeys.trust] ?? node
        }
    }
}

extension ListenAddress {
    /// Whether two listeners would bind one socket: all transports but UDP are TCP to the system.
    func isSameSocket(as other: ListenAddress) -> Bool {
        host == other.host && port == other.port && (transport == .udp) == (other.transport == .udp)
    }
}
