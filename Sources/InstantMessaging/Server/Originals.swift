// The same message by two ways (RFC 3261 §8.2.2.2): when a node on its way dies, those before it send their request again, and
// what comes of that has other branches. It is known by Call-ID, From tag and CSeq, and is not kept a second time.

import SIPMessage
import SIPTransaction
import SansIO

/// Messages to our users that came lately, by what their senders' requests are known by.
struct Originals: Sendable {
    enum Course: Sendable, Equatable {
        /// It was passed on, and may yet be kept.
        case underWay
        /// Under this number.
        case kept(UInt64)
        /// It was delivered, or given up.
        case done
    }

    /// How many that are done with are remembered.
    private static let limit = 4096

    private var courses: [DeliveryKey: Course] = [:]
    private var done: [DeliveryKey] = []
    private var oldest = 0

    subscript(key: DeliveryKey) -> Course? { courses[key] }

    mutating func begin(_ key: DeliveryKey) { courses[key] = .underWay }
    mutating func keep(_ key: DeliveryKey, as number: UInt64) { courses[key] = .kept(number) }
    mutating func forget(_ key: DeliveryKey) { courses[key] = nil }

    mutating func end(_ key: DeliveryKey) {
        guard courses.updateValue(.done, forKey: key) != .done else { return }
        if done.count < Originals.limit { return done.append(key) }
        if courses[done[oldest]] == .done { courses[done[oldest]] = nil }
        done[oldest] = key
        oldest = (oldest + 1) % Originals.limit
    }
}

extension IMServer {
    /// What is kept here needs no way from its sender's side any more: sent once more by a core that has forgotten it, it would
    /// pass us by and reach the recipient twice.
    mutating func endOutgoing(_ original: DeliveryKey, at now: Now, into effects: inout Effects) {
        guard let number = outgoing[original], let forward = forwards[number], !forward.isAnswered else { return }
        forwards[number]?.isAnswered = true
        transactions.sendNoMore(forward.client)
        answer(forward.answer, 202, at: now, into: &effects)
    }

    /// A message that has come before by another way.
    mutating func copyReceived(_ arrival: borrowing Arrival, _ path: ReturnPath, _ course: Originals.Course, into effects: inout Effects) {
        switch course {
        // Whoever has got the first tells it from this one as we do; it is the first that is kept.
        case .underWay: forward(arrival, path, .plain, into: &effects)
        case .done: answer(arrival, 202, into: &effects)
        case .kept(let number):
            guard let ticket = kept[number]?.ticket, !isDurable(ticket) else { return answer(arrival, 202, into: &effects) }
            let place = commitments.firstIndex { $0.ticket > ticket } ?? commitments.count
            commitments.insert(Commitment(ticket: ticket, change: .copy(prepareAnswer(arrival))), at: place)
        }
    }
}
