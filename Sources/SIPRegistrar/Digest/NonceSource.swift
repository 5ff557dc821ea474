// Nonces that need no memory: each is a stamp that only rises, and a keyed hash of it that only we can make.

import SansIO

struct NonceSource {
    private let secret: HashSecret
    private let start: Instant
    /// The latest stamp; 0: none was given yet.
    private(set) var last: UInt64 = 0

    init(secret: HashSecret, start: Instant) {
        self.secret = secret
        self.start = start
    }

    /// The next stamp: microseconds since the start, and never one that was given before. None is 0.
    mutating func next(at now: Instant) -> UInt64 {
        last = max(last + 1, microseconds(now))
        return last
    }

    /// When a stamp was given.
    func time(of stamp: UInt64) -> Instant { start + TimeSpan(nanoseconds: Int64(clamping: stamp)) * 1000 }

    /// The stamp of a nonce that was made here; nil: it was not.
    func stamp(of nonce: RawSpan) -> UInt64? {
        guard nonce.byteCount == 32, let stamp = nonce.part(0, 16).hexadecimalNumber, let code = nonce.part(16, 16).hexadecimalNumber,
            stamp <= last
        else { return nil }
        return code == self.code(of: stamp) ? stamp : nil
    }

    func code(of stamp: UInt64) -> UInt64 {
        var hasher = KeyHasher(secret)
        hasher.combine(stamp)
        return hasher.finish().low
    }

    private func microseconds(_ now: Instant) -> UInt64 { UInt64(max(0, (now - start).nanoseconds)) / 1000 }
}

extension OctetBuffer {
    /// A nonce: stamp and code in hexadecimal digits.
    mutating func appendNonce(_ stamp: UInt64, _ source: NonceSource) {
        appendHex(stamp)
        appendHex(source.code(of: stamp))
    }
}
