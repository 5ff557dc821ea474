// Lists of addresses: the identities of RFC 3325 and RFC 7315, and the routes of RFC 3261 §20.34, RFC 3327 and RFC 3608.

import SansIO

/// What P-Asserted-Identity or P-Preferred-Identity says: one identity of a kind at most (RFC 3325 §9.1, §9.2).
public struct NetworkIdentities: BitwiseCopyable, Sendable {
    /// The SIP or SIPS URI.
    public var sip: NameAddress?
    /// The tel URI.
    public var tel: NameAddress?
}

/// P-Served-User (RFC 5502 §6, RFC 8498 §4): on whose behalf an application server gets a request.
public struct ServedUser: BitwiseCopyable, Sendable {
    public enum SessionCase: UInt8, BitwiseCopyable, Sendable { case originating, terminating }

    public var address: NameAddress
    /// `sescase`; nil: not given.
    public var sessionCase: SessionCase?
    /// `regstate`; nil: not given.
    public var isRegistered: Bool?
    /// `orig-cdiv`: originating after the user has diverted a session.
    public var isAfterDiversion = false
}

extension Message {
    /// Calls `body` with each address of a list header, over all its lines and commas, in order, until it returns false.
    ///
    /// - Returns: false if a value is no address; those before it were given out.
    @discardableResult
    public func forEachAddress(_ name: HeaderName, _ body: (NameAddress) -> Bool) -> Bool {
        var isSound = true
        forEachValue(name) { value in
            guard let address = bytes.nameAddress(value) else {
                isSound = false
                return false
            }
            return body(address)
        }
        return isSound
    }

    /// The identities of P-Asserted-Identity or P-Preferred-Identity. Nil: a value is no address, there are two of a kind, or
    /// one of another kind; such a field says nothing that could be believed.
    public func networkIdentities(_ name: HeaderName) -> NetworkIdentities? {
        var identities = NetworkIdentities()
        var areSound = true
        let areAddresses = forEachAddress(name) { address in
            switch address.uri.scheme {
            case .sip where identities.sip == nil, .sips where identities.sip == nil: identities.sip = address
            case .tel where identities.tel == nil: identities.tel = address
            default: areSound = false
            }
            return areSound
        }
        return areAddresses && areSound ? identities : nil
    }
}

extension RawSpan {
    /// Reads the value of P-Served-User; nil: it breaks the grammar.
    public func servedUser(_ slice: Slice) -> ServedUser? {
        guard let address = nameAddress(slice) else { return nil }
        var user = ServedUser(address: address)
        var rest = address.parameters
        while let (name, value) = nextParameter(&rest) {
            if self[name].equalsIgnoringCase("sescase") {
                guard let isOriginating = choice(value, "orig", "term") else { return nil }
                user.sessionCase = isOriginating ? .originating : .terminating
            } else if self[name].equalsIgnoringCase("regstate") {
                guard let isRegistered = choice(value, "reg", "unreg") else { return nil }
                user.isRegistered = isRegistered
            } else if self[name].equalsIgnoringCase("orig-cdiv") {
                user.isAfterDiversion = true
            }
        }
        return user
    }

    /// Which of two words a value is, without case: the first is true. Nil: neither.
    func choice(_ value: Slice, _ first: StaticString, _ second: StaticString) -> Bool? {
        if self[value].equalsIgnoringCase(first) { return true }
        return self[value].equalsIgnoringCase(second) ? false : nil
    }
}
