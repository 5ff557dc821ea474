// A subscription as a run of octets for the database. Times are on the wall clock, because no other outlives the process.
//
//   version (1) | checksum (8) | numbers | lengths | watched identity, text
//
// The key is our tag in hexadecimal, and behind it, of a further subscription in its dialog, the number of the usage. Numbers
// have the lowest octet first. Any octets may be read: what is not a sound record of a version known here is refused.

import SIPMessage
import SansIO

struct SubscriptionRecord: ~Escapable {
    static let recordVersion: UInt8 = 1
    private static let coveredStart = 9
    /// Words before the text.
    private static let words = 9

    var tag: UInt64
    var usage: UInt64 = 0
    var expiry: WallTime
    var limit: UInt32
    var remoteSequence: UInt32
    var isSecure: Bool
    var isForServer: Bool
    var flow: Flow
    var text: DialogText
    /// The identity that is watched, canonical.
    let watched: RawSpan
    let octets: RawSpan

    /// Reads a record; nil: it is damaged, or of another version.
    @_lifetime(copy record)
    init?(_ record: RawSpan, key: RawSpan) {
        let start = SubscriptionRecord.coveredStart
        let textStart = start + 8 * SubscriptionRecord.words
        guard key.byteCount == 16 || key.byteCount == 32, let high = key.hexadecimalWord(at: 0), let low = key.hexadecimalWord(at: 8),
            record.byteCount >= textStart, record[0] == SubscriptionRecord.recordVersion,
            record.word(at: 1) == SubscriptionRecord.checksum(record.part(start, record.byteCount - start))
        else { return nil }
        var words = InlineArray<9, UInt64>(repeating: 0)
        for i in 0..<SubscriptionRecord.words { words[i] = record.word(at: start + 8 * i) }
        let (flags, some, others) = (words[3], words[7], words[8])
        guard let transport = Transport(rawValue: UInt8(truncatingIfNeeded: flags)), words[1] < 1 << 31 else { return nil }
        let text = DialogText(
            callID: some.quarter(0), remote: some.quarter(1), local: some.quarter(2), target: some.quarter(3),
            routes: others.quarter(0), eventID: others.quarter(1))
        let watchedLength = Int(others.quarter(2))
        guard record.byteCount == textStart + watchedLength + text.total, text.callID > 0, text.target > 0, text.total <= DialogText.limit
        else { return nil }
        let isIPv6 = flags >> 16 & 1 == 1
        let address = isIPv6 ? IPAddress(high: words[5], low: words[6]) : IPAddress(v4: UInt32(truncatingIfNeeded: words[6]))
        tag = UInt64(high) << 32 | UInt64(low)
        if key.byteCount == 32 {
            guard let high = key.hexadecimalWord(at: 16), let low = key.hexadecimalWord(at: 24) else { return nil }
            usage = UInt64(high) << 32 | UInt64(low)
        }
        expiry = WallTime(microseconds: Int64(bitPattern: words[0]))
        limit = UInt32(truncatingIfNeeded: words[1])
        remoteSequence = UInt32(truncatingIfNeeded: words[2])
        isSecure = flags >> 17 & 1 == 1
        isForServer = flags >> 18 & 1 == 1
        flow = Flow(
            transport: transport, listener: UInt8(truncatingIfNeeded: flags >> 8),
            remote: Endpoint(address: address, port: UInt16(truncatingIfNeeded: words[4])))
        self.text = text
        watched = record.part(textStart, watchedLength)
        octets = record.part(textStart + watchedLength, text.total)
    }

    /// Finds damage, not malice: the key is no secret.
    static func checksum(_ octets: RawSpan) -> UInt64 {
        var hasher = KeyHasher(HashSecret(0, UInt64(recordVersion)))
        hasher.combine(octets)
        return hasher.finish().low
    }
}

extension ServingCSCF {
    func key(of subscription: Subscription) -> [UInt8] {
        var key = OctetBuffer(capacity: 64)
        key.appendHex(subscription.tag)
        if subscription.usage != 0 { key.appendHex(subscription.usage) }
        return [UInt8](key.bytes)
    }

    /// - Parameter limit: the first number that is not set aside.
    func appendRecord(of subscription: Subscription, limit: UInt32, at now: Now, into record: inout OctetBuffer) {
        var watched = OctetBuffer(capacity: 128)
        directory.appendPublicIdentity(subscription.watched, into: &watched)
        let dialog = subscription.dialog
        let (address, text) = (dialog.flow.remote.address, dialog.text)
        var covered = OctetBuffer(capacity: 1024)
        covered.append(word: UInt64(bitPattern: (now.wall + (dialog.expiry - now.monotonic)).microseconds))
        covered.append(word: UInt64(limit))
        covered.append(word: UInt64(dialog.remoteSequence))
        covered.append(
            word: UInt64(dialog.flow.transport.rawValue) | UInt64(dialog.flow.listener) << 8 | (address.isIPv6 ? 1 << 16 : 0)
                | (subscription.isSecure ? 1 << 17 : 0) | (subscription.isForServer ? 1 << 18 : 0))
        covered.append(word: UInt64(dialog.flow.remote.port))
        covered.append(word: address.high)
        covered.append(word: address.low)
        covered.append(lengths: text.callID, text.remote, text.local, text.target)
        covered.append(lengths: text.routes, text.eventID, UInt16(watched.count), 0)
        covered.append(watched.bytes)
        covered.append(pool.bytes(dialog.octets))
        record.append(byte: SubscriptionRecord.recordVersion)
        record.append(word: SubscriptionRecord.checksum(covered.bytes))
        record.append(covered.bytes)
    }
}

extension UInt64 {
    /// Sixteen of its bits, from the lowest on.
    fileprivate func quarter(_ i: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: self >> (16 * i)) }
}

extension OctetBuffer {
    fileprivate mutating func append(lengths a: UInt16, _ b: UInt16, _ c: UInt16, _ d: UInt16) {
        append(word: UInt64(a) | UInt64(b) << 16 | UInt64(c) << 32 | UInt64(d) << 48)
    }
}
