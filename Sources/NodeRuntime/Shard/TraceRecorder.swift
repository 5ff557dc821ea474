import SIPTrace
import SansIO
import Synchronization

/// The trace of a node, which all its shards record into: so messages have one numbering, whoever read or sent them. It is
/// locked once for a batch.
final class TraceRecorder: Sendable {
    /// Whether messages are recorded at all.
    let isRecording: Bool
    private let ring: Mutex<TraceRing>
    private let awaited = Atomic(false)

    init(_ configuration: ShardConfiguration) {
        let ring = TraceRing(messageLimit: configuration.traceMessages, octetLimit: configuration.traceOctets)
        isRecording = ring.isRecording
        self.ring = Mutex(ring)
    }

    /// Whether the first shard is to be woken when a message is recorded.
    var isAwaited: Bool {
        get { awaited.load(ordering: .sequentiallyConsistent) }
        set { awaited.store(newValue, ordering: .sequentiallyConsistent) }
    }

    func withRing<R>(_ body: (inout TraceRing) -> R) -> R {
        var result: R?
        ring.withLock { result = body(&$0) }
        // The closure above has run.
        return result!
    }
}
