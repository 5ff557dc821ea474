// Provisioning while the core runs, as an HSS would push it: what becomes of a user's registration when the subscriber is
// changed or taken away (TS 24.229 §5.4.1.5; TS 29.228 §6.1.3, §6.2.2).
//
//   gone                        the network deregisters the user, who is told not to register again (event `rejected`)
//   other identities            the network deregisters the user, who is told to register again (`deactivated`): a registration
//                               is of one set of identities as long as it lasts, and the next is of the new set
//   other credentials           the registration stays, the next REGISTER is challenged anew (TS 24.229 §5.4.1.6), another SIM
//                               from the sequence number that is given with it
//   other profile               the registration stays; a chain of application servers goes on as it began; servers that are
//                               new to it hear of the registration, if the topology asks for that (§5.4.1.8)
//
// All shards of a node make the same changes in the same order, so that numbers are alike on all. A change is made on every
// shard before what is new is published on any: no shard hears of a number that it does not know.

public import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
public import SansIO

/// A change of what is provisioned. Plans are of one subscriber each.
public enum SubscriberChange: Sendable {
    /// One who has not been there.
    case add(SubscriberPlan)
    /// The subscriber of this number, there or gone, is as the plan says from now on.
    case replace(UInt32, SubscriberPlan)
    case remove(UInt32)
}

/// What a change leads to that is to be stored before it is made.
public struct PreparedChange: Sendable, Equatable {
    /// Whom nobody finds until then.
    public internal(set) var subscriber: UInt32
    /// The key in `StoreTable.registrations` of a registration of this shard that the change ends; nil: there is none.
    ///
    /// The commit of the change is to put `withdrawn` there: should the process die before the deregistration is stored, the
    /// next one does not take the registration for that of whoever has the identity then.
    public internal(set) var registration: [UInt8]?

    /// A record without contacts.
    public static let withdrawn = Registrar.emptyRecord()
}

/// An identity that another subscriber has already.
public struct SubscriberClash: Sendable, Equatable {
    /// A public identity in canonical form, or a private one.
    public var identity: String
    /// The name of the subscriber who has it.
    public var holder: String

    public init(identity: String, holder: String) {
        self.identity = identity
        self.holder = holder
    }
}

extension ServingCSCF {
    /// What stands in the way of a plan; nil: nothing.
    ///
    /// - Parameter subscriber: the number of the one whom the plan replaces.
    public func clash(_ plan: SubscriberPlan, replacing subscriber: UInt32?) -> SubscriberClash? {
        directory.clash(plan, except: subscriber).map { SubscriberClash(identity: $0.identity, holder: directory.name(of: $0.holder)) }
    }

    /// Prepares a change that is to be stored before it is made. If it ends a registration, nobody finds the subscriber until it
    /// is made, or given up: so nothing is stored of the user in between.
    ///
    /// - Returns: what the change leads to; nil: no registration can end by it.
    public mutating func prepare(_ change: SubscriberChange) -> PreparedChange? {
        let subscriber: UInt32
        switch change {
        case .add: return nil
        case .replace(let number, let plan):
            guard directory.hasOtherIdentities(plan, than: number) else { return nil }
            subscriber = number
        case .remove(let number): subscriber = number
        }
        guard configuration.isPersistent, directory.isProvisioned(subscriber) else { return nil }
        directory.retire(subscriber)
        guard registrar.isRegistered(subscriber) else { return PreparedChange(subscriber: subscriber) }
        var key = OctetBuffer(capacity: 128)
        directory.appendPublicIdentity(IdentityReference(subscriber: subscriber, identity: 0), into: &key)
        return PreparedChange(subscriber: subscriber, registration: [UInt8](key.bytes))
    }

    /// Gives a prepared change up: everything is as before.
    public mutating func giveUp(_ change: PreparedChange) { directory.publish(change.subscriber) }

    /// Makes a change. Who is new, or comes back, is not found before `publish`.
    ///
    /// - Parameters:
    ///   - change: one in the way of which nothing stands.
    ///   - profiles: those that its plan names by numbers that no profile has yet.
    /// - Returns: the number that stands for the subscriber from now on.
    public mutating func change(
        _ change: SubscriberChange, profiles: [ServiceProfile], at now: Now, into effects: inout Effects
    ) -> UInt32 {
        add(profiles)
        switch change {
        case .add(let plan):
            let number = directory.append(plan)
            voidNonces(of: number, at: now)
            clearStore(of: number, at: now, into: &effects)
            return number
        case .replace(let subscriber, let plan):
            let isNew = !directory.isProvisioned(subscriber)
            let told = serversTold(of: subscriber, at: now)
            let sims = sims(of: subscriber)
            let (number, difference) = directory.replace(subscriber, by: plan)
            if difference.identities {
                withdraw(subscriber, .deactivated, at: now, into: &effects)
            } else if difference.profiles {
                profileChanged(of: subscriber, toldBefore: told, at: now, into: &effects)
            }
            if difference.credentials {
                voidNonces(of: subscriber, at: now)
                demandProofs(of: subscriber, into: &effects)
            }
            if difference.credentials || difference.identities { follow(sims, of: subscriber, to: number, into: &effects) }
            if isNew || difference.identities {
                // An answer that was given under another number does not count once more.
                voidNonces(of: number, at: now)
                clearStore(of: number, at: now, into: &effects)
            }
            return number
        case .remove(let subscriber):
            directory.retire(subscriber)
            withdraw(subscriber, .rejected, at: now, into: &effects)
            return subscriber
        }
    }

    /// Lets a subscriber be found who was added or came back.
    public mutating func publish(_ subscriber: UInt32) { directory.publish(subscriber) }

    private mutating func add(_ profiles: [ServiceProfile]) {
        configuration.profiles += profiles
        for profile in profiles {
            criteria.append(CriterionRoute.routes(of: profile, configuration.applicationServers, naming: &serverNames))
        }
    }

    /// A process that died may have left a registration that its subscriber did not outlive.
    private mutating func clearStore(of subscriber: UInt32, at now: Now, into effects: inout Effects) {
        guard configuration.isPersistent, otherShard(of: subscriber) == nil else { return }
        persist(subscriber, ticket: waiting.nextTicket(), at: now, into: &effects)
    }

    /// The user is deregistered by the network (TS 24.229 §5.4.1.5); whatever still is to be said of it names it as before.
    private mutating func withdraw(_ subscriber: UInt32, _ event: DeregistrationEvent, at now: Now, into effects: inout Effects) {
        voidNonces(of: subscriber, at: now)
        guard registrar.isRegistered(subscriber) else { return }
        deregister(subscriber, event, at: now, into: &effects)
    }

    // MARK: Re-authentication

    /// How long the contacts of a user last at most who is to authenticate anew.
    static let reauthenticationTime = TimeSpan.seconds(60)

    /// Re-authentication by the network (TS 24.229 §5.4.1.6): the next REGISTER is challenged anew, and what is registered
    /// ends soon unless the user proves itself again.
    ///
    /// - Parameter uri: one of the user's public identities, in any spelling.
    /// - Returns: false if it is not registered.
    public mutating func reauthenticate(_ uri: String, at now: Now, into effects: inout Effects) -> Bool {
        guard let user = reference(to: uri), registrar.isRegistered(user.subscriber) else { return false }
        voidNonces(of: user.subscriber, at: now)
        demandProofs(of: user.subscriber, into: &effects)
        registrar.shorten(user.subscriber, to: ServingCSCF.reauthenticationTime, at: now.monotonic)
        storeShortened(user.subscriber, until: now.monotonic + ServingCSCF.reauthenticationTime, at: now, into: &effects)
        return true
    }

    /// The private identities of a subscriber with the keys of their SIMs.
    private func sims(of subscriber: UInt32) -> [(name: [UInt8], keys: AKACredentials?)] {
        (0..<directory.privateIdentityCount(of: subscriber)).map { number in
            let device = IdentityReference(subscriber: subscriber, identity: UInt16(number))
            var name = OctetBuffer(capacity: 64)
            directory.appendPrivateIdentity(device, into: &name)
            return (name: [UInt8](name.bytes), keys: directory.sim(of: device))
        }
    }

    /// The sequence numbers of a SIM go on whatever number its subscriber has by now (TS 33.102 §6.3.2, Annex C); those of another
    /// SIM begin where it says.
    private mutating func follow(
        _ old: [(name: [UInt8], keys: AKACredentials?)], of subscriber: UInt32, to number: UInt32, into effects: inout Effects
    ) {
        for (place, sim) in sims(of: number).enumerated() {
            let device = IdentityReference(subscriber: number, identity: UInt16(place))
            let before = old.firstIndex { $0.name == sim.name }
            if let before, old[before].keys == sim.keys {
                let former = IdentityReference(subscriber: subscriber, identity: UInt16(before))
                if former != device { aka.move(deviceKey(former), to: deviceKey(device)) }
            } else if before != nil || sim.keys != nil {
                aka.forget(deviceKey(device))
                removeSequenceNumber(of: device, into: &effects)
            }
        }
    }

    /// Watchers hear of it once it is stored. Should that fail, what is shortened here and is not in the database is stored later.
    private mutating func storeShortened(_ subscriber: UInt32, until end: Instant, at now: Now, into effects: inout Effects) {
        guard configuration.isPersistent else {
            return registrationStateChanged(of: subscriber, .network(.deactivated), at: now, into: &effects)
        }
        let ticket = waiting.nextTicket()
        persist(subscriber, ticket: ticket, at: now, into: &effects)
        shortenings.append(Shortening(ticket: ticket, subscriber: subscriber, end: end))
        waiting.append(WaitingRegistration(ticket: ticket, subscriber: subscriber, thirdParty: ThirdPartyList(), cause: .shortening))
    }

    /// The database takes changes, or takes none. After a failure the next success is waited for.
    mutating func shorteningsCommitted(upTo ticket: UInt64, succeeded: Bool, at now: Now, into effects: inout Effects) {
        guard !shortenings.isEmpty else { return }
        guard succeeded else {
            for i in shortenings.indices { shortenings[i].ticket = nil }
            return
        }
        let lost = shortenings.filter { $0.ticket == nil && $0.end > now.monotonic && isUnproved($0.subscriber) }
        shortenings.removeAll { $0.ticket.map { $0 <= ticket } ?? true }
        for shortening in lost {
            // An undone change may have brought the longer interval back.
            registrar.shorten(shortening.subscriber, to: shortening.end - now.monotonic, at: now.monotonic)
            storeShortened(shortening.subscriber, until: shortening.end, at: now, into: &effects)
        }
    }

    /// Whether a user who is asked for proofs still owes one.
    private func isUnproved(_ subscriber: UInt32) -> Bool {
        directory.isAuthenticated(subscriber)
            && (0..<directory.privateIdentityCount(of: subscriber)).contains { device in
                demandedProofs.contains(deviceKey(IdentityReference(subscriber: subscriber, identity: UInt16(device))))
            }
    }

    /// No nonce that was made so far may be answered by the user's devices any more.
    private mutating func voidNonces(of subscriber: UInt32, at now: Now) {
        for device in 0..<directory.privateIdentityCount(of: subscriber) {
            digest.voidNonces(of: deviceKey(IdentityReference(subscriber: subscriber, identity: UInt16(device))), at: now.monotonic)
        }
    }
}

/// What re-authentication has shortened and the database may not have.
struct Shortening: BitwiseCopyable {
    /// nil: its commit has failed.
    var ticket: UInt64?
    var subscriber: UInt32
    var end: Instant
}

// MARK: At start

extension ServingCSCFConfiguration {
    /// A change of an earlier run, for one name.
    public struct StoredSubscriber: Sendable {
        /// The number that the name has by `subscribers`; nil: none.
        public var number: UInt32?
        /// nil: the subscriber is gone.
        public var plan: SubscriberPlan?
        public init(number: UInt32?, plan: SubscriberPlan?) {
            self.number = number
            self.plan = plan
        }
    }

    /// What became of a change of an earlier run.
    public enum TakenOver: Sendable, Equatable {
        /// The number that stands for the subscriber, if there is one.
        case made(UInt32?)
        /// It is left out: another subscriber has one of the identities by now.
        case clash(SubscriberClash)
    }

    /// Takes over what was changed in an earlier run; every shard makes it so when it starts.
    ///
    /// - Parameter stored: at most one for a name, in the order of the changes.
    /// - Returns: what became of each, in the same order.
    public mutating func takeOver(_ stored: [StoredSubscriber]) -> [TakenOver] {
        // The same directory as each shard will have: what it says of numbers holds for all of them.
        var directory = SubscriberDirectory(subscribers, secret: HashSecret(0, 0))
        // Identities may have gone from one to another, so all who were changed make room before any takes his place.
        provisioning = stored.compactMap { $0.number.map(ProvisioningStep.retire) }
        for step in provisioning { _ = directory.perform(step) }
        return stored.map { stored in
            guard let plan = stored.plan else { return .made(stored.number) }
            guard let clash = directory.clash(plan, except: stored.number) else {
                provisioning.append(.put(stored.number, plan))
                return .made(directory.perform(.put(stored.number, plan)))
            }
            let result = TakenOver.clash(SubscriberClash(identity: clash.identity, holder: directory.name(of: clash.holder)))
            if let number = stored.number {
                provisioning.append(.publish(number))
                _ = directory.perform(.publish(number))
            }
            return result
        }
    }
}

/// What is done to a directory before the core runs.
enum ProvisioningStep: Sendable {
    case retire(UInt32)
    case publish(UInt32)
    case put(UInt32?, SubscriberPlan)
}

extension SubscriberDirectory {
    /// - Returns: the number that it was about, or made.
    mutating func perform(_ step: ProvisioningStep) -> UInt32 {
        switch step {
        case .retire(let subscriber):
            retire(subscriber)
            return subscriber
        case .publish(let subscriber):
            publish(subscriber)
            return subscriber
        case .put(let subscriber, let plan):
            let number = subscriber.map { replace($0, by: plan).number } ?? append(plan)
            publish(number)
            return number
        }
    }
}
