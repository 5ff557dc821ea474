// What a caller prefers among the contacts of a user (RFC 3841 §7.2): Accept-Contact and Reject-Contact as predicates over
// feature tags, held against what each contact says of itself.

public import SIPMessage
import SansIO

/// What caller preferences make of one contact (RFC 3841 §7.2.4).
public struct ContactRating: BitwiseCopyable, Equatable, Sendable {
    /// Whether the contact must not be tried.
    public var isDiscarded: Bool
    /// The caller's preference Qa, from 0 to 1. It orders contacts of the same q value, higher first.
    public var preference: Double

    static let discarded = ContactRating(isDiscarded: true, preference: 0)
    /// Neither discarded nor moved back: what a contact without feature tags gets.
    static let immune = ContactRating(isDiscarded: false, preference: 1)
}

/// The preferences of one request, as a view of it.
///
/// Predicates are read where they stand each time a contact is rated: a request has few of them and a user few contacts.
public struct CallerPreferences: ~Escapable {
    private let message: Message
    /// Whether the request says nothing, so that only its method and event package count (§7.2.2).
    public let areImplicit: Bool

    @_lifetime(copy message)
    public init(_ message: borrowing Message) {
        self.message = copy message
        areImplicit = !message.has(.acceptContact) && !message.has(.rejectContact)
    }

    /// Rates a contact by the parameters of its registration, `;audio;methods="INVITE,BYE";q=0.5`.
    public func rating(contactParameters contact: RawSpan) -> ContactRating {
        guard contact.hasFeatureTags else { return .immune }
        if areImplicit { return implicitRating(contact) }
        return isRejected(contact) ? .discarded : acceptRating(contact)
    }

    /// Reject-Contact discards a contact that names every tag of a predicate, each with a value that fits.
    private func isRejected(_ contact: RawSpan) -> Bool {
        let bytes = message.bytes
        var isRejected = false
        message.forEachValue(.rejectContact) { value in
            guard let parameters = bytes.featureParameters(of: value) else { return true }
            let match = PredicateMatch(of: parameters, in: bytes, with: contact)
            isRejected = match.terms > 0 && match.named == match.terms && !match.isContradicted
            return !isRejected
        }
        return isRejected
    }

    private func acceptRating(_ contact: RawSpan) -> ContactRating {
        let bytes = message.bytes
        var tally = PreferenceTally()
        message.forEachValue(.acceptContact) { value in
            guard let parameters = bytes.featureParameters(of: value) else { return true }
            tally.add(PredicateMatch(of: parameters, in: bytes, with: contact))
            return !tally.isDiscarded
        }
        return tally.rating
    }

    /// `methods="<the method>"`, and `events="<the package>"` if the request has one, required but not explicit (§7.2.2).
    private func implicitRating(_ contact: RawSpan) -> ContactRating {
        let bytes = message.bytes
        var match = PredicateMatch(isRequired: true)
        match.add("methods", FeatureValue(bytes, message.shape.methodName), in: bytes, with: contact)
        if let event = message.value(.event) {
            let semicolon = bytes[event].firstOffset(of: UInt8(ascii: ";"))
            let package = bytes.trimmed(semicolon.map { Slice(event.lower, event.lower + $0) } ?? event)
            match.add("events", FeatureValue(bytes, package), in: bytes, with: contact)
        }
        var tally = PreferenceTally()
        tally.add(match)
        return tally.rating
    }
}

/// The scores of one contact for the predicates of Accept-Contact.
private struct PreferenceTally {
    private(set) var isDiscarded = false
    private var predicates = 0
    private var matched = 0
    private var sum = 0.0

    /// The mean over the predicates that matched; one that did not and is not required counts neither way.
    var rating: ContactRating {
        if isDiscarded { return .discarded }
        if predicates == 0 { return .immune }
        return ContactRating(isDiscarded: false, preference: matched == 0 ? 0 : sum / Double(matched))
    }

    mutating func add(_ match: PredicateMatch) {
        if match.terms == 0 { return }
        predicates += 1
        let isPartial = match.named < match.terms
        let fails = match.isContradicted || (isPartial && match.isExplicit)
        if fails && match.isRequired {
            isDiscarded = true
        } else if !match.isContradicted {
            matched += 1
            sum += isPartial && match.isExplicit ? 0 : Double(match.named) / Double(match.terms)
        }
    }
}

/// How one predicate and one contact compare.
private struct PredicateMatch {
    /// Feature tags in the predicate, and how many of them the contact names.
    var terms = 0
    var named = 0
    /// Whether the contact names one of the tags with no value that fits. A tag it does not name could be anything.
    var isContradicted = false
    /// The flags `require` and `explicit`.
    var isRequired: Bool
    var isExplicit = false

    init(isRequired: Bool) {
        self.isRequired = isRequired
    }

    init(of parameters: Slice, in bytes: RawSpan, with contact: RawSpan) {
        self.init(isRequired: false)
        bytes.forEachParameter(in: parameters) { name, value in
            if bytes.isFeatureTag(name) {
                add(name, value, in: bytes, with: contact)
            } else if bytes[name].equalsIgnoringCase("require") {
                isRequired = true
            } else if bytes[name].equalsIgnoringCase("explicit") {
                isExplicit = true
            }
            return true
        }
    }

    private mutating func add(_ name: Slice, _ value: Slice, in bytes: RawSpan, with contact: RawSpan) {
        var isNamed = false
        var fits = false
        contact.forEachParameter(in: contact.all) { ownName, ownValue in
            guard contact[ownName].equalsIgnoringCase(bytes[name]) else { return true }
            isNamed = true
            bytes.forEachFeatureValue(in: value) { wanted in
                fits = fits || contact.says(wanted, of: bytes, in: ownValue)
                return !fits
            }
            return !fits
        }
        count(isNamed: isNamed, fits: fits)
    }

    mutating func add(_ tag: StaticString, _ wanted: FeatureValue, in bytes: RawSpan, with contact: RawSpan) {
        let own = contact.parameter(tag, in: contact.all)
        count(isNamed: own != nil, fits: own.map { contact.says(wanted, of: bytes, in: $0) } ?? false)
    }

    private mutating func count(isNamed: Bool, fits: Bool) {
        terms += 1
        if isNamed { named += 1 }
        if isNamed && !fits { isContradicted = true }
    }
}

extension RawSpan {
    fileprivate var all: Slice { Slice(0, byteCount) }

    fileprivate var hasFeatureTags: Bool {
        var found = false
        forEachParameter(in: all) { name, _ in
            found = isFeatureTag(name)
            return !found
        }
        return found
    }

    /// Whether one of the values in a slice of these bytes overlaps a wanted one.
    fileprivate func says(_ wanted: FeatureValue, of bytes: RawSpan, in value: Slice) -> Bool {
        var fits = false
        forEachFeatureValue(in: value) { own in
            fits = wanted.overlaps(own, in: bytes, self)
            return !fits
        }
        return fits
    }
}
