// What a topology may say and the core cannot do yet. It is validated like all else and then refused, never passed over. A
// line goes when the core has learned what it names.

enum Unsupported {
    static let algorithms: [DigestAlgorithm] = [.sha256, .sha512_256]

    /// Identities of services and wildcards (IdentityType of TS 29.228 Annex E).
    static func fault(identityType: Int) -> String? {
        identityType == 0
            ? nil : "an identity of IdentityType \(identityType) (a service's or a wildcard) is not supported yet; leave it out"
    }
}

extension Reader {
    /// Refuses what the core cannot do yet, at the place of the value that asks for it.
    mutating func refuseUnsupported(_ root: Node) {
        if let core = root[RootKeys.core] { refuseUnsupported(inCore: core) }
        for entry in root[RootKeys.subscribers]?.entries ?? [] {
            refuseAKA(entry.value, SubscriberKeys.authentication)
            for device in entry.value[SubscriberKeys.privateIdentities]?.entries ?? [] { refuseAKA(device.value, nil) }
        }
    }

    private mutating func refuseUnsupported(inCore core: Node) {
        refuse(core, CoreKeys.authentication, .aka, "authentication by AKA", "write digest or none")
        for element in core[node: CoreKeys.digestAlgorithms]?.elements ?? [] {
            if let algorithm = Codec<DigestAlgorithm>.word.read(element), Unsupported.algorithms.contains(algorithm) {
                error(element.position, "the digest algorithm \(algorithm.rawValue) is not supported yet; write MD5")
            }
        }
        refuse(core, CoreKeys.clock, true, "a virtual clock", "write 'clock: real', or leave it out")
        for name in [CoreKeys.clockStart.name, CoreKeys.clockPatience.name] {
            if let entry = core.entry(name) {
                error(entry.position, "'\(name)' belongs to a virtual clock, which is not supported yet; leave it out")
            }
        }
    }

    private mutating func refuseAKA(_ section: Node, _ authentication: Key<Authentication>?) {
        if let authentication { refuse(section, authentication, .aka, "authentication by AKA", "write digest or none") }
        if let aka = section.entry(SubscriberKeys.aka.name) {
            error(aka.position, "authentication by AKA is not supported yet; write 'password: ...'")
        }
    }

    private mutating func refuse<Value: Equatable>(_ node: Node, _ key: Key<Value>, _ value: Value, _ what: String, _ advice: String) {
        if node[key] == value, let place = node[node: key] { error(place.position, "\(what) is not supported yet; \(advice)") }
    }
}
