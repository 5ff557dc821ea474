// Subscribers that are put and removed while the core runs: read as the topology's reader reads them, held against who is
// there, stored, and then changed in all shards, one change after another.

import ControlHTTP
import IMSProfile
import Logging
import NodeRuntime
import SCSCF
import SansIO
import Store
import Topology

/// What the database has of a name (table `subscribers`).
enum StoredChange {
    /// The fields that were put, in JSON.
    case put(String)
    case gone

    /// nil: written by a later version, or damaged.
    init?(_ value: [UInt8]) {
        switch value.first {
        case 1:
            guard let json = String(validating: value.dropFirst(), as: UTF8.self) else { return nil }
            self = .put(json)
        case 2 where value.count == 1: self = .gone
        default: return nil
        }
    }

    var octets: [UInt8] {
        switch self {
        case .put(let json): [1] + json.utf8
        case .gone: [2]
        }
    }
}

/// What is known before the core starts.
struct ProvisioningPlan: Sendable {
    private(set) var assembly: CoreAssembly
    private(set) var book: SubscriberBook
    let surroundings: Surroundings

    init(_ assembly: CoreAssembly, surroundings: Surroundings) {
        self.assembly = assembly
        self.surroundings = surroundings
        book = SubscriberBook(assembly.topology)
    }

    /// Takes over what an earlier run has stored. What does not go with the file any more is left out and told of.
    /// - Parameter entries: in the order of their changes.
    mutating func takeOver(_ entries: [Store.Entry], into configuration: inout ServingCSCFConfiguration, _ logger: Logger) {
        var names: [String] = []
        var read: [(subscriber: Topology::Subscriber?, stored: ServingCSCFConfiguration.StoredSubscriber)] = []
        for entry in entries {
            let name = String(decoding: entry.key, as: UTF8.self)
            do throws(ProvisioningFailure) {
                read.append(try self.read(name, entry.value))
                names.append(name)
            } catch {
                logger.warning("the stored subscriber \(name) is left out: \(error.text)")
            }
        }
        configuration.profiles = assembly.profiles
        guard !names.isEmpty else { return }
        let results = configuration.takeOver(read.map(\.stored))
        for (i, result) in results.enumerated() {
            switch result {
            case .made(let number): book.set(names[i], SubscriberBook.Change(number: number, subscriber: read[i].subscriber))
            case .clash(let clash):
                logger.warning("the stored subscriber \(names[i]) is left out: \(clash.identity) is \(clash.holder)'s")
            }
        }
    }

    private mutating func read(
        _ name: String, _ value: [UInt8]
    ) throws(ProvisioningFailure) -> (Topology::Subscriber?, ServingCSCFConfiguration.StoredSubscriber) {
        switch StoredChange(value) {
        case nil: throw .invalid("its record is damaged, or of a later version", field: nil)
        case .gone: return (nil, .init(number: book.number(of: name), plan: nil))
        case .put(let json):
            let subscriber = try subscriber(named: name, json)
            return (subscriber, .init(number: book.number(of: name), plan: try plan(subscriber)))
        }
    }

    func subscriber(named name: String, _ json: String) throws(ProvisioningFailure) -> Topology::Subscriber {
        do throws(FieldFault) {
            return try assembly.topology.subscriber(named: name, json: json, in: surroundings)
        } catch {
            throw .invalid(error.text, field: error.field)
        }
    }

    mutating func plan(_ subscriber: Topology::Subscriber) throws(ProvisioningFailure) -> SubscriberPlan {
        do throws(CommandFailure) {
            return try assembly.plan(adding: subscriber)
        } catch {
            throw .invalid(error.text ?? "the subscriber cannot be provisioned", field: nil)
        }
    }

    // The parts that change later, for whoever goes on with them.
    mutating func update<R>(_ body: (inout SubscriberBook) -> R) -> R { body(&book) }
}

actor Provisioner {
    private var plan: ProvisioningPlan
    private let shards: ShardGroup<ServingCSCF>
    private let store: Store?
    private let logger: Logger
    /// How many profiles the shards have, and how many faults of criteria were told of.
    private var profilesKnown: Int
    private var faultsTold: Int
    private var isBusy = false
    private var queue: [CheckedContinuation<Void, Never>] = []

    init(_ plan: ProvisioningPlan, _ shards: ShardGroup<ServingCSCF>, _ store: Store?, _ logger: Logger) {
        self.plan = plan
        self.shards = shards
        self.store = store
        self.logger = logger
        profilesKnown = plan.assembly.profiles.count
        faultsTold = plan.assembly.faults.count
    }

    // MARK: Questions

    func subscribers() -> [ProvisionedSubscriber] { plan.update { $0.shown() } }

    func subscriber(_ name: String) -> ProvisionedSubscriber? { plan.update { $0.shown(name) } }

    // MARK: Changes

    /// - Returns: whether there was none of this name.
    func put(_ name: String, json: String) async throws(ProvisioningFailure) -> Bool {
        await begin()
        defer { end() }
        let subscriber = try plan.subscriber(named: name, json)
        let subscriberPlan = try plan.plan(subscriber)
        tellFaults(of: name)
        let (old, isNew) = plan.update { ($0.number(of: name), !$0.isProvisioned(name)) }
        if let clash = await shards.perform({ node, _, _ in node.clash(subscriberPlan, replacing: old) }).compactMap({ $0 }).first {
            throw .conflict(
                "\(clash.identity) is \(clash.holder)'s already; write identities that no other subscriber has",
                field: clash.identity.contains(":") ? "public_identities" : "private_identity")
        }
        let change = old.map { SubscriberChange.replace($0, subscriberPlan) } ?? .add(subscriberPlan)
        try await save(name, .put(json), with: change)
        let number = await make(change)
        _ = await shards.perform { node, _, _ in node.publish(number) }
        plan.update { $0.set(name, SubscriberBook.Change(number: number, subscriber: subscriber)) }
        return isNew
    }

    /// - Returns: whether there was one.
    func remove(_ name: String) async throws(ProvisioningFailure) -> Bool {
        await begin()
        defer { end() }
        let (found, isThere, isInFile) = plan.update { ($0.number(of: name), $0.isProvisioned(name), $0.isInFile(name)) }
        guard isThere, let number = found else {
            if plan.update({ $0.shown(name) }) != nil {
                throw .invalid("\(name) is many subscribers; remove them one by one, or the range from the topology file", field: "name")
            }
            return false
        }
        try await save(name, isInFile ? .gone : nil, with: .remove(number))
        _ = await make(.remove(number))
        plan.update { $0.set(name, SubscriberBook.Change(number: number, subscriber: nil)) }
        return true
    }

    /// Changes wait for one another: all shards make them in the same order, so that numbers are alike on all.
    private func begin() async {
        guard isBusy else {
            isBusy = true
            return
        }
        await withCheckedContinuation { queue.append($0) }
    }

    private func end() {
        if queue.isEmpty { isBusy = false } else { queue.removeFirst().resume() }
    }

    private func make(_ change: SubscriberChange) async -> UInt32 {
        let profiles = Array(plan.assembly.profiles[profilesKnown...])
        profilesKnown += profiles.count
        let numbers = await shards.performAtRest { node, now, effects in
            node.change(change, profiles: profiles, at: now, into: &effects)
        }
        precondition(numbers.allSatisfy { $0 == numbers[0] }, "the shards do not agree who is who")
        return numbers[0]
    }

    /// Makes a change durable, and with it that a registration ends which it ends.
    ///
    /// - Parameter stored: nil takes out what was stored.
    private func save(
        _ name: String, _ stored: StoredChange?, with change: SubscriberChange
    ) async throws(ProvisioningFailure) {
        guard let store else { return }
        let prepared = await shards.perform { node, _, _ in node.prepare(change) }
        var entries = [Store.Write(table: StoreTable.subscribers, key: Array(name.utf8), value: stored?.octets)]
        for key in prepared.compactMap({ $0?.registration }) {
            entries.append(Store.Write(table: StoreTable.registrations, key: key, value: PreparedChange.withdrawn))
        }
        let writes = entries
        let failure = await withCheckedContinuation { continuation in store.write(writes) { continuation.resume(returning: $0) } }
        guard let failure else { return }
        if let change = prepared.compactMap({ $0 }).first { _ = await shards.perform { node, _, _ in node.giveUp(change) } }
        throw .notStored("nothing was changed, since it could not be stored: \(failure)")
    }

    private func tellFaults(of name: String) {
        for fault in plan.assembly.faults[faultsTold...] { logger.warning("subscriber \(name): left out: \(fault)") }
        faultsTold = plan.assembly.faults.count
    }
}

extension ProvisioningFailure {
    fileprivate var text: String {
        switch self {
        case .invalid(let text, _), .conflict(let text, _), .notStored(let text): text
        }
    }
}
