// What a core with a database keeps there: its tables, and how they are taken back at start.

public import SansIO

/// Tables of the core's store.
public enum StoreTable {
    /// Key: the first public identity of the subscriber; value: whose they are (Registration/RegistrationOwner.swift), and its
    /// bindings.
    public static let registrations: UInt8 = 1
    /// Key: the private identity; value: what its sequence numbers go on from, as a word.
    public static let sequenceNumbers: UInt8 = 2
    /// Key: our tag of the dialog; value: a subscription to registration state.
    public static let subscriptions: UInt8 = 3
    /// Third-party REGISTER requests without a final answer (Registration/ThirdPartyStorage.swift).
    public static let thirdParty: UInt8 = 4
    /// Key: the name of a subscriber; value: what was put or removed under it since the topology file.
    public static let subscribers: UInt8 = 5
    /// What a node remembers of itself (NodeMemory.swift).
    public static let node: UInt8 = 6
    /// Key: a private identity that is to prove itself at its next REGISTER (Identity/DemandedProofs.swift); value: the octet 1.
    public static let demandedProofs: UInt8 = 7

    /// All tables by their number, with their names.
    public static let names: [UInt8: String] = [
        registrations: "registrations", sequenceNumbers: "sequence_numbers", subscriptions: "subscriptions",
        thirdParty: "third_party_registrations", subscribers: "subscribers", node: "node",
        demandedProofs: "demanded_proofs",
    ]

    /// The tables that `ServingCSCF.restore` takes, in the order in which it needs them: what the node remembers of itself,
    /// then registrations, who watches them, and what was due. Who is provisioned has to be known before.
    public static let restored: [UInt8] = [node, sequenceNumbers, demandedProofs, registrations, subscriptions, thirdParty]

    /// The tables that outlive a reset of the running core. Sequence numbers are the SIMs', and the node's own numbers must not
    /// come twice: neither belongs to a registration.
    public static let lasting: Set<UInt8> = [subscribers, sequenceNumbers, node]
}

extension ServingCSCF {
    /// Takes back what was stored, at start. Records of users whom another shard serves are passed over.
    ///
    /// - Parameter table: one of `StoreTable.restored`.
    /// - Returns: false if the record is damaged, or of somebody or something that is not provisioned any more, or is another's now.
    public mutating func restore(table: UInt8, key: RawSpan, value: RawSpan, at now: Now, into effects: inout Effects) -> Bool {
        switch table {
        case StoreTable.node: restoreNode(key: key, value: value)
        case StoreTable.sequenceNumbers: restoreSequenceNumber(key: key, value: value)
        case StoreTable.demandedProofs: restoreDemandedProof(key: key)
        case StoreTable.registrations: restoreRegistrations(key: key, value: value, at: now, into: &effects)
        case StoreTable.subscriptions: restoreSubscription(key: key, value: value, at: now, into: &effects)
        case StoreTable.thirdParty: restoreThirdParty(key: key, value: value, at: now, into: &effects)
        default: false
        }
    }
}
