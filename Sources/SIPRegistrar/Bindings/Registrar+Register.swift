// A REGISTER against what is bound: which bindings its contacts name, whether all of it may be done, and doing it
// (RFC 3261 §10.3 steps 6 to 8). Nothing is touched before everything is known to be right.

public import SIPMessage
public import SansIO

extension Registrar {
    /// Changes a subscriber's contacts as a REGISTER asks, all of it or nothing.
    ///
    /// - Parameters:
    ///   - essentials: of this request.
    ///   - subscriber: the subscriber whose contacts it changes; the caller has authorised that, and knows the subscriber's addresses
    ///     other than the one in To, none of which may be a contact.
    ///   - device: the number of the private identity that sent it.
    ///   - flow: the one that it came on.
    ///   - believesEdge: whether it may say of the access what only the network knows.
    ///   - isChecked: whether no contact leads back to the user, as the caller knows. If not, that is asked for where one might.
    public mutating func register(
        _ message: borrowing Message, _ essentials: Essentials, subscriber: UInt32, device: UInt16, over flow: Flow,
        believesEdge: Bool = true, isChecked: Bool = true, at now: Now
    ) -> RegistrationOutcome {
        guard message.has(.contact) else { return .fetched }
        let registration = Registration(
            subscriber: subscriber, device: device, flow: flow, sequence: essentials.sequence, now: now.monotonic)
        do throws(RegistrationRefusal) {
            try request.read(message, essentials, settings, believesEdge: believesEdge)
            guard isChecked || !request.mayLeadBack else { return .unchecked }
            findBindings(of: registration, message.bytes)
            try checkOrder(registration)
            try checkPresence()
            guard changesAnything(registration) else { return .fetched }
            let replacesOthers = replacesOtherContacts
            try checkRoom(registration, replacesOthers: replacesOthers)
            try checkSize(registration, replacesOthers: replacesOthers)
            return .changed(apply(registration, replacesOthers: replacesOthers))
        } catch {
            return .rejected(error)
        }
    }

    /// What one REGISTER has for all its contacts.
    struct Registration: BitwiseCopyable {
        var subscriber: UInt32
        var device: UInt16
        var flow: Flow
        var sequence: UInt32
        var now: Instant
    }

    // MARK: Which bindings are meant

    /// Finds the binding of each contact. When several contacts name the same, the last one counts.
    private mutating func findBindings(of registration: Registration, _ bytes: RawSpan) {
        for i in request.contacts.indices {
            let found = binding(namedBy: i, registration, bytes)
            request.contacts[i].binding = found
            if found != .max {
                let isMoved = !hasURI(ofContact: i, found)
                request.contacts[i].isBound = bindings[found].isLive(at: registration.now)
                request.contacts[i].isMoved = isMoved
            }
            for earlier in 0..<i where request.contacts[earlier].binding == found {
                let isSame = found != .max || self.contact(i, isSameAs: earlier, bytes)
                if isSame { request.contacts[earlier].isSuperseded = true }
            }
        }
    }

    /// The slot of the binding that a contact names; `.max`: none.
    private func binding(namedBy i: Int, _ registration: Registration, _ bytes: RawSpan) -> UInt32 {
        let contact = request.contacts[i]
        let own = request.octets(of: i)
        var best = ContactMatch.none
        var found: UInt32 = .max
        var index = first[registration.subscriber]
        while index != .max, best != .full {
            let binding = bindings[index]
            if isInReach(binding, of: registration.device) {
                let match = contact.match(in: bytes, own, binding.text, pool.bytes(binding.octets))
                if match > best {
                    best = match
                    found = index
                }
            }
            index = binding.next
        }
        return found
    }

    /// In IMS each private identity has contacts of its own (TS 24.229 §5.4.1.2.2).
    private func isInReach(_ binding: Binding, of device: UInt16) -> Bool {
        settings.profile == .rfc3261 || binding.device == device
    }

    /// Whether a contact and a binding have the same URI to the letter.
    private func hasURI(ofContact i: Int, _ index: UInt32) -> Bool {
        let stored = pool.bytes(bindings[index].octets)[bindings[index].text.uriSlice]
        return request.octets(of: i)[request.contacts[i].text.uriSlice].equals(stored)
    }

    private func contact(_ i: Int, isSameAs earlier: Int, _ bytes: RawSpan) -> Bool {
        request.contacts[i].match(in: bytes, request.octets(of: i), request.contacts[earlier].text, request.octets(of: earlier)) != .none
    }

    // MARK: Whether it may be done

    /// A binding is not changed by a REGISTER older than the one that made it, nor does another contact take its place.
    private func checkOrder(_ registration: Registration) throws(RegistrationRefusal) {
        if request.scope == .allOfDevice || replacesOtherContacts {
            var index = first[registration.subscriber]
            while index != .max {
                let binding = bindings[index]
                if isInReach(binding, of: registration.device) { try checkOrder(binding, registration) }
                index = binding.next
            }
        }
        for contact in request.contacts where contact.isBound { try checkOrder(bindings[contact.binding], registration) }
    }

    private func checkOrder(_ binding: Binding, _ registration: Registration) throws(RegistrationRefusal) {
        guard binding.isLive(at: registration.now), registration.sequence <= binding.sequence else { return }
        guard !pool.bytes(binding.octets)[binding.text.callIDSlice].equals(request.callID) else {
            throw RegistrationRefusal(500, .cseq, .outOfOrder)
        }
    }

    /// A deregistration must name contacts that are there (TS 24.229 §5.4.1.4.1). Beside contacts to be registered one
    /// that is gone already does no harm.
    private func checkPresence() throws(RegistrationRefusal) {
        guard settings.profile == .ims, request.isDeregistration else { return }
        for contact in request.contacts where !contact.isBound { throw RegistrationRefusal(481, .contact, .unknownContact) }
    }

    private func changesAnything(_ registration: Registration) -> Bool {
        for contact in request.contacts where contact.interval > 0 || contact.isBound { return true }
        guard request.scope == .allOfDevice else { return false }
        var index = first[registration.subscriber]
        while index != .max {
            if isInReach(bindings[index], of: registration.device), bindings[index].isLive(at: registration.now) { return true }
            index = bindings[index].next
        }
        return false
    }

    /// Without reg-id a private identity's new contact address takes the place of its old ones (TS 24.229 §5.4.1.2.2
    /// step 4A); those that come in one REGISTER stay together.
    private var replacesOtherContacts: Bool {
        guard settings.profile == .ims else { return false }
        for contact in request.contacts
        where contact.interval > 0 && contact.text.regID == 0 && !contact.isSuperseded && (!contact.isBound || contact.isMoved) {
            return true
        }
        return false
    }

    private func checkRoom(_ registration: Registration, replacesOthers: Bool) throws(RegistrationRefusal) {
        var added = 0
        for contact in request.contacts where contact.interval > 0 && contact.binding == .max && !contact.isSuperseded { added += 1 }
        guard added > 0 else { return }
        guard bindings.count + added <= settings.maximumBindings else { throw RegistrationRefusal(503, nil, .tooManyBindings) }
        var kept = 0
        var index = first[registration.subscriber]
        while index != .max {
            if !isDropped(index, registration, replacesOthers: replacesOthers) { kept += 1 }
            index = bindings[index].next
        }
        guard kept + added <= settings.maximumContacts else { throw RegistrationRefusal(403, .contact, .tooManyContacts) }
    }

    /// All contacts of a subscriber have to fit into one answer. Short ones always do.
    private func checkSize(_ registration: Registration, replacesOthers: Bool) throws(RegistrationRefusal) {
        guard request.octetCount > RegistrarSettings.shortRequest else { return }
        var total = 0
        for contact in request.contacts where contact.interval > 0 && !contact.isSuperseded { total += contact.text.total }
        var index = first[registration.subscriber]
        while index != .max {
            let isKept = !isDropped(index, registration, replacesOthers: replacesOthers)
            if isKept, !request.contacts.contains(where: { $0.binding == index }) { total += bindings[index].text.total }
            index = bindings[index].next
        }
        guard total <= RegistrarSettings.maximumTotalSize else { throw RegistrationRefusal(403, .contact, .tooManyContacts) }
    }

    /// Whether the request takes this binding away.
    private func isDropped(_ index: UInt32, _ registration: Registration, replacesOthers: Bool) -> Bool {
        for contact in request.contacts where contact.binding == index && !contact.isSuperseded { return contact.interval == 0 }
        guard replacesOthers || request.scope == .allOfDevice else { return false }
        return isInReach(bindings[index], of: registration.device)
    }

    // MARK: Doing it

    private mutating func apply(_ registration: Registration, replacesOthers: Bool) -> RegistrationChange {
        let subscriber = registration.subscriber
        var change = RegistrationChange(
            kind: kind(of: registration), added: 0, refreshed: 0, removed: 0, grantedExpires: 0, longestExpires: 0, isRegistered: false,
            usesOutbound: false, token: beginChange(of: subscriber))
        if settings.listsRemoved { listRemoved(by: registration) }
        var index = first[subscriber]
        while index != .max {
            let next = bindings[index].next
            if isDropped(index, registration, replacesOthers: replacesOthers) {
                if bindings[index].isLive(at: registration.now) { change.removed += 1 }
                remove(index)
            }
            index = next
        }
        for contact in request.contacts where contact.interval > 0 && !contact.isSuperseded {
            change.grantedExpires = max(change.grantedExpires, contact.interval)
            if contact.text.regID > 0 { change.usesOutbound = true }
            if contact.isBound { change.refreshed += 1 } else { change.added += 1 }
            if contact.binding == .max { add(contact, registration) } else { refresh(contact, registration) }
        }
        change.longestExpires = longestExpires(of: subscriber, at: registration.now)
        change.isRegistered = isRegistered(subscriber)
        return change
    }

    /// Notes the live contacts that the request asks to be gone: those that it names with an interval of zero, or all. One that
    /// another takes the place of is none of them.
    private mutating func listRemoved(by registration: Registration) {
        var list = OctetBuffer(capacity: 0)
        swap(&list, &removedContacts)
        list.removeAll()
        var index = first[registration.subscriber]
        while index != .max {
            if bindings[index].isLive(at: registration.now), isDropped(index, registration, replacesOthers: false) {
                list.appendContact(view(index), expires: 0)
                list.append("\r\n")
            }
            index = bindings[index].next
        }
        swap(&list, &removedContacts)
    }

    private func kind(of registration: Registration) -> RegistrationChange.Kind {
        if request.isDeregistration { return .deregistration }
        var index = first[registration.subscriber]
        while index != .max {
            if bindings[index].isLive(at: registration.now) { return .reregistration }
            index = bindings[index].next
        }
        return .initial
    }

    private mutating func add(_ contact: RequestedContact, _ registration: Registration) {
        let octets = request.store(contact, in: &pool)
        insert(
            Binding(
                subscriber: registration.subscriber, sequence: registration.sequence, firstSequence: registration.sequence,
                expiry: registration.now + .seconds(Int(contact.interval)), updated: registration.now, flow: registration.flow,
                device: registration.device, text: contact.text, octets: octets))
    }

    private mutating func refresh(_ contact: RequestedContact, _ registration: Registration) {
        let index = contact.binding
        setExpiry(of: index, to: registration.now + .seconds(Int(contact.interval)))
        setFlow(of: index, to: registration.flow)
        bindings[index].updated = registration.now
        bindings[index].sequence = registration.sequence
        bindings[index].device = registration.device
        if !contact.isBound { bindings[index].firstSequence = registration.sequence }
        let old = bindings[index].octets
        if bindings[index].text != contact.text || !request.isStored(contact, under: old, in: pool) {
            if !pool.bytes(old)[bindings[index].text.callIDSlice].equals(request.callID) {
                bindings[index].firstSequence = registration.sequence
            }
            bindings[index].octets = request.store(contact, in: &pool)
            bindings[index].text = contact.text
            pool.release(old)
        }
    }
}

/// How surely a contact names a binding.
enum ContactMatch: UInt8, Comparable {
    /// Not at all; by its URI only, while one of the two tells an instance; by what identifies it.
    case none, byURIOnly, full

    static func < (a: ContactMatch, b: ContactMatch) -> Bool { a.rawValue < b.rawValue }
}

extension RequestedContact {
    /// Whether this contact names a binding (or another contact) with this text. A flow is named by instance and reg-id
    /// (RFC 5626 §6), an instance by itself, anything else by its URI (RFC 3261 §10.3 step 7).
    ///
    /// - Parameters:
    ///   - bytes: the request's.
    ///   - own: this contact's kept octets.
    func match(in bytes: RawSpan, _ own: RawSpan, _ otherText: ContactText, _ other: RawSpan) -> ContactMatch {
        let hasSameInstance =
            text.instanceCount > 0 && own[text.instanceSlice].equals(other[otherText.instanceSlice])
        if text.regID > 0 { return hasSameInstance && text.regID == otherText.regID ? .full : .none }
        if text.instanceCount > 0, otherText.instanceCount > 0 { return hasSameInstance && otherText.regID == 0 ? .full : .none }
        guard isSameURI(in: bytes, otherText, other) else { return .none }
        return text.instanceCount == otherText.instanceCount ? .full : .byURIOnly
    }

    private func isSameURI(in bytes: RawSpan, _ otherText: ContactText, _ other: RawSpan) -> Bool {
        if bytes[uri.all].equals(other[otherText.uriSlice]) { return true }
        guard let otherURI = other.uri(otherText.uriSlice) else { return false }
        return bytes.isEquivalent(uri, to: otherURI, in: other)
    }
}
