// Third-party REGISTER requests that have no final answer, in the store: what was due when the process died is done when it
// starts again.
//
//   key     identity in To | space | ServerName of the criterion | of the second and later criteria of the profile that call their
//           server so: space, number from 1
//   value   version (1) | checksum (8) | registration type, twice, and whether failure ends the registration (1) | Expires (4) |
//           what stands behind Expires, P-Charging-Vector included
//
// A request is stored in the commit of the change that it tells of, in place of all that tell the same server of the user's
// earlier changes, and taken out once it has a final answer or default handling is done. After a restart it is sent with a CSeq
// that is higher than any before, and with the interval that the registration has left by then.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    private static var recordVersion: UInt8 { 1 }
    private static var restStart: Int { 14 }

    // MARK: Writing

    /// Stores planned requests with the change that has this ticket.
    mutating func persist(_ list: ThirdPartyList, ticket: UInt64, into effects: inout Effects) {
        var id = list.first
        // Those of this change are not stored yet, so none of them takes another's place.
        while !id.isNone {
            takePlace(of: thirdParty[id.index], ticket: ticket, into: &effects)
            id = thirdParty[id.index].next
        }
        id = list.first
        while !id.isNone {
            let record = thirdParty[id.index]
            thirdParty[id.index].isStored = true
            var key = OctetBuffer(capacity: 128)
            appendKey(of: record, into: &key)
            var value = OctetBuffer(capacity: 256)
            appendValue(of: record, into: &value)
            effects.store.put(table: StoreTable.thirdParty, key: key.bytes, value: value.bytes, ticket: ticket)
            id = record.next
        }
    }

    /// What the store has of earlier changes for the same user and server is out of date, whichever criteria it is of.
    private mutating func takePlace(of record: ThirdPartyRegistration, ticket: UInt64, into effects: inout Effects) {
        var index = record.older
        while index != .max {
            let earlier = thirdParty[index]
            if earlier.isStored, earlier.user == record.user, earlier.route.name == record.route.name {
                thirdParty[index].isStored = false
                var key = OctetBuffer(capacity: 128)
                appendKey(of: earlier, into: &key)
                effects.store.remove(table: StoreTable.thirdParty, key: key.bytes, ticket: ticket)
            }
            index = earlier.older
        }
    }

    /// Takes a finished request out of the store, unless a later one has taken its place.
    mutating func forgetStoredThirdParty(_ id: SlotID, into effects: inout Effects) {
        guard thirdParty[id.index].isStored else { return }
        var key = OctetBuffer(capacity: 128)
        appendKey(of: thirdParty[id.index], into: &key)
        effects.store.remove(table: StoreTable.thirdParty, key: key.bytes, ticket: waiting.nextTicket())
    }

    private func appendKey(of record: ThirdPartyRegistration, into key: inout OctetBuffer) {
        directory.appendPublicIdentity(record.user, into: &key)
        key.append(" ")
        serverNames.appendURI(record.route.name, into: &key)
        guard record.ordinal > 0 else { return }
        key.append(" ")
        key.appendDecimal(UInt64(record.ordinal))
    }

    private func appendValue(of record: ThirdPartyRegistration, into value: inout OctetBuffer) {
        value.append(byte: ServingCSCF.recordVersion)
        value.append(word: 0)
        value.append(byte: record.kind.rawValue << 1 | (record.endsRegistration ? 1 : 0))
        for shift in [24, 16, 8, 0] { value.append(byte: UInt8(truncatingIfNeeded: record.expires >> UInt32(shift))) }
        appendRest(of: record, into: &value)
        let checksum = ServingCSCF.checksum(value.bytes(from: 9, count: value.count - 9))
        var octets = InlineArray<8, UInt8>(repeating: 0)
        for i in 0..<8 { octets[i] = UInt8(truncatingIfNeeded: checksum >> UInt64(8 * i)) }
        value.overwrite(at: 1, with: octets.span.bytes)
    }

    private func appendRest(of record: ThirdPartyRegistration, into value: inout OctetBuffer) {
        guard !record.charging.isNone else { return value.append(pool.bytes(record.rest)) }
        appendChargingVector(record.charging, for: .applicationServer, into: &value)
        if record.rest.isNone { value.appendEmptyBody() } else { value.append(pool.bytes(record.rest)) }
    }

    /// Finds damage, not malice: the key is no secret.
    private static func checksum(_ octets: RawSpan) -> UInt64 {
        var hasher = KeyHasher(HashSecret(0, UInt64(recordVersion)))
        hasher.combine(octets)
        return hasher.finish().low
    }

    // MARK: Reading

    /// Sends a stored request again. Those of users whom another shard serves are passed over; one that the restored
    /// registration itself has already led to is too.
    ///
    /// - Returns: false if the record is damaged, or its user, its server or its criterion is not there any more: then it
    ///   is taken out.
    mutating func restoreThirdParty(key: RawSpan, value: RawSpan, at now: Now, into effects: inout Effects) -> Bool {
        guard let (user, name, ordinal) = subjects(of: key) else {
            // Told of once, by the first shard.
            guard place.number == 0 else { return true }
            effects.store.remove(table: StoreTable.thirdParty, key: key, ticket: waiting.nextTicket())
            return false
        }
        guard otherShard(of: user.subscriber) == nil else { return true }
        guard value.byteCount >= ServingCSCF.restStart, value[0] == ServingCSCF.recordVersion,
            value.word(at: 1) == ServingCSCF.checksum(value.part(9, value.byteCount - 9)),
            let kind = RegistrationChange.Kind(rawValue: value[9] >> 1), let route = route(to: name, ordinal, for: user)
        else {
            effects.store.remove(table: StoreTable.thirdParty, key: key, ticket: waiting.nextTicket())
            return false
        }
        var record = ThirdPartyRegistration(
            user: user, route: route, ordinal: ordinal, kind: kind, expires: 0, endsRegistration: value[9] & 1 == 1)
        guard !isUnderWay(record) else { return true }
        let wasRegistration = value.part(10, 4).holdsOtherThanZero
        if wasRegistration { record.expires = registrar.longestExpires(of: user.subscriber, at: now.monotonic) }
        guard !wasRegistration || record.expires > 0 else {
            // The user is gone by now, and who asks for that is told so.
            effects.store.remove(table: StoreTable.thirdParty, key: key, ticket: waiting.nextTicket())
            return true
        }
        record.rest = pool.store(value.part(ServingCSCF.restStart, value.byteCount - ServingCSCF.restStart))
        record.isStored = true
        let id = insertThirdParty(record)
        sendThirdParty(ThirdPartyList(first: id, last: id), at: now, into: &effects)
        return true
    }

    private func isUnderWay(_ record: ThirdPartyRegistration) -> Bool {
        var index = latestThirdParty(of: record.user.subscriber)
        while index != .max {
            if thirdParty[index].isOfSameCriterion(as: record) { return true }
            index = thirdParty[index].older
        }
        return false
    }

    private func subjects(of key: RawSpan) -> (user: IdentityReference, name: Int32, ordinal: UInt16)? {
        guard let space = key.firstOffset(of: 0x20), let user = directory.publicIdentity(key.part(0, space)) else { return nil }
        let nameEnd = key.firstOffset(of: 0x20, from: space + 1) ?? key.byteCount
        guard let name = serverNames.number(ofKnown: [UInt8](key.part(space + 1, nameEnd - space - 1))) else { return nil }
        guard nameEnd < key.byteCount else { return (user, name, 0) }
        guard let ordinal = key.decimal(Slice(nameEnd + 1, key.byteCount), maximum: UInt64(UInt16.max)) else { return nil }
        return (user, name, UInt16(truncatingIfNeeded: ordinal))
    }

    /// The criterion of the user's set that calls its server so and has this number among those of its profile that do, if its
    /// server is known.
    private func route(to name: Int32, _ ordinal: UInt16, for user: IdentityReference) -> CriterionRoute? {
        var walk = ProfileWalk()
        while let (number, _) = directory.nextProfile(of: user, &walk) {
            var left = ordinal
            for i in 0..<criteria[number].count where criteria[number][i].name == name && criteria[number][i].server >= 0 {
                if left == 0 { return criteria[number][i] }
                left -= 1
            }
        }
        return nil
    }
}

extension RawSpan {
    fileprivate var holdsOtherThanZero: Bool {
        for i in 0..<byteCount where self[i] != 0 { return true }
        return false
    }
}
