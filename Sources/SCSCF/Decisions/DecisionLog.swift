// What the core decided about requests, as far as the messages do not tell it afterwards: who was believed, which user was
// served in which state, by which profile, and what the contacts then were. Whatever follows from these and from the message
// is worked out when somebody asks (`Explanation`).

import IMSProfile
import SIPMessage
import SIPTransaction
import SansIO

/// A step of the way of one request. Of one request there may be several, in several shards too.
struct Decision: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable {
        /// The criteria of a user were tried.
        case criteria
        /// A user's contacts were looked at.
        case contacts
        /// The user whom it is for is barred.
        case barred
        /// A REGISTER of a user; one for each profile of the implicit set.
        case registration
    }
    var kind: Kind
    var key: UInt64
    var time: WallTime
    var sessionCase: SessionCase
    /// Whether the served user was registered, of a REGISTER before it.
    var isRegistered: Bool
    var reason: BeliefReason
    /// The application server that sent it, or -1.
    var peer: Int16
    var profile: Int32 = -1
    /// The criterion that was tried first, and the one that took the request, or -1.
    var start: Int16 = 0
    var taken: Int16 = -1
    /// The served user's identity on a line of its own, and then a line for each contact: URI, tab, parameters.
    var text = PacketID.none
}

/// The last decisions, in a ring that is written in place.
struct DecisionLog: ~Copyable {
    /// How many are kept; 0: none, at no cost.
    let limit: Int
    private var ring: ContiguousArray<Decision> = []
    private var oldest = 0
    private var texts = PacketPool()
    /// What the next text is written into, unless somebody has it.
    private var blank: OctetBuffer?

    init(limit: Int) {
        self.limit = limit
        ring.reserveCapacity(limit)
    }

    var isKept: Bool { limit > 0 }

    /// Something to write the text of a decision into, which `append` takes back.
    mutating func takeBlank() -> OctetBuffer {
        var buffer = blank.take() ?? OctetBuffer(capacity: 512)
        buffer.removeAll()
        return buffer
    }

    mutating func append(_ decision: Decision, _ text: consuming OctetBuffer) {
        var decision = decision
        decision.text = texts.store(text.bytes)
        blank = consume text
        if ring.count < limit { return ring.append(decision) }
        texts.release(ring[oldest].text)
        ring[oldest] = decision
        oldest = oldest + 1 == limit ? 0 : oldest + 1
    }

    /// The decisions about one request, in their order.
    func decisions(_ key: UInt64) -> [Decision] {
        var found: [Decision] = []
        for i in 0..<ring.count {
            let decision = ring[(oldest + i) % ring.count]
            if decision.key == key { found.append(decision) }
        }
        return found
    }

    func text(of decision: Decision) -> String { String(octets: texts.bytes(decision.text)) }

    mutating func removeAll() {
        for decision in ring { texts.release(decision.text) }
        ring.removeAll(keepingCapacity: true)
        oldest = 0
    }
}
