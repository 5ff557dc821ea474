public import SansIO

/// Where a shard's changes go to be made durable: called on the shard's thread, so it must only take them. When they
/// are committed, or lost, `Shard.committed(upTo:succeeded:)` is to be called, for one ticket or for many at once.
/// - Parameters:
///   - changes: in order; their offsets count in the octets.
///   - octets: the keys and values.
///   - failuresKnown: how often the core had heard that changes were lost when it made these: those made in ignorance of a
///     loss are undone by the core when it hears of it, so they must not become durable.
public typealias StoreSink = @Sendable (_ changes: [StoreChange], _ octets: [UInt8], _ failuresKnown: UInt64) -> Void
