import SIPTrace
import SansIO
import Testing

@Suite struct PcapngTests {
    private func file(_ messages: [TracedMessage]) -> [UInt8] {
        var writer = PcapngWriter()
        var file = writer.take()
        for message in messages {
            writer.append(message)
            file += writer.take()
        }
        return file
    }

    private func message(
        _ octets: [UInt8], _ direction: TraceDirection = .incoming, _ transport: Transport = .tcp, sequence: UInt64 = 1,
        remotePort: UInt16 = 40_000
    ) -> TracedMessage {
        TracedMessage(
            sequence: sequence, time: WallTime(microseconds: 1_767_225_600_000_001), direction: direction, transport: transport,
            local: Endpoint(address: .loopback, port: 5061), remote: Endpoint(address: .loopback, port: remotePort), octets: octets)
    }

    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
    func whatIsWrittenIsReadBack(seed: UInt64) throws {
        var maker = MessageMaker(seed: seed)
        let messages = (1...200).map { maker.message($0) }
        #expect(try PcapngReader.messages(in: file(messages)) == messages)
    }

    @Test(arguments: [11, 12] as [UInt64])
    func everyPacketIsSound(seed: UInt64) throws {
        var maker = MessageMaker(seed: seed)
        let messages = (1...200).map { maker.message($0) }
        let capture = try CaptureFile(file(messages))
        #expect(capture.linkType == 101)
        #expect(capture.packets.count >= messages.count)
        // Of a stream all octets are there, in order and without a gap, both ways.
        var sent: [String: Int] = [:]
        for packet in capture.packets where packet.protocolNumber == 6 {
            let forth = "\(packet.source) \(packet.sourcePort) \(packet.destination) \(packet.destinationPort)"
            let back = "\(packet.destination) \(packet.destinationPort) \(packet.source) \(packet.sourcePort)"
            #expect(packet.sequence == sent[forth, default: 1])
            #expect(packet.acknowledged == sent[back, default: 1])
            sent[forth, default: 1] += packet.payload.count
        }
        for packet in capture.packets { #expect(packet.comment.contains("direction=\(packet.isInbound ? "in" : "out") ")) }
    }

    @Test func whatCameInByTLSStandsThereReadable() throws {
        var message = message(Array("OPTIONS sip:h SIP/2.0\r\n\r\n".utf8), .incoming, .tls, sequence: 7)
        message.peer = "im"
        message.mark = .delayed
        let packet = try #require(try CaptureFile(file([message])).packets.first)
        #expect(packet.protocolNumber == 6 && packet.payload == message.octets)
        #expect(packet.sourcePort == 40_000 && packet.destinationPort == 5061 && packet.isInbound)
        #expect(packet.comment == "sipcore sequence=7 direction=in transport=tls octets=25 fault=delayed peer=im")
        #expect(packet.microseconds == 1_767_225_600_000_001)
    }

    @Test func aLongMessageOfAStreamHasSeveralSegments() throws {
        let octets = [UInt8](repeating: 0x61, count: 65_536)
        let written = file([message(octets), message([1], sequence: 2)])
        let packets = try CaptureFile(written).packets
        #expect(packets.map(\.payload.count) == [65_000, 536, 1])
        #expect(packets.map(\.sequence) == [1, 65_001, 65_537])
        #expect(try PcapngReader.messages(in: written).map(\.octets) == [octets, [1]])
    }

    @Test func aDatagramHasOnePacketHoweverLong() throws {
        let packets = try CaptureFile(file([message([UInt8](repeating: 0x61, count: 65_536), .outgoing, .udp)])).packets
        #expect(packets.map(\.payload.count) == [65_507])
        #expect(packets.map(\.sourcePort) == [5061] && packets.map(\.protocolNumber) == [17])
    }

    @Test func anEmptyMessageIsAPacketToo() throws {
        let messages = [message([]), message([], .outgoing, .udp, sequence: 2)]
        #expect(try CaptureFile(file(messages)).packets.map(\.payload) == [[], []])
        #expect(try PcapngReader.messages(in: file(messages)) == messages)
    }

    @Test func addressesOfTwoFamiliesBecomeOne() throws {
        var wildcard = message([1], .incoming, .udp)
        wildcard.local = Endpoint(address: IPAddress(high: 0, low: 0), port: 5060)
        var mixed = message([1], .incoming, .udp)
        mixed.local = Endpoint(address: IPAddress(high: 0, low: 1), port: 5060)
        let packets = try CaptureFile(file([wildcard, mixed])).packets
        #expect(packets[0].destination == [0, 0, 0, 0] && packets[0].source == [127, 0, 0, 1])
        #expect(packets[1].source == Array(repeating: 0, count: 10) + [255, 255, 127, 0, 0, 1])
        #expect(try PcapngReader.messages(in: file([mixed])) == [mixed])
    }

    @Test func whatIsNoFileOfOursIsRefused() throws {
        #expect(throws: PcapngFailure.notPcapng) { try PcapngReader.messages(in: []) }
        #expect(throws: PcapngFailure.notPcapng) { try PcapngReader.messages(in: Array("SIP/2.0 200 OK".utf8)) }
        let whole = file([message([1, 2, 3])])
        for count in 13..<whole.count {
            // Cut between two blocks it is a shorter file.
            let rest = Array(whole[..<count])
            if let found = try? PcapngReader.messages(in: rest) { #expect(found.isEmpty) }
        }
        var foreign = whole
        let place = try #require(foreign.firstRange(of: Array("sipcore sequence".utf8)))
        foreign[place.lowerBound] = 0x53
        #expect(throws: PcapngFailure.foreign) { try PcapngReader.messages(in: foreign) }
    }

    @Test func noOctetMakesTheReaderStumble() throws {
        var maker = MessageMaker(seed: 99)
        let whole = file((1...3).map { _ in message([UInt8](repeating: 7, count: Int(maker.number(below: 40)))) })
        for place in whole.indices {
            for octet in [0, 0x7F, 0xFF] as [UInt8] {
                var spoilt = whole
                spoilt[place] = octet
                _ = try? PcapngReader.messages(in: spoilt)
            }
        }
    }
}
