// Requests to one instance of a user: by a GRUU (RFC 5627 §6, TS 24.229 §5.4.7A), and over whichever of its flows works
// (RFC 5626 §7).

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    // MARK: GRUUs

    var gruus: GRUUFactory { GRUUFactory(secret: HashSecret(gruuSecret.0, gruuSecret.1)) }

    /// The identity of which a user's GRUUs are made: the one it registered by, or the first of its set that is a SIP URI
    /// and not barred.
    func identityOfGRUUs(of user: IdentityReference) -> IdentityReference? {
        if !directory.isNumber(user), !directory.isBarred(user) { return user }
        return directory.firstIdentity(of: user.subscriber, isNumber: false)
    }

    /// The public GRUU of an instance; nil: there is no instance, or no SIP URI to make one of.
    func publicGRUU(of user: IdentityReference, _ instance: RawSpan) -> String? {
        guard instance.byteCount > 0, let named = identityOfGRUUs(of: user) else { return nil }
        var gruu = OctetBuffer(capacity: 128)
        appendPublicGRUU(of: named, instance, into: &gruu)
        return String(octets: gruu.bytes)
    }

    /// The temporary GRUU that a binding's last REGISTER was answered with; those since its first hold too (RFC 5628 §5.2).
    func temporaryGRUU(of user: IdentityReference, _ binding: borrowing BindingView) -> [UInt8]? {
        guard binding.instance.byteCount > 0, let named = identityOfGRUUs(of: user) else { return nil }
        var addressOfRecord = OctetBuffer(capacity: 128)
        directory.appendPublicIdentity(named, into: &addressOfRecord)
        var gruu = OctetBuffer(capacity: 128)
        gruu.appendTemporaryGRUU(of: addressOfRecord.bytes, identity: named.identity, binding, by: gruus)
        return [UInt8](gruu.bytes)
    }

    private func appendPublicGRUU(of user: IdentityReference, _ instance: RawSpan, into bytes: inout OctetBuffer) {
        var addressOfRecord = OctetBuffer(capacity: 128)
        directory.appendPublicIdentity(user, into: &addressOfRecord)
        bytes.appendPublicGRUU(of: addressOfRecord.bytes, instance: instance)
    }

    func isGRUU(_ uri: SIPURI, in bytes: RawSpan) -> Bool {
        guard !uri.parameters.isEmpty else { return false }
        return bytes.parameter("gr", in: uri.parameters) != nil
    }

    /// Whose a Request-URI is: that of a public identity, with the parameter of a public GRUU or without, or a temporary
    /// GRUU, proved or not.
    mutating func target(of uri: SIPURI, in bytes: RawSpan) -> IdentityReference? {
        if let reference = identity(of: uri, in: bytes) { return reference }
        guard isGRUU(uri, in: bytes), uri.isSIP, bytes[uri.host].equalsIgnoringCase(configuration.domain.span.bytes),
            let gruu = gruus.temporary(bytes[uri.user]), gruu.subscriber < directory.count,
            gruu.identity < directory.identityCount(of: gruu.subscriber)
        else { return nil }
        return IdentityReference(subscriber: gruu.subscriber, identity: gruu.identity)
    }

    /// The instance that a Request-URI asks for, if it is a GRUU; nil: none of the user's contacts is of it.
    func instance(of uri: SIPURI, in bytes: RawSpan, _ subscriber: UInt32) -> [UInt8]? {
        registrar.instance(of: uri, in: bytes, subscriber: subscriber, by: gruus)
    }

    /// The identity that a request was sent to, for P-Called-Party-ID: of a GRUU, also a temporary one, the public GRUU
    /// (TS 24.229 §5.4.3.3).
    func appendCalledParty(_ context: RequestContext, _ requestURI: SIPURI?, in bytes: RawSpan, into buffer: inout OctetBuffer) {
        guard let requestURI, isGRUU(requestURI, in: bytes), let instance = instance(of: requestURI, in: bytes, context.served.subscriber)
        else { return appendServedName(context, into: &buffer) }
        appendPublicGRUU(of: context.served, instance.span.bytes, into: &buffer)
    }

    // MARK: Within a dialog

    /// A request within a dialog, whose remote target is a GRUU of ours: no criterion is asked.
    mutating func reachInstance(
        of target: IdentityReference, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, _ sender: Sender, at now: Now,
        into effects: inout Effects
    ) {
        if let shard = otherShard(of: target.subscriber) {
            return relay(nil, .terminating, sender, arrival, request, to: shard, at: now, into: &effects)
        }
        let id = open(arrival, request, sender, isTried: arrival.server.foreignShard != nil, at: now, into: &effects)
        contexts[id.index].served = target
        contexts[id.index].isRegistered = registrar.isRegistered(target.subscriber)
        reachUser(id, arrival, request, routes, at: now, into: &effects)
    }

    /// The contact to which the ACK to a 2xx goes, whose Request-URI is a GRUU of a user of this shard.
    func acknowledgementHop(_ requestURI: SIPURI, in bytes: RawSpan, _ target: IdentityReference) -> ContactHop? {
        guard let instance = instance(of: requestURI, in: bytes, target.subscriber),
            let newest = newestBinding(of: instance, target.subscriber, besides: { _ in false })
        else { return nil }
        return contactHop(newest, isSIPS: requestURI.isSIPS)
    }

    // MARK: Flows

    /// The contact of an instance that was refreshed last.
    private func newestBinding(of instance: [UInt8], _ subscriber: UInt32, besides isTried: (BindingID) -> Bool) -> BindingID? {
        var newest: BindingID?
        var updated = Instant.zero
        registrar.forEachBinding(of: subscriber) { view in
            guard view.instance.equals(instance), newest == nil || view.updated > updated, !isTried(view.id) else { return }
            newest = view.id
            updated = view.updated
        }
        return newest
    }

    /// A flow to a contact failed: its edge said so (430), our own way to it is gone, or nobody answered (408). Another flow
    /// of the same instance is tried, one at a time; a flow that is gone is no binding any more (RFC 5626 §5.3, §7).
    ///
    /// - Returns: whether another flow is being tried.
    mutating func triesAnotherFlow(
        after branch: SlotID, of id: SlotID, isGone: Bool, at now: Now, into effects: inout Effects
    ) -> Bool {
        let failed = branches[branch.index].binding
        guard let instance = instanceOfFlow(failed) else {
            // 430 is the edge's word about its flow, whatever the contact asked for.
            if isGone { flowFailed(failed, of: id, at: now, into: &effects) }
            return false
        }
        let other = newestBinding(of: instance, contexts[id.index].served.subscriber) { isTried($0, of: id) }
        if isGone { flowFailed(failed, of: id, at: now, into: &effects) }
        guard let other, !contexts[id.index].isCancelled, contexts[id.index].bestStatus < 600 else { return false }
        let added = addBranch(.contact, to: id)
        branches[added.index].binding = other
        branches[added.index].group = branches[branch.index].group
        withOriginal(of: id) { core, arrival, request, routes in
            core.sendToContact(added, id, arrival, request, routes, at: now, into: &effects)
        }
        return contexts.contains(id) ? branches[added.index].state == .sent : true
    }

    /// The instance of a binding that is a flow; nil: it is none, or gone.
    private func instanceOfFlow(_ id: BindingID) -> [UInt8]? {
        guard let view = registrar.binding(id), view.regID != nil else { return nil }
        return [UInt8](view.instance)
    }

    /// Whether our own way to a contact is all there is to it: a flow without a proxy in between.
    func isFlowOfOurs(_ id: BindingID) -> Bool {
        guard let view = registrar.binding(id), view.regID != nil else { return false }
        return view.path.byteCount == 0
    }

    private func isTried(_ binding: BindingID, of id: SlotID) -> Bool {
        var branch = contexts[id.index].firstBranch
        while !branch.isNone {
            if branches[branch.index].kind == .contact, branches[branch.index].binding == binding { return true }
            branch = branches[branch.index].next
        }
        return false
    }
}
