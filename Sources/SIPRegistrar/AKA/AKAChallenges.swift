// The challenges that wait for an answer (timer reg-await-auth, TS 24.229 §5.4.1.2.1 and table 7.8.1): one for each device at
// most, for a while, and not more of them than there is room for.

import SansIO

struct AKAChallenges: ~Copyable {
    struct Challenge: BitwiseCopyable {
        var device: UInt64
        var vector: AuthenticationVector
        /// Of the REGISTER that was challenged, hashed.
        var callID: UInt64
        var end: Instant
        fileprivate var older = UInt32.max
        fileprivate var newer = UInt32.max

        init(device: UInt64, vector: AuthenticationVector, callID: UInt64, end: Instant) {
            self.device = device
            self.vector = vector
            self.callID = callID
            self.end = end
        }
    }

    private let limit: Int
    private var keys = KeyTable()
    private var challenges = Slab<Challenge>()
    // All of them by age, which is the order of their ends too.
    private var oldest = UInt32.max
    private var newest = UInt32.max

    /// - Parameter limit: how many may wait; one more takes the place of the oldest.
    init(limit: Int) { self.limit = max(limit, 1) }

    var count: Int { challenges.count }

    /// The challenge that a device has to answer.
    func waiting(of device: UInt64, at now: Instant) -> Challenge? {
        guard let slot = keys[KeyHash(number: device)], challenges[slot].end >= now else { return nil }
        return challenges[slot]
    }

    /// Keeps a challenge in place of what its device had to answer before.
    mutating func keep(_ challenge: Challenge, at now: Instant) {
        remove(of: challenge.device)
        while oldest != .max, challenges.count >= limit || challenges[oldest].end < now { remove(of: challenges[oldest].device) }
        var challenge = challenge
        challenge.older = newest
        let slot = challenges.insert(challenge).index
        if newest == .max { oldest = slot } else { challenges[newest].newer = slot }
        newest = slot
        keys.set(KeyHash(number: challenge.device), to: slot)
    }

    /// A device's challenge is answered: it serves once.
    mutating func remove(of device: UInt64) {
        let key = KeyHash(number: device)
        guard let slot = keys[key] else { return }
        let (older, newer) = (challenges[slot].older, challenges[slot].newer)
        if older == .max { oldest = newer } else { challenges[older].newer = newer }
        if newer == .max { newest = older } else { challenges[newer].older = older }
        challenges.remove(slot)
        keys.remove(key)
    }

    mutating func removeAll() {
        while oldest != .max { remove(of: challenges[oldest].device) }
    }
}
