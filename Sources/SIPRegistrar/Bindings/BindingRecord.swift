// A subscriber's bindings as one run of octets, for a database. Times are on the wall clock, because no other outlives
// the process.
//
//   version (1) | checksum (8) | count (1) | for each binding: numbers, lengths, text
//
// Numbers are in the order of the network. Any octets may be given to `restore`: what is not a sound record of a version
// known here is refused. Version 1 had no CSeq of the first REGISTER: the one of the last is taken.

import SIPMessage
public import SansIO

extension Registrar {
    private static var recordVersion: UInt8 { 2 }
    /// Where the checksum, and what it covers, begin.
    private static var checksumStart: Int { 1 }
    private static var coveredStart: Int { 9 }

    /// Writes a subscriber's bindings; of one that has none, a record without any.
    public func encode(_ subscriber: UInt32, at now: Now, into buffer: inout OctetBuffer) {
        let start = buffer.count
        buffer.append(byte: Registrar.recordVersion)
        buffer.appendNumber(0 as UInt64)
        var count = 0
        var index = first[subscriber]
        while index != .max {
            count += 1
            index = bindings[index].next
        }
        buffer.appendNumber(UInt8(truncatingIfNeeded: count))
        index = first[subscriber]
        while index != .max {
            let binding = bindings[index]
            buffer.append(binding, at: now)
            buffer.append(pool.bytes(binding.octets))
            index = binding.next
        }
        Registrar.seal(&buffer, from: start)
    }

    /// The record of a subscriber without bindings.
    public static func emptyRecord() -> [UInt8] {
        var buffer = OctetBuffer(capacity: 16)
        buffer.append(byte: recordVersion)
        buffer.appendNumber(0 as UInt64)
        buffer.appendNumber(0 as UInt8)
        seal(&buffer, from: 0)
        return [UInt8](buffer.bytes)
    }

    /// Writes the checksum of a record.
    private static func seal(_ buffer: inout OctetBuffer, from start: Int) {
        let covered = start + coveredStart
        let checksum = checksum(buffer.bytes(from: covered, count: buffer.count - covered), version: recordVersion)
        buffer.overwrite(at: start + checksumStart, withNumber: checksum)
    }

    /// Puts stored bindings in place of what the subscriber has. A stream's connection is void, so its bindings are reached by
    /// their Contact URI.
    ///
    /// None lasts longer than was granted, whatever the wall clock says by now.
    /// - Parameter isKnown: whether a private identity still has its number; bindings of others are dropped.
    /// - Returns: nil, with nothing changed: the record is damaged, or of another version.
    public mutating func restore(
        _ record: RawSpan, of subscriber: UInt32, at now: Now, devices isKnown: (UInt16) -> Bool
    ) -> RestoredBindings? {
        guard isSound(record) else { return nil }
        removeList(of: subscriber)
        var restored = RestoredBindings()
        var cursor = RecordCursor(position: Registrar.coveredStart + 1, version: record[0])
        while let stored = cursor.nextBinding(in: record) {
            guard isKnown(stored.binding.device) else {
                restored.dropped += 1
                continue
            }
            let granted = min(stored.expiry - stored.updated, .seconds(Int(settings.maximumExpires)))
            let left = max(min(stored.expiry - now.wall, granted), .zero)
            var binding = stored.binding
            binding.subscriber = subscriber
            binding.expiry = now.monotonic + left
            binding.updated = now.monotonic + min(stored.updated - now.wall, .zero)
            binding.octets = pool.store(record[stored.text])
            insert(binding)
            if left == .zero { restored.overdue.append(BindingID(bindings.id(of: lastBinding(of: subscriber)))) }
        }
        return restored
    }

    /// Ends a binding whose time is over.
    ///
    /// - Returns: nil: it is gone already, or has been refreshed.
    public mutating func expire(_ id: BindingID, at now: Instant) -> ExpiredBinding? {
        guard bindings.contains(id.slot), bindings[id.slot.index].expiry <= now else { return nil }
        return end(id.slot.index)
    }

    private func isSound(_ record: RawSpan) -> Bool {
        guard record.byteCount > Registrar.coveredStart, (1...Registrar.recordVersion).contains(record[0]) else { return false }
        var cursor = RecordCursor(position: Registrar.checksumStart, version: record[0])
        let covered = record.part(Registrar.coveredStart, record.byteCount - Registrar.coveredStart)
        guard cursor.number(in: record, octets: 8) == Registrar.checksum(covered, version: record[0]),
            let count = cursor.number(in: record, octets: 1)
        else { return false }
        for _ in 0..<count where cursor.nextBinding(in: record) == nil { return false }
        return cursor.position == record.byteCount
    }

    /// Finds damage, not malice: the key is no secret.
    private static func checksum(_ octets: RawSpan, version: UInt8) -> UInt64 {
        var hasher = KeyHasher(HashSecret(0, UInt64(version)))
        hasher.combine(octets)
        return hasher.finish().low
    }
}

/// What came of stored bindings.
public struct RestoredBindings: Sendable {
    /// Those of private identities that are no more.
    public var dropped = 0
    /// Those that are bound and whose time is over: they are to be ended by `expire`.
    public var overdue: [BindingID] = []
}

/// A place in a record.
struct RecordCursor {
    var position: Int
    let version: UInt8

    struct StoredBinding {
        var binding: Binding
        var expiry: WallTime
        var updated: WallTime
        var text: Slice
    }

    mutating func number(in record: RawSpan, octets: Int) -> UInt64? {
        guard record.byteCount - position >= octets else { return nil }
        var value: UInt64 = 0
        for _ in 0..<octets {
            value = value << 8 | UInt64(record[position])
            position += 1
        }
        return value
    }

    /// The next binding; nil: the record ends here, or it is not one.
    mutating func nextBinding(in record: RawSpan) -> StoredBinding? {
        guard let expiry = time(in: record), let updated = time(in: record), let device: UInt16 = value(in: record),
            let sequence: UInt32 = value(in: record), let firstSequence = version < 2 ? sequence : value(in: record),
            let flow = flow(in: record), let text = contactText(in: record)
        else { return nil }
        let slice = Slice(position, position + text.total)
        guard record.byteCount - position >= text.total, text.isSound else { return nil }
        guard record[slice].uri(text.uriSlice) != nil else { return nil }
        position += text.total
        let binding = Binding(
            subscriber: 0, sequence: sequence, firstSequence: firstSequence, expiry: .zero, updated: .zero, flow: flow, device: device,
            text: text)
        return StoredBinding(binding: binding, expiry: expiry, updated: updated, text: slice)
    }

    private mutating func value<Value: FixedWidthInteger & UnsignedInteger>(in record: RawSpan) -> Value? {
        number(in: record, octets: Value.bitWidth / 8).map { Value(truncatingIfNeeded: $0) }
    }

    private mutating func time(in record: RawSpan) -> WallTime? {
        number(in: record, octets: 8).map { WallTime(microseconds: Int64(bitPattern: $0)) }
    }

    private mutating func flow(in record: RawSpan) -> Flow? {
        guard let transportNumber: UInt8 = value(in: record), let transport = Transport(rawValue: transportNumber),
            let listener: UInt8 = value(in: record), let family: UInt8 = value(in: record), family == 4 || family == 6,
            let high: UInt64 = value(in: record), let low: UInt64 = value(in: record), let port: UInt16 = value(in: record)
        else { return nil }
        let address = family == 6 ? IPAddress(high: high, low: low) : IPAddress(v4: UInt32(truncatingIfNeeded: low))
        return Flow(transport: transport, listener: listener, remote: Endpoint(address: address, port: port))
    }

    private mutating func contactText(in record: RawSpan) -> ContactText? {
        guard let callID: UInt16 = value(in: record), let path: UInt16 = value(in: record),
            let accessNetwork: UInt16 = value(in: record), let visitedNetwork: UInt16 = value(in: record),
            let chargingID: UInt16 = value(in: record), let uri: UInt16 = value(in: record), let parameters: UInt16 = value(in: record),
            let instanceStart: UInt16 = value(in: record), let instanceCount: UInt16 = value(in: record),
            let q: UInt16 = value(in: record), let regID: UInt32 = value(in: record)
        else { return nil }
        return ContactText(
            callID: callID, path: path, accessNetwork: accessNetwork, visitedNetwork: visitedNetwork, chargingID: chargingID, uri: uri,
            parameters: parameters, instanceStart: instanceStart, instanceCount: instanceCount, q: q, regID: regID)
    }
}

extension OctetBuffer {
    fileprivate mutating func append(_ binding: Binding, at now: Now) {
        appendNumber((now.wall + (binding.expiry - now.monotonic)).microseconds)
        appendNumber((now.wall + (binding.updated - now.monotonic)).microseconds)
        appendNumber(binding.device)
        appendNumber(binding.sequence)
        appendNumber(binding.firstSequence)
        let address = binding.flow.remote.address
        appendNumber(binding.flow.transport.rawValue)
        appendNumber(binding.flow.listener)
        appendNumber(address.isIPv6 ? 6 as UInt8 : 4)
        appendNumber(address.high)
        appendNumber(address.low)
        appendNumber(binding.flow.remote.port)
        let text = binding.text
        appendNumber(text.callID)
        appendNumber(text.path)
        appendNumber(text.accessNetwork)
        appendNumber(text.visitedNetwork)
        appendNumber(text.chargingID)
        appendNumber(text.uri)
        appendNumber(text.parameters)
        appendNumber(text.instanceStart)
        appendNumber(text.instanceCount)
        appendNumber(text.q)
        appendNumber(text.regID)
    }

    /// The octets of a number, the highest first.
    fileprivate mutating func appendNumber<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        append(InlineArray<1, Value>(repeating: value.bigEndian).span.bytes)
    }

    fileprivate mutating func overwrite(at start: Int, withNumber value: UInt64) {
        overwrite(at: start, with: InlineArray<1, UInt64>(repeating: value.bigEndian).span.bytes)
    }
}
