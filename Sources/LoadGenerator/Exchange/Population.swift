// The users of a load: whose turn it is, which of them have a REGISTER outstanding, and the CSeq of each.

import SansIO

/// Users by number, in two groups that take turns within themselves.
struct Population: ~Copyable {
    /// By user: the slot of the exchange that registers it, plus one. A user has one REGISTER outstanding at a time, so that
    /// CSeq rises in order (RFC 3261 §10.2) and a third-party REGISTER has one exchange that it can be of.
    private var registering: ContiguousArray<UInt32>
    private var sequences: ContiguousArray<UInt32>
    private var preloaded: Turn
    private var registered: Turn
    private var new: Turn

    init(_ plan: LoadPlan) {
        registering = ContiguousArray(repeating: 0, count: plan.userCount)
        sequences = ContiguousArray(repeating: 0, count: plan.userCount)
        preloaded = Turn(users: plan.registeredUsers)
        registered = Turn(users: plan.registeredUsers)
        new = Turn(users: plan.newUsers)
    }

    /// The user of the next transaction of a mode; nil: all that were looked at have a REGISTER outstanding.
    mutating func next(for mode: LoadMode, in phase: LoadPhase) -> Int? {
        if phase == .preload { return preloaded.nextIdle(registering) }
        switch mode {
        case .options: return 0
        case .register, .registerAuth, .thirdPartyRegister: return new.nextIdle(registering)
        case .reregister: return registered.nextIdle(registering)
        case .publish, .message, .call: return registered.next()
        }
    }

    /// Whom a user calls: the next one that is registered.
    func callee(of user: Int) -> Int { user + 1 < registered.users.upperBound ? user + 1 : registered.users.lowerBound }

    /// The next CSeq of a user's REGISTER.
    mutating func advanceSequence(of user: Int) -> UInt32 {
        sequences[user] += 1
        return sequences[user]
    }

    mutating func beginRegistration(of user: Int, in slot: UInt32) { registering[user] = slot + 1 }
    mutating func endRegistration(of user: Int) { registering[user] = 0 }

    /// The slot of the exchange that registers a user.
    func registration(of user: Int) -> UInt32? { registering[user] == 0 ? nil : registering[user] - 1 }
}

/// Users who take turns.
private struct Turn {
    let users: Range<Int>
    private var position = 0

    /// How many users in a row are looked at for an idle one.
    private static let patience = 64

    init(users: Range<Int>) { self.users = users }

    mutating func next() -> Int {
        let user = users.lowerBound + position
        position = position + 1 < users.count ? position + 1 : 0
        return user
    }

    mutating func nextIdle(_ registering: ContiguousArray<UInt32>) -> Int? {
        for _ in 0..<min(Turn.patience, users.count) {
            let user = next()
            if registering[user] == 0 { return user }
        }
        return nil
    }
}
