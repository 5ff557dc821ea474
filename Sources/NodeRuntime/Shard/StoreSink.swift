public import SansIO

/// Where a shard's changes go to be made durable: called on the shard's thread, so it must only take them. When they
/// are committed, or lost, `Shard.committed(upTo:succeeded:)` is to be called, for one ticket or for many at once.
/// - Parameters:
///   - changes: in order; their offsets count in the octets.
///   - octets: the keys and values.
public typealias StoreSink = @Sendable (_ changes: [StoreChange], _ octets: [UInt8]) -> Void
