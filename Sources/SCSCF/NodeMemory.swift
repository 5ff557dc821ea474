// What a node with a database remembers of itself, beside its users: what must be the same after a restart, or must not come
// twice.
//
//   gruu            the secret of temporary GRUUs, the same for all shards: they outlive the process, as their bindings do
//   third-party N   of shard N: what stands in the Call-IDs of its third-party REGISTER requests, and a CSeq that is
//                   higher than any it has used (RFC 3261 §10.2). It is stored in steps, well before it is reached.

import SIPMessage
import SIPRegistrar
public import SansIO

/// The numbers of a shard's third-party REGISTER requests.
struct ThirdPartyNumbers: BitwiseCopyable {
    /// Tells the Call-IDs of this node from those of another, or without a database of an earlier run.
    var session: UInt64
    /// The last CSeq.
    var sequence: UInt32 = 0
    /// No CSeq from here on is used before a higher one is stored.
    var reserved: UInt32 = 0
}

extension ServingCSCF {
    private static var sequenceStep: UInt32 { 65_536 }
    private static var gruuKey: StaticString { "gruu" }

    /// Takes back a record of the table `StoreTable.node`. Records of other shards are passed over.
    ///
    /// - Returns: false if it is damaged.
    mutating func restoreNode(key: RawSpan, value: RawSpan) -> Bool {
        if key.equals(ServingCSCF.gruuKey) {
            guard value.byteCount == 16 else { return place.number != 0 }
            gruuSecret = (value.word(at: 0), value.word(at: 8))
            isGRUUSecretStored = true
            return true
        }
        var own = OctetBuffer(capacity: 32)
        appendNumbersKey(into: &own)
        guard key.equals(own.bytes) else { return true }
        guard value.byteCount == 12 else { return false }
        thirdPartyNumbers.session = value.word(at: 0)
        let reserved = UInt32(truncatingIfNeeded: value.shortWord(from: 8, to: 12)) & 0x7FFF_FFFF
        thirdPartyNumbers.sequence = reserved
        thirdPartyNumbers.reserved = reserved
        return true
    }

    /// Stores what the database does not hold yet, or not in its place, and ends what is overdue; after all is restored, before all
    /// else.
    public mutating func begin(at now: Now, into effects: inout Effects) {
        guard configuration.isPersistent else { return }
        storeUnderOwnKeys(at: now, into: &effects)
        if !isGRUUSecretStored, place.number == 0 {
            var key = OctetBuffer(capacity: 16)
            key.append(ServingCSCF.gruuKey)
            var value = OctetBuffer(capacity: 16)
            value.append(word: gruuSecret.0)
            value.append(word: gruuSecret.1)
            effects.store.put(table: StoreTable.node, key: key.bytes, value: value.bytes, ticket: waiting.nextTicket())
        }
        reserveThirdPartyNumbers(into: &effects)
        expireOverdue(at: now, into: &effects)
    }

    /// The next CSeq: of two requests to one server the later has the higher one, over restarts too.
    mutating func nextThirdPartySequence(into effects: inout Effects) -> UInt32 {
        let sequence = thirdPartyNumbers.sequence == 0x7FFF_FFFF ? 1 : thirdPartyNumbers.sequence + 1
        thirdPartyNumbers.sequence = sequence
        if configuration.isPersistent, (thirdPartyNumbers.reserved &- sequence) & 0x7FFF_FFFF < ServingCSCF.sequenceStep / 2 {
            reserveThirdPartyNumbers(into: &effects)
        }
        return sequence
    }

    private mutating func reserveThirdPartyNumbers(into effects: inout Effects) {
        thirdPartyNumbers.reserved = (thirdPartyNumbers.sequence &+ ServingCSCF.sequenceStep) & 0x7FFF_FFFF
        var key = OctetBuffer(capacity: 32)
        appendNumbersKey(into: &key)
        var value = OctetBuffer(capacity: 16)
        value.append(word: thirdPartyNumbers.session)
        for shift in [0, 8, 16, 24] { value.append(byte: UInt8(truncatingIfNeeded: thirdPartyNumbers.reserved >> UInt32(shift))) }
        effects.store.put(table: StoreTable.node, key: key.bytes, value: value.bytes, ticket: waiting.nextTicket())
    }

    private func appendNumbersKey(into key: inout OctetBuffer) {
        key.append("third-party ")
        key.appendDecimal(UInt64(place.number))
    }
}
