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

    /// What outlives the process of a message that is done with.
    struct Remembered: Sendable, Equatable {
        var key: DeliveryKey
        /// When no copy of it can come any more.
        var until: WallTime
    }

    /// How many that are done with are known, those aside that the store has.
    private static let limit = 4096

    private var courses: [DeliveryKey: Course] = [:]
    /// What was kept and is done with, by its number, as long as it may come once more: the store has it too.
    private(set) var remembered: [UInt64: Remembered] = [:]
    private var done: [DeliveryKey] = []
    private var oldest = 0

    subscript(key: DeliveryKey) -> Course? { courses[key] }

    mutating func begin(_ key: DeliveryKey) { courses[key] = .underWay }
    mutating func keep(_ key: DeliveryKey, as number: UInt64) { courses[key] = .kept(number) }
    mutating func forget(_ key: DeliveryKey) { courses[key] = nil }

    mutating func remember(_ original: Remembered, as number: UInt64) {
        remembered[number] = original
        courses[original.key] = .done
    }

    mutating func forgetRemembered(_ number: UInt64) {
        guard let key = remembered.removeValue(forKey: number)?.key, courses[key] == .done else { return }
        courses[key] = nil
    }

    mutating func end(_ key: DeliveryKey) {
        guard courses.updateValue(.done, forKey: key) != .done else { return }
        if done.count < Originals.limit { return done.append(key) }
        if courses[done[oldest]] == .done { courses[done[oldest]] = nil }
        done[oldest] = key
        oldest = (oldest + 1) % Originals.limit
    }
}

extension IMServer {
    /// How long after a message those before us may send it once more: as long as their transactions last, and those of
    /// whoever has died meanwhile.
    var copyWindow: TimeSpan { settings.timers.patience * 3 }

    /// A message that was kept is done with. A copy of it may come to the next process, so the store is told.
    mutating func rememberOriginal(of message: KeptMessage, at now: Now) {
        let until = message.received + copyWindow
        guard until > now.wall else { return originals.end(message.original) }
        remember(Originals.Remembered(key: message.original, until: until), as: message.number, at: now)
    }

    mutating func remember(_ original: Originals.Remembered, as number: UInt64, at now: Now) {
        originals.remember(original, as: number)
        _ = schedule(.originalForgotten(number), after: max(.zero, original.until - now.wall), now)
    }

    /// No copy of it will come any more.
    mutating func originalForgotten(_ number: UInt64, into effects: inout Effects) {
        originals.forgetRemembered(number)
        removeRecord(number, into: &effects)
    }

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
