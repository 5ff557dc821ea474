// What others may ask of the core: plain values, made when they are asked for, off the path of messages.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
public import SIPTransaction
public import SansIO

/// A registered public user identity and its contacts.
public struct RegisteredIdentity: Sendable {
    public struct Contact: Sendable {
        public var uri: String
        public var privateIdentity: String
        /// Seconds left, and when they are over.
        public var expires: UInt32
        public var end: Instant
        /// In thousandths, 1000 if none was given.
        public var q: Int
        /// The values of Path in their order, separated by commas.
        public var path: String
        public var instance: String
        /// The public GRUU (RFC 5627 §3.1); nil: the contact tells no instance.
        public var gruu: String?
        public var regID: UInt32?
        /// The contact parameters as received.
        public var parameters: String
        public var flow: Flow
        /// Call-ID and CSeq of the last REGISTER, and what it said of the access network, the visited network and the charging
        /// (RFC 7315), whether that was believed or not; empty: nothing.
        public var callID: String
        public var sequence: UInt32
        public var accessNetworkInfo: String
        public var visitedNetworkID: String
        public var chargingID: String
        public var updated: Instant
    }
    /// Rises in the order in which identities are provisioned.
    public var place: UInt64
    public var publicIdentity: String
    /// The one that registered last.
    public var privateIdentity: String
    /// The implicit registration set without its barred members.
    public var implicitSet: [String]
    public var contacts: [Contact]
}

extension ServingCSCF {
    /// All registered identities that are not barred, in the order in which they are provisioned.
    public func registeredIdentities(at now: Instant) -> [RegisteredIdentity] {
        var found: [RegisteredIdentity] = []
        guard registrar.registeredCount > 0 else { return found }
        for subscriber in 0..<directory.count where registrar.isRegistered(subscriber) {
            for i in 0..<directory.identityCount(of: subscriber) {
                let reference = IdentityReference(subscriber: subscriber, identity: UInt16(i))
                if !directory.isBarred(reference) { found.append(registered(reference, at: now)) }
            }
        }
        return found
    }

    /// One registered identity in any spelling; nil: not registered, or nobody's.
    public func registeredIdentity(_ uri: String, at now: Instant) -> RegisteredIdentity? {
        guard let reference = reference(to: uri), registrar.isRegistered(reference.subscriber) else { return nil }
        return registered(reference, at: now)
    }

    /// Deregistration by the network (TS 24.229 §5.4.1.5).
    ///
    /// - Parameters:
    ///   - uri: one of the user's public identities, in any spelling; the whole set is deregistered.
    ///   - event: what the user is told, if it watches its registration.
    /// - Returns: false if the identity is not registered.
    public mutating func deregister(
        _ uri: String, _ event: DeregistrationEvent = .deactivated, at now: Now, into effects: inout Effects
    ) -> Bool {
        guard let reference = reference(to: uri), registrar.isRegistered(reference.subscriber) else { return false }
        deregister(reference.subscriber, event, at: now, into: &effects)
        return true
    }

    /// Forgets registrations and what is under way, but not who is provisioned; sends nothing, stores nothing.
    public mutating func reset(at now: Now) {
        registrar.reset(at: now.monotonic)
        digest.reset(secret: HashSecret(from: &random), at: now.monotonic)
        aka.reset()
        demandedProofs.removeAll()
        shortenings.removeAll()
        for index in 0..<contexts.endIndex where contexts.isInUse(index) { close(contexts.id(of: index)) }
        forgetWaiting()
        for index in 0..<thirdParty.endIndex where thirdParty.isInUse(index) { forgetThirdParty(thirdParty.id(of: index)) }
        thirdPartyKeys.removeAll()
        for index in 0..<heldAnswers.endIndex where heldAnswers.isInUse(index) { forgetHeldAnswer(heldAnswers.id(of: index)) }
        forgetSubscriptions(at: now)
        decisions.removeAll()
        relays = Relays()
        endedChains = EndedChains()
        alternatives = [:]
        pins.removeAll()
        ownRequests = [:]
        transactions.removeAll()
    }

    /// Stores what is registered now, whatever was stored before.
    public mutating func persistAll(at now: Now, into effects: inout Effects) {
        guard configuration.isPersistent, registrar.registeredCount > 0 else { return }
        for subscriber in 0..<directory.count where registrar.isRegistered(subscriber) {
            persist(subscriber, ticket: waiting.nextTicket(), at: now, into: &effects)
        }
    }

    /// Subscribers with a contact.
    public var registeredCount: Int { registrar.registeredCount }
    /// Subscriptions to registration state.
    public var subscriptionCount: Int { subscriptions.count }
    public func transactionCount(of kind: TransactionKind) -> Int { transactions.count(of: kind) }
    /// Names of the application servers, in the order of the counters.
    public var applicationServerNames: [String] { configuration.applicationServers.map(\.name) }

    func reference(to uri: String) -> IdentityReference? {
        let octets = Array(uri.utf8)
        guard let parsed = octets.span.bytes.uri(Slice(0, octets.count)) else { return nil }
        var canonical = OctetBuffer(capacity: 128)
        canonical.appendIdentity(parsed, in: octets.span.bytes)
        return directory.publicIdentity(canonical.bytes)
    }

    private func registered(_ reference: IdentityReference, at now: Instant) -> RegisteredIdentity {
        let subscriber = reference.subscriber
        var contacts: [RegisteredIdentity.Contact] = []
        registrar.forEachBinding(of: subscriber) { view in
            contacts.append(
                RegisteredIdentity.Contact(
                    uri: String(octets: view.uri), privateIdentity: privateIdentity(subscriber, view.device),
                    expires: view.expires(at: now), end: view.expiry, q: Int(view.q), path: String(octets: view.path),
                    instance: String(octets: view.instance),
                    gruu: publicGRUU(of: reference, view.instance), regID: view.regID,
                    parameters: String(octets: view.parameters), flow: view.flow, callID: String(octets: view.callID),
                    sequence: view.sequence, accessNetworkInfo: String(octets: view.accessNetworkInfo),
                    visitedNetworkID: String(octets: view.visitedNetworkID), chargingID: String(octets: view.chargingID),
                    updated: view.updated))
        }
        var set: [String] = []
        for i in 0..<directory.identityCount(of: subscriber) {
            let member = IdentityReference(subscriber: subscriber, identity: UInt16(i))
            if !directory.isBarred(member) { set.append(publicIdentity(member)) }
        }
        let latest = contacts.max { $0.updated < $1.updated }
        return RegisteredIdentity(
            place: UInt64(subscriber) << 16 | UInt64(reference.identity), publicIdentity: publicIdentity(reference),
            privateIdentity: latest?.privateIdentity ?? "", implicitSet: set, contacts: contacts)
    }

    private func publicIdentity(_ reference: IdentityReference) -> String {
        var text = OctetBuffer(capacity: 128)
        directory.appendPublicIdentity(reference, into: &text)
        return String(octets: text.bytes)
    }

    private func privateIdentity(_ subscriber: UInt32, _ device: UInt16) -> String {
        var text = OctetBuffer(capacity: 128)
        directory.appendPrivateIdentity(IdentityReference(subscriber: subscriber, identity: device), into: &text)
        return String(octets: text.bytes)
    }
}
