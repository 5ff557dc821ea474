// Shards whose changes a store makes durable.

import NodeRuntime
import SansIO
import Store

extension Shard where Node: ~Copyable {
    /// Starts the shard.
    /// - Parameter store: takes the core's changes; nil: they live as long as the process.
    func start(name: String, committingTo store: Store?) throws(SystemFailure) {
        guard let store else { return try start(name: name) }
        try start(name: name) { changes, octets, failuresKnown in
            store.commit(changes, octets: octets, failuresKnown: failuresKnown) { self.committed(upTo: $0, succeeded: $1) }
        }
    }
}

extension ShardGroup where Node: ~Copyable {
    /// Starts the shards.
    /// - Parameter store: takes the changes of all of them; nil: they live as long as the process.
    func start(name: String, committingTo store: Store?) throws(SystemFailure) {
        try start(name: name) { shard in
            guard let store else { return nil }
            return { changes, octets, failuresKnown in
                store.commit(changes, octets: octets, failuresKnown: failuresKnown) {
                    self.committed(shard: shard, upTo: $0, succeeded: $1)
                }
            }
        }
    }
}
