// Ports that are free now, chosen before anything starts.

import Glibc

/// Chooses ports for addresses written with port 0. All that were chosen are held until `release`, so no two are the same.
struct FreePorts: ~Copyable {
    private var held: [Int32] = []

    /// Below the range from which the system takes the ports of `port 0` and of outgoing connections (32768 and up on
    /// Linux), so that what starts meanwhile does not take a chosen port away.
    private static let preferred: ClosedRange<UInt16> = 16384...32000
    private static let attempts = 64

    /// A port that is free for UDP and TCP on this host, or nil if the host is not ours.
    mutating func choose(host: String) -> UInt16? {
        for attempt in 0...FreePorts.attempts {
            let wanted = attempt < FreePorts.attempts ? UInt16.random(in: FreePorts.preferred) : 0
            guard let stream = boundSocket(to: HostAndPort(host: host, port: wanted), type: SOCK_STREAM) else { continue }
            held.append(stream.descriptor)
            guard let datagram = boundSocket(to: HostAndPort(host: host, port: stream.port), type: SOCK_DGRAM) else { continue }
            held.append(datagram.descriptor)
            return stream.port
        }
        return nil
    }

    /// Gives the ports to those who will listen on them.
    consuming func release() {}

    deinit { for descriptor in held { close(descriptor) } }
}
