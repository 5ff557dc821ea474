// Names of peers that were located while the node runs (RFC 3263), beside those known when it began.

import SansIO
import Synchronization

/// What leads to which endpoint, for the certificates that are shown there.
final class LearnedNames: Sendable {
    /// The most endpoints that are remembered; past it the oldest is forgotten.
    private static let limit = 1024

    private struct Contents {
        var names: [Endpoint: [String]] = [:]
        var order: [Endpoint] = []
    }

    private let contents = Mutex(Contents())

    func add(_ name: String, at endpoint: Endpoint) {
        contents.withLock { contents in
            if contents.names[endpoint] == nil {
                contents.order.append(endpoint)
                if contents.order.count > LearnedNames.limit { contents.names[contents.order.removeFirst()] = nil }
            }
            // One for each peer of the topology at most.
            if contents.names[endpoint]?.contains(name) != true { contents.names[endpoint, default: []].append(name) }
        }
    }

    subscript(remote: Endpoint) -> [String] { contents.withLock { $0.names[remote] ?? [] } }
}
