// Changes of subscribers, as the core's process makes them: prepared, stored, and then made on all shards.

import IMSProfile
import SCSCF
import SansIO

extension VirtualLab {
    mutating func provision(_ client: Int, as variant: SubscriberVariant) {
        let core = stations[cast.core]
        // Changes wait for one another; here what comes meanwhile is not made.
        guard core.isRunning, pendingVariants.isEmpty, variants[client] != variant, let change = change(client, to: variant) else {
            return
        }
        record?.note("\(cast.name(client)) is \(variant)", at: cast.core, now.monotonic)
        guard core.store != nil else { return make(change, client, variant) }
        var prepared: [PreparedChange] = []
        for cell in core.core { if let one = cell.node.prepare(change) { prepared.append(one) } }
        lastVariantTicket += 1
        core.store?.add(
            table: StoreTable.subscribers, key: [UInt8(truncatingIfNeeded: client)], value: [variant.code], ticket: lastVariantTicket)
        for key in prepared.compactMap(\.registration) {
            core.store?.add(table: StoreTable.registrations, key: key, value: PreparedChange.withdrawn, ticket: lastVariantTicket)
        }
        pendingVariants.append((lastVariantTicket, client, variant, prepared))
        tell(.changing(client: client, variant))
        commit(core)
    }

    mutating func variantsStored(upTo ticket: UInt64, _ succeeded: Bool) {
        let stored = pendingVariants.filter { $0.ticket <= ticket }
        pendingVariants.removeAll { $0.ticket <= ticket }
        for (_, client, variant, prepared) in stored {
            if succeeded {
                if let change = change(client, to: variant) { make(change, client, variant) }
            } else {
                for one in prepared { for cell in stations[cast.core].core { cell.node.giveUp(one) } }
                tell(.changeFailed(client: client))
            }
        }
    }

    private mutating func make(_ change: SubscriberChange, _ client: Int, _ variant: SubscriberVariant) {
        let core = stations[cast.core]
        variants[client] = variant
        tell(.changed(client: client, variant))
        var number: UInt32?
        for (i, cell) in core.core.enumerated() {
            tick(core, i) { _, now in number = cell.node.change(change, profiles: [], at: now, into: &cell.effects) }
        }
        // Who is gone is not found any more.
        if let number, variant != .gone { for cell in core.core { cell.node.publish(number) } }
    }

    private func change(_ client: Int, to variant: SubscriberVariant) -> SubscriberChange? {
        guard let subscription = cast.plan.clients[client].user.subscription else { return nil }
        switch subscription.plan(as: variant) {
        case nil: return .remove(subscription.number)
        case let plan?: return .replace(subscription.number, plan)
        }
    }

    // MARK: Restart

    /// What was changed of subscribers and stored.
    mutating func takeOverVariants(_ station: Station, into configuration: inout ServingCSCFConfiguration) {
        let records = station.store?.records(of: StoreTable.subscribers) ?? []
        var stored: [Int: SubscriberVariant] = [:]
        for (key, value) in records { stored[Int(key[0])] = SubscriberVariant(code: value[0]) }
        let changes = stored.sorted { $0.key < $1.key }.compactMap { client, variant in
            cast.plan.clients[client].user.subscription.map { subscription in
                ServingCSCFConfiguration.StoredSubscriber(number: subscription.number, plan: subscription.plan(as: variant))
            }
        }
        _ = configuration.takeOver(changes)
        for client in variants.indices where variants[client] != stored[client] ?? .planned {
            variants[client] = stored[client] ?? .planned
            tell(.changed(client: client, variants[client]))
        }
    }
}

extension LabPlan.Subscription {
    /// nil: it is gone.
    fileprivate func plan(as variant: SubscriberVariant) -> SubscriberPlan? {
        switch variant {
        case .planned: return plan
        case .gone: return nil
        case .withoutCriteria:
            var plan = plan
            plan.profiles = plan.profiles.map { _ in nil }
            return plan
        }
    }
}

extension SubscriberVariant {
    fileprivate var code: UInt8 { UInt8(SubscriberVariant.allCases.firstIndex(of: self) ?? 0) }
    fileprivate init(code: UInt8) { self = SubscriberVariant.allCases[Int(code) % SubscriberVariant.allCases.count] }
}
