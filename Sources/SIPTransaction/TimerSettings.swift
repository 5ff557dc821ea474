// The base timers (RFC 3261 §17, table 4) and what follows from them.

public import SansIO

/// T1, T2 and T4; every lettered timer is made of these.
public struct TimerSettings: BitwiseCopyable, Hashable, Sendable {
    /// The round-trip time estimate, 500 ms.
    public var t1: TimeSpan
    /// The longest interval between retransmissions of a non-INVITE request or an INVITE response, 4 s.
    public var t2: TimeSpan
    /// How long a message stays in the network, 5 s.
    public var t4: TimeSpan
    /// Timer C: how long a proxy waits for a final response after a provisional one; over 3 minutes (§16.6 step 11).
    public var timerC: TimeSpan

    public init(
        t1: TimeSpan = .milliseconds(500), t2: TimeSpan = .seconds(4), t4: TimeSpan = .seconds(5), timerC: TimeSpan = .seconds(181)
    ) {
        self.t1 = t1
        self.t2 = t2
        self.t4 = t4
        self.timerC = timerC
    }

    /// 64·T1: timers B, F, H, J, L and M, and D on an unreliable transport.
    public var patience: TimeSpan { t1 * 64 }

    /// When a client's timer E would reach T2: from then on a non-INVITE server must tell that it works on the request
    /// (RFC 4320 §4.1).
    public var delayBefore100: TimeSpan {
        var interval = t1
        var total = TimeSpan.zero
        while interval < t2 {
            total = TimeSpan(nanoseconds: total.nanoseconds + interval.nanoseconds)
            interval = interval * 2
        }
        return total
    }
}
