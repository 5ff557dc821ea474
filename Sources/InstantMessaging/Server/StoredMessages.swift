// Messages kept for users who were not reachable (RFC 3428 §7), and what is written of them and of registrations into
// the store: numbered tables of versioned records.

import SIPMessage
import SIPTransaction
import SansIO

/// A message that is kept.
struct KeptMessage: Hashable, Sendable {
    /// Its place in the order of arrival.
    var number: UInt64
    var recipient: Identity
    /// The values of P-Asserted-Identity.
    var originator: [UInt8]
    /// The From header without its tag.
    var from: [UInt8]
    var contentType: [UInt8]
    /// Header fields that are delivered as they came, each with its line end.
    var fields: [UInt8]
    var body: [UInt8]
    var received: WallTime
    var expiry: WallTime
    /// What the delivery is known by at the recipient: the same after a restart.
    var callID: [UInt8]
    var fromTag: [UInt8]
    var sequence: UInt32
    /// What the sender's request is known by.
    var original: DeliveryKey

    /// What it counts against the quota.
    var size: Int { originator.count + from.count + fields.count + body.count }
}

/// A kept message with what concerns this process alone.
struct StoredState: Sendable {
    var message: KeptMessage
    var user: Int
    /// The last change of its record; it may be sent once that is durable.
    var ticket: UInt64
    /// The recipient may have it, by an attempt whose answer is not known: each further one is the same request.
    var isPossiblyReceived = false
    var timer = TimerID.none
}

/// The store's tables.
enum StoreTable {
    /// By the message's number, eight octets, the highest first.
    static let messages: UInt8 = 1
    /// By the user's identity.
    static let registrations: UInt8 = 2
    /// What messages that are done with were known by at their senders, by their numbers.
    static let originals: UInt8 = 3
}

extension IMServer {
    /// The tables that the server's changes name, with what they hold.
    public static var storeTables: [UInt8: String] {
        [StoreTable.messages: "messages", StoreTable.registrations: "registrations", StoreTable.originals: "originals"]
    }
}

extension KeptMessage {
    static func key(_ number: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) } }

    static func number(_ key: [UInt8]) -> UInt64? { key.count == 8 ? key.reduce(0) { $0 << 8 | UInt64($1) } : nil }

    var record: [UInt8] {
        var writer = RecordWriter(version: 2)
        writer.append(recipient.octets)
        for part in [originator, from, contentType, fields, body, callID, fromTag] { writer.append(part) }
        for value in [UInt64(bitPattern: received.microseconds), UInt64(bitPattern: expiry.microseconds), UInt64(sequence)] {
            writer.append(value)
        }
        writer.append(original.callID)
        writer.append(original.fromTag)
        writer.append(UInt64(original.sequence))
        return writer.octets
    }

    /// nil: not a record that this version wrote or knows.
    init?(key: [UInt8], record: [UInt8]) {
        var reader = RecordReader(record)
        guard let number = KeptMessage.number(key), let version = reader.version, (1...2).contains(version),
            let recipient = reader.octets(),
            let originator = reader.octets(),
            let from = reader.octets(), let contentType = reader.octets(), let fields = reader.octets(), let body = reader.octets(),
            let callID = reader.octets(), let fromTag = reader.octets(), let received = reader.number(), let expiry = reader.number(),
            let sequence = reader.number()
        else { return nil }
        // The first version did not say by what the sender's request was known.
        var original = DeliveryKey(callID: callID, fromTag: fromTag, sequence: UInt32(truncatingIfNeeded: sequence))
        if version > 1 {
            guard let callID = reader.octets(), let fromTag = reader.octets(), let sequence = reader.number() else { return nil }
            original = DeliveryKey(callID: callID, fromTag: fromTag, sequence: UInt32(truncatingIfNeeded: sequence))
        }
        guard reader.isAtEnd else { return nil }
        self.init(
            number: number, recipient: Identity(octets: recipient), originator: originator, from: from,
            contentType: contentType, fields: fields, body: body, received: WallTime(microseconds: Int64(bitPattern: received)),
            expiry: WallTime(microseconds: Int64(bitPattern: expiry)), callID: callID, fromTag: fromTag,
            sequence: UInt32(truncatingIfNeeded: sequence), original: original)
    }
}

extension Originals.Remembered {
    var record: [UInt8] {
        var writer = RecordWriter(version: 1)
        writer.append(key.callID)
        writer.append(key.fromTag)
        writer.append(UInt64(key.sequence))
        writer.append(UInt64(bitPattern: until.microseconds))
        return writer.octets
    }

    init?(record: [UInt8]) {
        var reader = RecordReader(record)
        guard reader.version == 1, let callID = reader.octets(), let fromTag = reader.octets(), let sequence = reader.number(),
            let until = reader.number(), reader.isAtEnd
        else { return nil }
        key = DeliveryKey(callID: callID, fromTag: fromTag, sequence: UInt32(truncatingIfNeeded: sequence))
        self.until = WallTime(microseconds: Int64(bitPattern: until))
    }
}

extension Registration {
    var record: [UInt8] {
        var writer = RecordWriter(version: 1)
        for value in [
            UInt64(reachability.rawValue), UInt64(interval), UInt64(bitPattern: expiry.microseconds), hasFeatureTag ? 1 : 0,
            UInt64(aliases.count),
        ] { writer.append(value) }
        for part in [chargingIdentifier, originatingOperator, chargingFunctions] { writer.append(part) }
        for alias in aliases { writer.append(alias.octets) }
        return writer.octets
    }

    init?(record: [UInt8]) {
        var reader = RecordReader(record)
        guard reader.version == 1, let reachability = reader.number().flatMap({ Reachability(rawValue: UInt8(truncatingIfNeeded: $0)) }),
            let interval = reader.number(), let expiry = reader.number(), let hasFeatureTag = reader.number(), let count = reader.number(),
            let identifier = reader.octets(), let network = reader.octets(), let functions = reader.octets(), count <= 256
        else { return nil }
        for _ in 0..<count {
            guard let alias = reader.octets() else { return nil }
            aliases.append(Identity(octets: alias))
        }
        guard reader.isAtEnd else { return nil }
        self.reachability = reachability
        self.interval = UInt32(truncatingIfNeeded: interval)
        self.expiry = WallTime(microseconds: Int64(bitPattern: expiry))
        self.hasFeatureTag = hasFeatureTag == 1
        chargingIdentifier = identifier
        originatingOperator = network
        chargingFunctions = functions
    }
}

/// A record: its version, then numbers of eight octets and runs of octets behind their length, the highest octet first.
struct RecordWriter {
    private(set) var octets: [UInt8]

    init(version: UInt8) { octets = [version] }

    mutating func append(_ value: UInt64) {
        for shift in stride(from: 56, through: 0, by: -8) { octets.append(UInt8(truncatingIfNeeded: value >> UInt64(shift))) }
    }

    mutating func append(_ part: [UInt8]) {
        append(UInt64(part.count))
        octets += part
    }
}

struct RecordReader {
    private let record: [UInt8]
    private var position = 1

    init(_ record: [UInt8]) { self.record = record }

    var version: UInt8? { record.first }
    var isAtEnd: Bool { position == record.count }

    mutating func number() -> UInt64? {
        guard record.count - position >= 8 else { return nil }
        position += 8
        return record[(position - 8)..<position].reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func octets() -> [UInt8]? {
        guard let count = number(), count <= UInt64(record.count - position) else { return nil }
        position += Int(count)
        return Array(record[(position - Int(count))..<position])
    }
}
