// Capture files that `PcapngWriter` wrote, read back.

import SansIO

/// Why a file is not taken for a trace.
public enum PcapngFailure: Error, Hashable, Sendable, CustomStringConvertible {
    case notPcapng
    /// At this octet the file breaks off, or a block is not what it should be.
    case damaged(offset: Int)
    /// It has packets, but none with a comment of ours.
    case foreign

    public var description: String {
        switch self {
        case .notPcapng: "it is no pcapng file of this machine's byte order"
        case .damaged(let offset): "it is damaged at octet \(offset)"
        case .foreign: "its packets do not say which way they went; only files that sipcore exported can be drawn"
        }
    }
}

public enum PcapngReader {
    /// The messages of a file, in its order. Packets that are not ours are passed over.
    public static func messages(in file: [UInt8]) throws(PcapngFailure) -> [TracedMessage] {
        guard file[...].little32(at: 0) == Pcapng.sectionHeader, file[...].little32(at: 8) == Pcapng.byteOrder else { throw .notPcapng }
        var messages: [TracedMessage] = []
        /// Octets that the last message still lacks.
        var missing = 0
        var packets = 0
        var offset = 0
        while offset < file.count {
            guard let kind = file[...].little32(at: offset), let length = file[...].little32(at: offset + 4).map({ Int($0) }),
                length >= 12, length % 4 == 0, let block = file[...].part(offset, length)
            else { throw .damaged(offset: offset) }
            if kind == Pcapng.enhancedPacket {
                packets += 1
                guard let packet = CapturedPacket(block) else { throw .damaged(offset: offset) }
                if let (comment, payload) = packet.message {
                    if missing > 0, let last = messages.indices.last, messages[last].sequence == comment.sequence {
                        messages[last].octets += payload.octets
                        missing -= payload.octets.count
                    } else {
                        messages.append(TracedMessage(comment, payload, at: packet.time))
                        missing = comment.octets - payload.octets.count
                    }
                }
            }
            offset += length
        }
        if messages.isEmpty, packets > 0 { throw .foreign }
        return messages
    }
}

/// An enhanced packet block.
private struct CapturedPacket {
    var time: WallTime
    var packet: ArraySlice<UInt8>
    var comment: String?

    init?(_ block: ArraySlice<UInt8>) {
        guard let high = block.little32(at: 12), let low = block.little32(at: 16), let length = block.little32(at: 20).map({ Int($0) }),
            let packet = block.part(28, length)
        else { return nil }
        time = WallTime(microseconds: Int64(bitPattern: UInt64(high) << 32 | UInt64(low)))
        self.packet = packet
        var offset = (28 + length + 3) & ~3
        while offset < block.count - 4, let code = block.little16(at: offset), code != Pcapng.endOfOptions,
            let count = block.little16(at: offset + 2).map({ Int($0) }), let value = block.part(offset + 4, count)
        {
            if code == Pcapng.comment { comment = String(decoding: value, as: UTF8.self) }
            offset += 4 + (count + 3) & ~3
        }
    }

    /// nil: it is no packet of ours.
    var message: (PacketComment, PacketPayload)? {
        guard let comment = comment.flatMap({ PacketComment($0) }), let payload = PacketPayload(packet) else { return nil }
        return (comment, payload)
    }
}

extension TracedMessage {
    fileprivate init(_ comment: PacketComment, _ payload: PacketPayload, at time: WallTime) {
        let isIncoming = comment.direction == .incoming
        self.init(
            sequence: comment.sequence, time: time, direction: comment.direction, transport: comment.transport, peer: comment.peer,
            local: (isIncoming ? payload.destination : payload.source).unmapped,
            remote: (isIncoming ? payload.source : payload.destination).unmapped, mark: comment.mark, octets: Array(payload.octets))
    }
}
