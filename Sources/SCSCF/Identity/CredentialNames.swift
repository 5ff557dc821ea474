// Whose private identity credentials name: as it stands, as an extended value (`username*`), or as a hash of it that only shows to
// whom the name is known (RFC 7616 §3.4, §3.4.4).

import IMSProfile
import SIPMessage
import SIPRegistrar
import SansIO

extension ServingCSCF {
    /// Whose private identity credentials name. A name without a domain stands for the one in ours.
    ///
    /// - Parameter subscriber: whose a hash can be.
    @inline(__always)
    mutating func privateIdentity(_ given: DigestParameters, of subscriber: UInt32, in bytes: RawSpan) -> IdentityReference? {
        given.isNamedPlainly(in: bytes)
            ? privateIdentity(given.username, in: bytes) : hiddenIdentity(given, of: subscriber, in: bytes)?.identity
    }

    /// What the user name adds to the hash of the password: the name itself, however it was sent (RFC 7616 §3.4.4).
    ///
    /// - Returns: false, with nothing written: the name is nobody's.
    mutating func appendHashedName(
        _ given: DigestParameters, of subscriber: UInt32, in bytes: RawSpan, into name: inout OctetBuffer
    ) -> Bool {
        guard let hidden = hiddenIdentity(given, of: subscriber, in: bytes) else { return false }
        guard given.extendedUsername.isEmpty else { return name.append(extendedValue: bytes[given.extendedUsername]) }
        var whole = OctetBuffer(capacity: 128)
        directory.appendPrivateIdentity(hidden.identity, into: &whole)
        if hidden.isWhole { name.append(whole.bytes) } else { name.append(whole.bytes.withoutDomain) }
        return true
    }

    /// - Returns: also whether the name that was hashed has its domain.
    private mutating func hiddenIdentity(
        _ given: DigestParameters, of subscriber: UInt32, in bytes: RawSpan
    ) -> (identity: IdentityReference, isWhole: Bool)? {
        guard given.extendedUsername.isEmpty else {
            scratch.removeAll()
            guard scratch.append(extendedValue: bytes[given.extendedUsername]) else { return nil }
            if scratch.bytes.firstOffset(of: 0x40) == nil {
                scratch.append(byte: 0x40)
                scratch.append(configuration.domain)
            }
            return directory.privateIdentity(scratch.bytes).map { ($0, true) }
        }
        guard let function = DigestAlgorithm(bytes[given.algorithm])?.function,
            let hash = DigestHash(hexadecimal: bytes[given.username], by: function)
        else { return nil }
        let realm = configuration.domain.span.bytes
        for number in 0..<directory.privateIdentityCount(of: subscriber) {
            let identity = IdentityReference(subscriber: subscriber, identity: UInt16(number))
            var name = OctetBuffer(capacity: 128)
            directory.appendPrivateIdentity(identity, into: &name)
            if DigestHash(username: name.bytes, realm: realm, by: function) == hash { return (identity, true) }
            if DigestHash(username: name.bytes.withoutDomain, realm: realm, by: function) == hash { return (identity, false) }
        }
        return nil
    }
}

extension DigestParameters {
    /// Whether the user name stands there as it is.
    @inline(__always)
    func isNamedPlainly(in bytes: RawSpan) -> Bool {
        extendedUsername.isEmpty && (userHash.isEmpty || !bytes[userHash].equalsIgnoringCase("true"))
    }

    var hasName: Bool { !username.isEmpty || !extendedUsername.isEmpty }
}

extension RawSpan {
    /// Of a private identity what stands before the at sign.
    fileprivate var withoutDomain: RawSpan {
        @_lifetime(copy self)
        get { part(0, firstOffset(of: 0x40) ?? byteCount) }
    }
}
