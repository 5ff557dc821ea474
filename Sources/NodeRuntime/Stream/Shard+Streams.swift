import SansIO

extension Shard where Node: ~Copyable {
    /// Sets up a shard with its sockets, and with streams of NIO's event loop, which is started when there is a listener
    /// of streams or a stream is to be opened. Nothing is read before `start`.
    public convenience init(
        _ node: consuming sending Node, on bound: consuming BoundListeners, _ configuration: ShardConfiguration
    ) throws(SystemFailure) {
        let limits = configuration.streamLimits
        let logger = configuration.logger
        try self.init(node, on: bound, configuration) { listeners, report in
            StreamDriver.open(listeners, limits, logger, report: report)
        }
    }
}
