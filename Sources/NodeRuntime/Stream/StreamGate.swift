// Between a shard and the driver of its streams: batches of octets and trivial values, each way. Nothing here knows of
// sockets or of NIO, so a shard runs, and is tested, without them.

import SansIO

/// What a shard asks of a driver of streams, on the shard's thread.
struct StreamGate: Sendable {
    /// Writes the messages and closes the streams of a batch, in this order.
    var transmit: @Sendable (StreamBatch) -> Void
    /// Tells that as many octets of reports were worked off.
    var acknowledge: @Sendable (Int) -> Void
    /// Writes what waits, closes every stream and listener, and calls back when all is done.
    var stop: @Sendable (@escaping @Sendable () -> Void) -> Void
}

/// Opens a driver of streams for the listeners of a shard that are streams; the driver owns their descriptors then.
typealias StreamOpener =
    @Sendable (
        _ listeners: [StreamListener], _ report: @escaping @Sendable (StreamReport) -> Void
    ) throws -> StreamGate

/// A bound and listening socket.
struct StreamListener: Sendable {
    var number: UInt8
    var listener: Listener
    var descriptor: Int32
}

/// Messages to write, and streams to close after them.
struct StreamBatch: Sendable {
    var octets: [UInt8] = []
    /// Their starts count in `octets`.
    var transmissions: [Transmission] = []
    var closings: [UInt32] = []
    /// The same count in `octets`.
    var aliases: [StreamAlias] = []
    /// What was said of silent streams.
    var verdicts: [SilenceVerdict] = []

    var isEmpty: Bool { transmissions.isEmpty && closings.isEmpty && aliases.isEmpty && verdicts.isEmpty }
}

/// How long a stream may be silent on which nothing came or went for long.
struct SilenceVerdict: Sendable {
    var connection: UInt32
    /// nil: as one that is of no use.
    var patience: TimeSpan?
}

/// What happened on streams, in order.
struct StreamReport: Sendable {
    enum Event: Sendable {
        case opened
        /// A whole message.
        case received(Flow, start: Int, count: Int)
        /// The header of a message that cannot be framed: its stream is to be closed after the answer.
        case receivedUnframed(Flow, start: Int, count: Int)
        /// A peer's stream was closed before anything was read.
        case refused(Flow, StreamEnding)
        /// A stream has been silent for so long that it is to be closed, unless the node has more patience.
        case silent(Flow)
        /// A stream ended.
        case ended(Flow, StreamEnding)
        case failed(TransmissionFailure)
    }

    var octets: [UInt8] = []
    var events: [Event] = []
}
