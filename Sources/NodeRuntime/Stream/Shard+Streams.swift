import SansIO

extension Shard where Node: ~Copyable {
    /// Sets up a shard with its sockets, and with streams of NIO's event loop, which is started when there is a listener
    /// of streams or a stream is to be opened. Nothing is read before `start`.
    public convenience init(
        _ node: consuming sending Node, on bound: consuming BoundListeners, _ configuration: ShardConfiguration
    ) throws(SystemFailure) {
        try self.init(node, on: bound, configuration, openStreams: StreamDriver.opener(configuration))
    }

    /// The same for a shard of a group.
    convenience init(
        _ node: consuming sending Node, _ number: Int, _ listeners: [Listener], descriptors: [Int32], _ hub: ShardHub<Node>,
        streamsOn configuration: ShardConfiguration
    ) throws(SystemFailure) {
        try self.init(
            node, number, listeners, descriptors: descriptors, hub, configuration, openStreams: StreamDriver.opener(configuration))
    }
}

extension StreamDriver {
    fileprivate static func opener(_ configuration: ShardConfiguration) -> StreamOpener {
        let settings = StreamSettings(
            limits: configuration.streamLimits, security: configuration.security,
            webSocketOrigins: configuration.webSocketOrigins.map { Set($0.map { $0.lowercased() }) }, logger: configuration.logger)
        return { listeners, report in try open(listeners, settings, report: report) }
    }
}
