// Ports that are free now, chosen before anything starts.

import Glibc
import Synchronization

/// Chooses ports for addresses written with port 0. All that were chosen are held until `release`, so no two are the same.
struct FreePorts: ~Copyable {
    private var held: [Int32] = []

    /// Below the range from which the system takes the ports of `port 0` and of outgoing connections (32768 and up on
    /// Linux), so that what starts meanwhile does not take a chosen port away.
    private static let preferred: ClosedRange<UInt16> = 16384...32000
    private static let attempts = 64
    /// nil: any will do. Else the same seed chooses the same port for the same key, as long as it is free.
    private let seed: UInt64?
    /// What this process has chosen, so that labs that start side by side do not take each other's ports between the choice
    /// and the listening.
    private static let chosen = Mutex<Set<UInt16>>([])
    private static let mostChosen = 8192
    private let isAlone: Bool

    /// - Parameter isAlone: whether no other lab of this process starts meanwhile.
    init(seed: UInt64? = nil, isAlone: Bool = true) {
        self.seed = seed
        self.isAlone = isAlone
    }

    private func wanted(for key: String, _ attempt: Int) -> UInt16 {
        guard let seed else { return UInt16.random(in: FreePorts.preferred) }
        // FNV-1a.
        let hash = "\(key) \(attempt)".utf8.reduce(seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return FreePorts.preferred.lowerBound + UInt16((hash >> 32) % UInt64(FreePorts.preferred.count))
    }

    /// A port that is free for UDP and TCP on this host, or nil if the host is not ours.
    /// - Parameter key: what the port is for.
    mutating func choose(host: String, for key: String = "") -> UInt16? {
        for attempt in 0...FreePorts.attempts {
            let wanted = attempt < FreePorts.attempts ? wanted(for: key, attempt) : 0
            if !isAlone, wanted != 0, !FreePorts.isNew(wanted) { continue }
            guard let stream = boundSocket(to: HostAndPort(host: host, port: wanted), type: SOCK_STREAM) else { continue }
            held.append(stream.descriptor)
            guard let datagram = boundSocket(to: HostAndPort(host: host, port: stream.port), type: SOCK_DGRAM) else { continue }
            held.append(datagram.descriptor)
            return stream.port
        }
        return nil
    }

    private static func isNew(_ port: UInt16) -> Bool {
        chosen.withLock { ports in
            if ports.count >= mostChosen { ports = [] }
            return ports.insert(port).inserted
        }
    }

    /// Gives the ports to those who will listen on them.
    consuming func release() {}

    deinit { for descriptor in held { close(descriptor) } }
}
