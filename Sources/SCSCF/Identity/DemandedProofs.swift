// Re-authentication by the network (TS 24.229 §5.4.1.6): which devices are to prove themselves at their next REGISTER, whatever an
// edge says of it. With a database a demand outlives the process.

import IMSProfile
import SIPRegistrar
import SansIO

extension ServingCSCF {
    /// Each device of a user with a contact is to prove itself at its next REGISTER, also where an edge vouches for it.
    mutating func demandProofs(of subscriber: UInt32, into effects: inout Effects) {
        var devices: Set<UInt16> = []
        registrar.forEachBinding(of: subscriber) { devices.insert($0.device) }
        for device in devices.sorted() {
            let device = IdentityReference(subscriber: subscriber, identity: device)
            guard demandedProofs.insert(deviceKey(device)).inserted, configuration.isPersistent else { continue }
            let ticket = waiting.nextTicket()
            nameDevice(device)
            var value = OctetBuffer(capacity: 64)
            value.append(byte: 1)
            effects.store.put(table: StoreTable.demandedProofs, key: scratch.bytes, value: value.bytes, ticket: ticket)
        }
    }

    /// Whether the network wants to see a proof of its own.
    func isToProveItself(_ device: IdentityReference) -> Bool {
        !demandedProofs.isEmpty && demandedProofs.contains(deviceKey(device))
    }

    /// A device has proved itself.
    @inline(__always)
    mutating func noteProof(of device: IdentityReference, into effects: inout Effects) {
        if !demandedProofs.isEmpty { endDemand(of: device, into: &effects) }
    }

    private mutating func endDemand(of device: IdentityReference, into effects: inout Effects) {
        guard demandedProofs.remove(deviceKey(device)) != nil, configuration.isPersistent else { return }
        let ticket = waiting.nextTicket()
        nameDevice(device)
        effects.store.remove(table: StoreTable.demandedProofs, key: scratch.bytes, ticket: ticket)
    }

    /// Takes back a demand of an earlier run.
    mutating func restoreDemandedProof(key: RawSpan) -> Bool {
        // A record of nobody is told of once, by the first shard.
        guard let device = directory.privateIdentity(key) else { return place.number != 0 }
        if otherShard(of: device.subscriber) == nil { demandedProofs.insert(deviceKey(device)) }
        return true
    }

    private mutating func nameDevice(_ device: IdentityReference) {
        scratch.removeAll()
        directory.appendPrivateIdentity(device, into: &scratch)
    }
}
