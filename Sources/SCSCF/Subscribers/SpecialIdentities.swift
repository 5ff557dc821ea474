// Identities that are not a user's own (TS 23.003 §13.5, TS 29.228 Annex E, IdentityType): public service identities, one by
// one or by a wildcard, and wildcarded public user identities, such as all extensions of a PBX.
//
// The part of a wildcard between its two exclamation marks is a POSIX extended regular expression; what stands round it is
// taken as it is. Distinct identities are looked for first, and wildcards in the order in which they are provisioned.

public import IMSProfile
import SIPMessage
import SIPRegistrar
import SansIO

/// One identity of this kind, as it is provisioned.
public struct SpecialIdentity: Sendable, Equatable {
    public enum Kind: UInt8, Sendable {
        /// A public service identity: never registered, its criteria are those of an unregistered user.
        case service, wildcardedService
        /// Registered with its set, never by itself.
        case wildcardedUser
    }
    public var kind: Kind
    /// Canonical; of a wildcard with its exclamation marks.
    public var text: [UInt8]
    /// The number of its service profile; nil: no criteria.
    public var profile: Int?
    fileprivate var expression: RegularExpression?

    /// A public service identity.
    public init(service text: [UInt8], profile: Int?) {
        self.kind = .service
        self.text = text
        self.profile = profile
    }

    /// A wildcard.
    ///
    /// - Throws: what is wrong with the expression, with its column in the expression.
    public init(wildcard text: [UInt8], isService: Bool, profile: Int?) throws(RegularExpressionFault) {
        kind = isService ? .wildcardedService : .wildcardedUser
        self.text = text
        self.profile = profile
        expression = try RegularExpression(SpecialIdentity.pattern(of: text))
    }

    /// The whole identity has to match: `sip:chat!.*!@home1.test` is `^sip:chat(.*)@home1\\.test$`.
    private static func pattern(of wildcard: [UInt8]) -> String {
        let parts = wildcard.split(separator: 0x21, maxSplits: 1, omittingEmptySubsequences: false)
        let rest = parts.count > 1 ? parts[1] : []
        let end = rest.lastIndex(of: 0x21) ?? rest.startIndex
        let expression = String(decoding: rest[..<end], as: UTF8.self)
        let behind = rest.isEmpty ? rest : rest[(end + 1)...]
        return "^\(escaped(parts[0]))(\(expression))\(escaped(behind))$"
    }

    public static func == (a: SpecialIdentity, b: SpecialIdentity) -> Bool {
        a.kind == b.kind && a.text == b.text && a.profile == b.profile
    }

    private static func escaped(_ text: ArraySlice<UInt8>) -> String {
        var result = ""
        for octet in text {
            if ".[]()*+?{}|^$\\".utf8.contains(octet) { result.append("\\") }
            result.unicodeScalars.append(Unicode.Scalar(octet))
        }
        return result
    }

    /// Of a wildcard: itself as a URI (RFC 5002 §5).
    fileprivate var profileKey: [UInt8] {
        let userStart = text.firstIndex(of: 0x3A).map { $0 + 1 } ?? text.startIndex
        let userEnd = text.lastIndex(of: 0x40) ?? text.endIndex
        var key = OctetBuffer(capacity: 128)
        key.append([UInt8](text[..<userStart]))
        key.append(user: text[userStart..<userEnd])
        key.append([UInt8](text[userEnd...]))
        return [UInt8](key.bytes)
    }

    fileprivate func matches(_ canonical: RawSpan) -> Bool { expression?.matches(canonical) ?? canonical.equals(text) }
}

extension IdentityReference {
    private static var specialBit: UInt16 { 0x8000 }

    fileprivate init(subscriber: UInt32, special: Int) {
        self.init(subscriber: subscriber, identity: IdentityReference.specialBit | UInt16(special))
    }

    /// Whether it stands for a service or a wildcard: its number counts apart from that of the user's own identities.
    var isSpecial: Bool { identity & IdentityReference.specialBit != 0 }
    fileprivate var specialNumber: Int { Int(identity & ~IdentityReference.specialBit) }
}

/// All of them, by subscriber. There are few: a look-up goes through them, after all else was looked through.
struct SpecialIdentities {
    private var entries: [(subscriber: UInt32, number: Int, identity: SpecialIdentity)] = []
    var isEmpty: Bool { entries.isEmpty }

    mutating func add(_ identities: [SpecialIdentity], of subscriber: UInt32) {
        for (number, identity) in identities.enumerated() { entries.append((subscriber, number, identity)) }
    }

    func identities(of subscriber: UInt32) -> [SpecialIdentity] {
        entries.filter { $0.subscriber == subscriber }.map(\.identity)
    }

    /// - Parameter isProvisioned: whether a subscriber's identities are to be found; they stay here for what is under way.
    func reference(to canonical: RawSpan, where isProvisioned: (_ subscriber: UInt32) -> Bool) -> IdentityReference? {
        for isWildcard in [false, true] {
            for entry in entries
            where (entry.identity.kind != .service) == isWildcard && isProvisioned(entry.subscriber) && entry.identity.matches(canonical) {
                return IdentityReference(subscriber: entry.subscriber, special: entry.number)
            }
        }
        return nil
    }

    /// The wildcard of this name that takes an identity.
    ///
    /// - Parameter name: as P-Profile-Key has it; what may not stand in a user part may be escaped.
    func wildcard(
        _ name: RawSpan, taking canonical: RawSpan, where isProvisioned: (_ subscriber: UInt32) -> Bool
    ) -> IdentityReference? {
        for entry in entries where entry.identity.kind != .service && isProvisioned(entry.subscriber) {
            let identity = entry.identity
            guard name.equals(identity.profileKey) || name.equals(identity.text), identity.matches(canonical) else { continue }
            return IdentityReference(subscriber: entry.subscriber, special: entry.number)
        }
        return nil
    }

    subscript(_ reference: IdentityReference) -> SpecialIdentity {
        guard let entry = entries.first(where: { $0.subscriber == reference.subscriber && $0.number == reference.specialNumber }) else {
            preconditionFailure("no such identity")
        }
        return entry.identity
    }
}

extension SubscriberDirectory {
    /// Whether a reference is to a service.
    func isService(_ reference: IdentityReference) -> Bool {
        guard reference.isSpecial else { return false }
        return specials[reference].kind != .wildcardedUser
    }

    /// The wildcards that are registered with a subscriber.
    func wildcardedUsers(of subscriber: UInt32) -> [IdentityReference] {
        guard !specials.isEmpty else { return [] }
        var found: [IdentityReference] = []
        for (number, identity) in specials.identities(of: subscriber).enumerated() where identity.kind == .wildcardedUser {
            found.append(IdentityReference(subscriber: subscriber, special: number))
        }
        return found
    }

    /// Whether a user may go by this identity.
    func isUsable(_ reference: IdentityReference) -> Bool {
        if reference.isSpecial { return !isService(reference) }
        return !isBarred(reference)
    }
}

extension ServingCSCF {
    func isRegistered(_ user: IdentityReference) -> Bool {
        guard registrar.isRegistered(user.subscriber) else { return false }
        return !directory.isService(user)
    }

    /// Makes somebody the user whom a context serves. The criteria that hold for it now are tried until the chain ends, whatever
    /// becomes of its profile meanwhile.
    mutating func serve(_ user: IdentityReference, _ id: SlotID, _ essentials: Essentials, _ request: borrowing Message) {
        contexts[id.index].served = user
        contexts[id.index].profile = directory.profile(of: user).map(Int32.init) ?? -1
        guard user.isSpecial else { return }
        pool.release(contexts[id.index].servedName)
        contexts[id.index].servedName = pool.store(name(of: user, essentials, request).span.bytes)
    }

    /// What a request calls an identity that is a wildcard: the Request-URI of one that is reached, or what its sender says
    /// of itself.
    private func name(of user: IdentityReference, _ essentials: Essentials, _ request: borrowing Message) -> [UInt8] {
        var uris: [SIPURI] = []
        if let uri = essentials.requestURI { uris.append(uri) }
        for field in [HeaderName.pServedUser, .pPreferredIdentity, .pAssertedIdentity] {
            request.forEachAddress(field) { address in
                uris.append(address.uri)
                return uris.count < 8
            }
        }
        uris.append(essentials.from.uri)
        for uri in uris {
            var canonical = OctetBuffer(capacity: 128)
            canonical.appendIdentity(uri, in: request.bytes)
            if directory.publicIdentity(canonical.bytes) == user { return [UInt8](canonical.bytes) }
        }
        var text = OctetBuffer(capacity: 128)
        directory.appendPublicIdentity(user, into: &text)
        return [UInt8](text.bytes)
    }

    /// The wildcard that a P-Profile-Key names, if it is one of ours and takes the Request-URI.
    mutating func wildcard(named key: SIPURI, taking requestURI: Slice, in bytes: RawSpan) -> IdentityReference? {
        guard !directory.specials.isEmpty, let uri = bytes.uri(requestURI) else { return nil }
        scratch.removeAll()
        scratch.appendIdentity(uri, in: bytes)
        return directory.specials.wildcard(bytes[key.all], taking: scratch.bytes) { directory.isProvisioned($0) }
    }

    func appendServedName(_ context: RequestContext, into bytes: inout OctetBuffer) {
        if context.servedName.isNone {
            directory.appendPublicIdentity(context.served, into: &bytes)
        } else {
            bytes.append(pool.bytes(context.servedName))
        }
    }

    /// The wildcard that a served user matched: `P-Profile-Key: <sip:chat!.*!@home1.test>` (RFC 5002 §5). What may not stand in
    /// a user part is escaped.
    ///
    /// - Returns: false if the user is no wildcard; then nothing is written.
    func appendProfileKey(of user: IdentityReference, into bytes: inout OctetBuffer) -> Bool {
        guard user.isSpecial, directory.specials[user].kind != .service else { return false }
        bytes.append("P-Profile-Key: <")
        bytes.append(directory.specials[user].profileKey)
        bytes.append(">\r\n")
        return true
    }

    /// P-Asserted-Identity of the user who sends a request.
    func appendAssertedOriginator(
        _ user: IdentityReference, _ request: borrowing Message, _ essentials: Essentials, into bytes: inout OctetBuffer
    ) {
        guard user.isSpecial else { return appendAssertedIdentity(user, into: &bytes) }
        bytes.append("P-Asserted-Identity: <")
        bytes.append(name(of: user, essentials, request))
        bytes.append(">\r\n")
    }
}
