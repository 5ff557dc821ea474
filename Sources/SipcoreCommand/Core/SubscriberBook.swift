// Who is provisioned, by name: the subscribers of the file, and what was put or removed since. The core knows numbers and
// identities only; names are for people.

import ControlHTTP
import SCSCF
import Topology

struct SubscriberBook: Sendable {
    /// What was said of a name since the file.
    struct Change: Sendable {
        /// The number in the core; nil: it never had one.
        var number: UInt32?
        /// nil: gone.
        var subscriber: Topology::Subscriber?
    }

    let topology: Topology
    private(set) var changes: [String: Change] = [:]
    /// The number of the first subscriber of each entry of the file.
    private let bases: [UInt32]
    /// Where names stand in the file, and which entries are ranges; made when first asked for, since few ask.
    private var places: [String: Int]?
    private let ranges: [Int]

    init(_ topology: Topology) {
        self.topology = topology
        var bases: [UInt32] = []
        bases.reserveCapacity(topology.subscribers.count)
        var next: UInt32 = 0
        for subscriber in topology.subscribers {
            bases.append(next)
            next += UInt32(clamping: subscriber.name.count)
        }
        self.bases = bases
        ranges = topology.subscribers.indices.filter { topology.subscribers[$0].name.range != nil }
    }

    mutating func set(_ name: String, _ change: Change) { changes[name] = change }

    // MARK: Questions

    /// The number that stands for a name, also if its subscriber is gone.
    mutating func number(of name: String) -> UInt32? {
        if let change = changes[name] { return change.number }
        return placeInFile(of: name).map { bases[$0.entry] + $0.offset }
    }

    mutating func isProvisioned(_ name: String) -> Bool { subscriber(named: name) != nil }

    mutating func isInFile(_ name: String) -> Bool { placeInFile(of: name) != nil }

    /// The subscriber of this name, or the range that holds it.
    private mutating func subscriber(named name: String) -> Topology::Subscriber? {
        if let change = changes[name] { return change.subscriber }
        return placeInFile(of: name).map { topology.subscribers[$0.entry] }
    }

    private mutating func placeInFile(of name: String) -> (entry: Int, offset: UInt32)? {
        if let entry = literalPlaces()[name] { return (entry, 0) }
        for entry in ranges {
            if let offset = topology.subscribers[entry].name.place(of: name) { return (entry, UInt32(clamping: offset)) }
        }
        return nil
    }

    private mutating func literalPlaces() -> [String: Int] {
        if let places { return places }
        var made: [String: Int] = [:]
        for (i, subscriber) in topology.subscribers.enumerated() where subscriber.name.range == nil { made[subscriber.name.text] = i }
        places = made
        return made
    }

    // MARK: As it is shown

    /// All: in the order of the file, then by name those that it does not have.
    mutating func shown() -> [ProvisionedSubscriber] {
        var shown: [ProvisionedSubscriber] = []
        for subscriber in topology.subscribers {
            if subscriber.name.range != nil {
                shown.append(range(subscriber))
            } else if let change = changes[subscriber.name.text] {
                if let changed = change.subscriber { shown.append(self.shown(changed, as: subscriber.name.text)) }
            } else {
                shown.append(self.shown(subscriber, as: subscriber.name.text))
            }
        }
        let places = literalPlaces()
        for name in changes.keys.sorted() where places[name] == nil {
            if let subscriber = changes[name]?.subscriber { shown.append(self.shown(subscriber, as: name)) }
        }
        return shown
    }

    /// One subscriber by its name, or a range by how it is written.
    mutating func shown(_ name: String) -> ProvisionedSubscriber? {
        if let subscriber = subscriber(named: name) { return shown(subscriber, as: name) }
        return ranges.first { topology.subscribers[$0].name.text == name }.map { range(topology.subscribers[$0]) }
    }

    /// AKA where each device is asked for it.
    private func authentication(of subscriber: Topology::Subscriber) -> Authentication {
        let devices = subscriber.privateIdentities.map { topology.authentication(of: $0, subscriber) }
        let hasOnlySIMs = !devices.isEmpty && devices.allSatisfy { $0 == .aka }
        return hasOnlySIMs ? .aka : subscriber.authentication ?? topology.core.authentication
    }

    private func range(_ subscriber: Topology::Subscriber) -> ProvisionedSubscriber {
        var range = shown(subscriber, as: subscriber.name.text, filling: "{name}")
        range.exceptions = changes.keys.filter { subscriber.name.contains($0) }.sorted()
        return range
    }

    private func shown(_ subscriber: Topology::Subscriber, as name: String, filling hole: String? = nil) -> ProvisionedSubscriber {
        let hole = hole ?? name
        var shown = ProvisionedSubscriber(
            name: name, authentication: authentication(of: subscriber).rawValue,
            privateIdentities: subscriber.privateIdentities.map { $0.identity.filled(with: hole) },
            publicIdentities: subscriber.publicIdentities.map { $0.uri.filled(with: hole) })
        shown.applicationServers = subscriber.applicationServers
        shown.serviceProfile = subscriber.serviceProfile
        shown.profileDocument = subscriber.profileDocument
        return shown
    }
}
