// What a shard counts. A message that goes nowhere has its reason here, never silence.

public import SansIO

/// Why a message that was received or was to be sent went nowhere.
public enum DropReason: String, BitwiseCopyable, CaseIterable, Hashable, Sendable {
    /// A datagram without an octet.
    case emptyDatagram = "empty_datagram"
    /// Over what one datagram carries.
    case datagramTooLarge = "datagram_too_large"
    /// ICMP says that the peer, or its port, cannot be reached; counted for the datagram that came back.
    case datagramRefused = "datagram_refused"
    /// The system refused the datagram: no route, a forbidden address and the like.
    case datagramNotSent = "datagram_not_sent"
    /// More waits for the socket than may.
    case datagramQueueFull = "datagram_queue_full"
    /// The flow names no listener that could send it.
    case noListener = "no_listener"
    /// A stream of a transport that this node cannot open: WebSocket, or TLS without certificates set up.
    case transportNotSupported = "transport_not_supported"
    /// A stream to the peer could not be opened.
    case connectFailed = "connect_failed"
    /// The stream was opened, but not TLS on it: the peer's certificate is not believed or is another's, or nothing fits.
    case handshakeFailed = "handshake_failed"
    /// More waits for the stream being opened than may.
    case connectQueueFull = "connect_queue_full"
    /// The stream ended before the message was written.
    case streamLost = "stream_lost"
    /// More waits for the shard that it belongs to than may.
    case handOverQueueFull = "hand_over_queue_full"
    /// The start of a message on a stream that ended before the rest came.
    case streamIncomplete = "stream_incomplete"
    /// A STUN message with a wrong length, attribute or fingerprint.
    case malformedSTUN = "stun_malformed"
    /// A fault rule says so.
    case fault
    /// The shard was ending.
    case stopped = "stopped"
}

/// Why a stream ended.
public enum StreamEnding: String, BitwiseCopyable, CaseIterable, Hashable, Sendable {
    case peerClosed = "peer_closed"
    /// The system told of an error: a reset, a time-out and the like.
    case connectionFailed = "connection_failed"
    /// The core asked for it.
    case closedByCore = "closed_by_core"
    /// Nothing came or went for `StreamLimits.idle`.
    case idle
    /// A message was begun and not completed within `StreamLimits.messageCompletion`.
    case messageTimeout = "message_timeout"
    /// No blank line within the first 65,535 octets.
    case headerTooLarge = "header_too_large"
    /// Header and body are more than 65,535 octets.
    case messageTooLarge = "message_too_large"
    case contentLengthMissing = "content_length_missing"
    /// Negative, empty or no number.
    case contentLengthInvalid = "content_length_invalid"
    /// Two that differ.
    case contentLengthConflict = "content_length_conflict"
    /// TLS or WebSocket could not be begun on it, or the peer left before.
    case handshakeFailed = "handshake_failed"
    /// They took longer than `StreamLimits.handshake`.
    case handshakeTimeout = "handshake_timeout"
    /// Ended for others, as the oldest of more than `StreamLimits.handshakes`.
    case tooManyHandshakes = "too_many_handshakes"
    /// An HTTP request that asks for no WebSocket with SIP.
    case notWebSocket = "not_websocket"
    /// A frame that RFC 6455 forbids, or a text that is not UTF-8.
    case webSocketBroken = "websocket_broken"
    case tooManyConnections = "too_many_connections"
    case tooManyConnectionsOfPeer = "too_many_connections_of_peer"
    /// The peer does not read: more waits to be written than may.
    case outboundFull = "outbound_full"
    /// The shard was ending.
    case stopped
}

/// What a shard has done since it started.
public struct RuntimeCounters: Sendable {
    /// Messages, or datagrams, and their octets.
    public struct Traffic: BitwiseCopyable, Hashable, Sendable {
        public var messages: UInt64 = 0
        public var octets: UInt64 = 0

        mutating func add(_ other: Traffic) {
            messages += other.messages
            octets += other.octets
        }
    }

    /// Messages of one kind that were sent.
    public struct Sent: BitwiseCopyable, Hashable, Sendable {
        public var transport: Transport
        /// The method's number; a response has the one in its CSeq.
        public var method: UInt8
        /// 0: requests.
        public var status: UInt16
        public var messages: UInt64
    }

    private var receivedTraffic = InlineArray<5, Traffic>(repeating: Traffic())
    private var sentTraffic = InlineArray<5, Traffic>(repeating: Traffic())
    private var sentKinds = KindTable()
    private var drops = [UInt64](repeating: 0, count: DropReason.allCases.count)
    private var endings = [UInt64](repeating: 0, count: StreamEnding.allCases.count)
    /// Streams opened by us or by peers since the start.
    public internal(set) var streamsOpened: UInt64 = 0
    /// Streams that are open now.
    public internal(set) var streamsOpen = 0

    /// Binding requests of STUN that were answered.
    public internal(set) var stunAnswered: UInt64 = 0

    init() {}

    /// What arrived over a transport.
    public func received(over transport: Transport) -> Traffic { receivedTraffic[Int(transport.rawValue)] }
    /// What was handed to a transport; what it could then not send counts as dropped too.
    public func sent(over transport: Transport) -> Traffic { sentTraffic[Int(transport.rawValue)] }
    /// The same by method and status, in no particular order.
    public var sentByKind: [Sent] { sentKinds.all }
    public func dropped(_ reason: DropReason) -> UInt64 { drops[reason.index] }
    public func ended(_ ending: StreamEnding) -> UInt64 { endings[ending.index] }

    mutating func countReceived(_ messages: Int, octets: Int, over transport: Transport) {
        receivedTraffic[Int(transport.rawValue)].messages += UInt64(messages)
        receivedTraffic[Int(transport.rawValue)].octets += UInt64(octets)
    }

    mutating func countSent(_ transmission: Transmission) {
        let transport = transmission.flow.transport
        sentTraffic[Int(transport.rawValue)].messages += 1
        sentTraffic[Int(transport.rawValue)].octets += UInt64(transmission.count)
        sentKinds.count(transport, transmission.method, transmission.status)
    }

    /// Adds what another shard of the same node has counted.
    public mutating func add(_ other: RuntimeCounters) {
        for i in 0..<receivedTraffic.count {
            receivedTraffic[i].add(other.receivedTraffic[i])
            sentTraffic[i].add(other.sentTraffic[i])
        }
        sentKinds.add(other.sentKinds)
        for i in drops.indices { drops[i] += other.drops[i] }
        for i in endings.indices { endings[i] += other.endings[i] }
        streamsOpened += other.streamsOpened
        streamsOpen += other.streamsOpen
        stunAnswered += other.stunAnswered
    }

    mutating func count(_ reason: DropReason) { drops[reason.index] += 1 }
    mutating func count(_ ending: StreamEnding) { endings[ending.index] += 1 }
}

extension DropReason {
    var index: Int { DropReason.indices[self] ?? 0 }
    private static let indices = Dictionary(uniqueKeysWithValues: allCases.enumerated().map { ($1, $0) })
}

extension StreamEnding {
    var index: Int { StreamEnding.indices[self] ?? 0 }
    private static let indices = Dictionary(uniqueKeysWithValues: allCases.enumerated().map { ($1, $0) })
}

/// Counts by transport, method and status: some dozens of kinds in an open-addressed table, so that to count a message
/// is one look into an array. Its keys are the core's own, so no peer can choose them to collide.
private struct KindTable: Sendable {
    /// The key beside its count; no key is 0.
    private var entries = [(key: UInt32, count: UInt64)](repeating: (0, 0), count: 256)
    private var used = 0

    var all: [RuntimeCounters.Sent] {
        entries.compactMap { key, count in
            guard key != 0, let transport = Transport(rawValue: UInt8(key >> 24 & 0x7F)) else { return nil }
            let method = UInt8(truncatingIfNeeded: key >> 16)
            return RuntimeCounters.Sent(transport: transport, method: method, status: UInt16(key & 0xFFFF), messages: count)
        }
    }

    mutating func count(_ transport: Transport, _ method: UInt8, _ status: UInt16) {
        count(1 << 31 | UInt32(transport.rawValue) << 24 | UInt32(method) << 16 | UInt32(status), 1)
    }

    mutating func add(_ other: KindTable) {
        for entry in other.entries where entry.key != 0 { count(entry.key, entry.count) }
    }

    private mutating func count(_ key: UInt32, _ messages: UInt64) {
        let slot = slot(for: key)
        if entries[slot].key == 0 {
            entries[slot].key = key
            used += 1
        }
        entries[slot].count += messages
        if used * 2 > entries.count { grow() }
    }

    private func slot(for key: UInt32) -> Int {
        var slot = Int(key &* 0x9E37_79B1 >> 8) & (entries.count - 1)
        while entries[slot].key != key, entries[slot].key != 0 { slot = (slot + 1) & (entries.count - 1) }
        return slot
    }

    private mutating func grow() {
        let old = entries
        entries = [(key: UInt32, count: UInt64)](repeating: (0, 0), count: old.count * 2)
        for entry in old where entry.key != 0 { entries[slot(for: entry.key)] = entry }
    }
}
