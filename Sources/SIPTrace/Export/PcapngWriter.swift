// Recorded messages as a capture file (pcapng, draft-ietf-opsawg-pcapng), for Wireshark, sngrep and their like. Packets are
// made anew round the messages, so those of TLS and WebSocket stand there readable; a comment says how each travelled.

import SansIO

/// Writes a capture file piece by piece.
public struct PcapngWriter: Sendable {
    /// What has been written since the last `take`.
    private var written: [UInt8] = []
    private var packets: UInt16 = 0
    /// Octets sent so far on each way of a stream.
    private var sent: [Way: UInt32] = [:]

    private struct Way: Hashable {
        var source: Endpoint
        var destination: Endpoint
    }

    /// IP packets without a link layer.
    static let linkType: UInt16 = 101

    /// Begins a file: its head is written.
    public init() {
        var section: [UInt8] = []
        section.append(little: Pcapng.byteOrder)
        // Version 1.0, and a section of a length that is not known yet.
        section += [1, 0, 0, 0] + Array(repeating: 0xFF, count: 8)
        write(Pcapng.sectionHeader, section, [(Pcapng.application, Array("sipcore".utf8))])
        var interface: [UInt8] = []
        interface.append(little: PcapngWriter.linkType)
        interface += [0, 0, 0, 0, 0, 0]
        write(Pcapng.interfaceDescription, interface, [(Pcapng.interfaceName, Array("sipcore".utf8))])
    }

    /// What has been written since the last time.
    public mutating func take() -> [UInt8] {
        defer { written = [] }
        return written
    }

    /// Writes a message, one packet or as many segments as it needs.
    public mutating func append(_ message: TracedMessage) {
        let (local, remote) = PcapngWriter.oneFamily(message.local, message.remote)
        let (source, destination) = message.direction == .incoming ? (remote, local) : (local, remote)
        let comment = PacketComment(message)
        guard message.transport.isReliable else {
            packets &+= 1
            // A longer one cannot have been a datagram.
            let payload = message.octets.prefix(InternetPacket.longestDatagram)
            return write(InternetPacket.datagram(from: source, to: destination, number: packets, payload), message, comment.text)
        }
        let forth = Way(source: source, destination: destination)
        let back = Way(source: destination, destination: source)
        var rest = message.octets[...]
        repeat {
            packets &+= 1
            let payload = rest.prefix(InternetPacket.longestSegment)
            rest = rest.dropFirst(payload.count)
            // Numbers begin at 1, as if the connection had been opened just before.
            write(
                InternetPacket.segment(
                    from: source, to: destination, number: packets, sequence: sent[forth, default: 1],
                    acknowledged: sent[back, default: 1], payload), message, comment.text)
            sent[forth, default: 1] &+= UInt32(payload.count)
        } while !rest.isEmpty
    }

    /// A wildcard listener may be of the other family than its peers.
    private static func oneFamily(_ local: Endpoint, _ remote: Endpoint) -> (local: Endpoint, remote: Endpoint) {
        guard local.address.isIPv6 != remote.address.isIPv6 else { return (local, remote) }
        if local.address.isUnspecified, !remote.address.isIPv6 {
            return (Endpoint(address: IPAddress(v4: 0), port: local.port), remote)
        }
        return (local.mapped, remote.mapped)
    }

    // MARK: Blocks

    private mutating func write(_ packet: [UInt8], _ message: TracedMessage, _ comment: String) {
        var block: [UInt8] = []
        block.reserveCapacity(packet.count + 32)
        let time = UInt64(bitPattern: message.time.microseconds)
        block.append(little: UInt32(0))
        block.append(little: UInt32(truncatingIfNeeded: time >> 32))
        block.append(little: UInt32(truncatingIfNeeded: time))
        block.append(little: UInt32(packet.count))
        block.append(little: UInt32(packet.count))
        block += packet
        PcapngWriter.pad(&block)
        var flags: [UInt8] = []
        flags.append(little: UInt32(message.direction == .incoming ? 1 : 2))
        write(Pcapng.enhancedPacket, block, [(Pcapng.comment, Array(comment.utf8)), (Pcapng.packetFlags, flags)])
    }

    private mutating func write(_ kind: UInt32, _ body: [UInt8], _ options: [(code: UInt16, value: [UInt8])]) {
        let start = written.count
        written.append(little: kind)
        written.append(little: UInt32(0))
        written += body
        for option in options + [(Pcapng.endOfOptions, [])] {
            let value = option.value.prefix(Int(UInt16.max))
            written.append(little: option.code)
            written.append(little: UInt16(value.count))
            written += value
            while (written.count - start) % 4 != 0 { written.append(0) }
        }
        let length = UInt32(written.count - start + 4)
        written.append(little: length)
        written.replace(little: length, at: start + 4)
    }

    private static func pad(_ octets: inout [UInt8]) {
        while octets.count % 4 != 0 { octets.append(0) }
    }
}

/// The numbers of the format.
enum Pcapng {
    static let byteOrder: UInt32 = 0x1A2B_3C4D
    static let sectionHeader: UInt32 = 0x0A0D_0D0A
    static let interfaceDescription: UInt32 = 1
    static let enhancedPacket: UInt32 = 6

    static let endOfOptions: UInt16 = 0
    static let comment: UInt16 = 1
    static let interfaceName: UInt16 = 2
    static let packetFlags: UInt16 = 2
    static let application: UInt16 = 4
}

/// What a packet does not say of its message: `sipcore sequence=12 direction=in transport=tls octets=512 peer=im`.
struct PacketComment {
    var sequence: UInt64
    var direction: TraceDirection
    var transport: Transport
    /// The octets of the message; a long one has several packets.
    var octets: Int
    var mark: TraceMark
    var peer: String?

    private static let lead = "sipcore "

    init(_ message: TracedMessage) {
        sequence = message.sequence
        direction = message.direction
        transport = message.transport
        octets = message.transport.isReliable ? message.octets.count : min(message.octets.count, InternetPacket.longestDatagram)
        mark = message.mark
        peer = message.peer
    }

    var text: String {
        var text = PacketComment.lead + "sequence=\(sequence) direction=\(direction == .incoming ? "in" : "out") "
        text += "transport=\(transport.name) octets=\(octets)"
        if let word = mark.word { text += " fault=\(word)" }
        // Last, since a name may have spaces.
        if let peer { text += " peer=\(peer)" }
        return text
    }

    /// nil: it is not one of these.
    init?(_ text: String) {
        guard text.hasPrefix(PacketComment.lead) else { return nil }
        var rest = text.dropFirst(PacketComment.lead.count)
        var words: [Substring: Substring] = [:]
        while let equals = rest.firstIndex(of: "=") {
            let name = rest[..<equals]
            let value = rest[rest.index(after: equals)...]
            let end = name == "peer" ? value.endIndex : value.firstIndex(of: " ") ?? value.endIndex
            words[name] = value[..<end]
            rest = value[end...].drop { $0 == " " }
        }
        guard let sequence = words["sequence"].flatMap({ UInt64($0) }), let octets = words["octets"].flatMap({ Int($0) }), octets >= 0,
            let direction: TraceDirection = words["direction"].flatMap({ $0 == "in" ? .incoming : $0 == "out" ? .outgoing : nil }),
            let transport = words["transport"].flatMap({ word in Transport.allCases.first { "\($0.name)" == word } })
        else { return nil }
        self.sequence = sequence
        self.octets = octets
        self.direction = direction
        self.transport = transport
        mark = words["fault"].flatMap { TraceMark(word: $0) } ?? .none
        peer = words["peer"].map(String.init)
    }
}

extension Endpoint {
    /// An IPv4 address as IPv6 has it (RFC 4291 §2.5.5.2).
    fileprivate var mapped: Endpoint {
        guard !address.isIPv6 else { return self }
        return Endpoint(address: IPAddress(high: 0, low: 0xFFFF_0000_0000 | address.low), port: port)
    }

    /// The same undone.
    var unmapped: Endpoint {
        guard address.isIPv6, address.high == 0, address.low >> 32 == 0xFFFF else { return self }
        return Endpoint(address: IPAddress(v4: UInt32(truncatingIfNeeded: address.low)), port: port)
    }
}
