// Whose the stored bindings are. The topology may be another at the next start, and a public identity somebody else's: then a
// contact that was bound by one user must not become that of another, who has never proved to be there.
//
//   mark (1) | count of private identities (2) | a hash of each (8) | hash of the public identity registered by (8) | bindings
//
// Numbers have the highest octet first. What begins otherwise is of an older version, which did not say whose it is.

import SIPRegistrar
import SansIO

/// What a stored registration says of its owner.
struct RegistrationOwner {
    /// The identity that the last REGISTER named.
    var named: UInt16 = 0
    /// Of each private identity that had a number in the bindings, whether it has the same number now; nil: an older version, so
    /// whoever has a number is believed.
    var devices: [Bool]?
    /// Where the bindings begin.
    var end = 0

    /// No version of what the registrar writes itself begins so.
    fileprivate static let mark: UInt8 = 0xF0

    func has(_ device: UInt16, of count: Int) -> Bool {
        guard let devices else { return device < count }
        return devices.indices.contains(Int(device)) && devices[Int(device)]
    }
}

extension ServingCSCF {
    /// Writes whose the bindings are that follow.
    ///
    /// - Parameter named: the identity that the last REGISTER named.
    func appendOwner(of subscriber: UInt32, named: UInt16, into record: inout OctetBuffer) {
        let devices = directory.privateIdentityCount(of: subscriber)
        record.append(byte: RegistrationOwner.mark)
        record.append(byte: UInt8(truncatingIfNeeded: devices >> 8))
        record.append(byte: UInt8(truncatingIfNeeded: devices))
        for device in 0..<devices { record.append(number: hash(ofDevice: UInt16(device), of: subscriber)) }
        record.append(number: hash(of: IdentityReference(subscriber: subscriber, identity: named)))
    }

    /// Finds out whether stored bindings are those of the subscriber who has their public identity now.
    ///
    /// - Returns: nil: they are somebody else's, which cannot be told from damage.
    func owner(in record: RawSpan, now subscriber: UInt32) -> RegistrationOwner? {
        guard record.byteCount > 0, record[0] == RegistrationOwner.mark else { return RegistrationOwner() }
        guard record.byteCount >= 3 else { return nil }
        let count = Int(record[1]) << 8 | Int(record[2])
        let end = 3 + 8 * (count + 1)
        guard record.byteCount > end else { return nil }
        func number(_ place: Int) -> UInt64 { (place..<(place + 8)).reduce(0) { $0 << 8 | UInt64(record[$1]) } }
        let present = directory.privateIdentityCount(of: subscriber)
        let devices = (0..<count).map { $0 < present && hash(ofDevice: UInt16($0), of: subscriber) == number(3 + 8 * $0) }
        guard devices.contains(true) else { return nil }
        for i in 0..<directory.identityCount(of: subscriber) {
            let reference = IdentityReference(subscriber: subscriber, identity: UInt16(i))
            guard hash(of: reference) == number(end - 8) else { continue }
            return RegistrationOwner(named: reference.identity, devices: devices, end: end)
        }
        return nil
    }

    private func hash(ofDevice device: UInt16, of subscriber: UInt32) -> UInt64 {
        var name = OctetBuffer(capacity: 64)
        directory.appendPrivateIdentity(IdentityReference(subscriber: subscriber, identity: device), into: &name)
        return hash(of: name.bytes)
    }

    private func hash(of identity: IdentityReference) -> UInt64 {
        var name = OctetBuffer(capacity: 64)
        directory.appendPublicIdentity(identity, into: &name)
        return hash(of: name.bytes)
    }

    /// The same in every process: it outlives this one.
    private func hash(of name: RawSpan) -> UInt64 {
        var hasher = KeyHasher(HashSecret(0, 0x6F77_6E65_72))
        hasher.combine(name)
        return hasher.finish().low
    }
}

extension OctetBuffer {
    fileprivate mutating func append(number: UInt64) { append(InlineArray<1, UInt64>(repeating: number.bigEndian).span.bytes) }
}
