import Glibc
import SansIO
import Synchronization
import Testing

@testable import NodeRuntime

/// The name service against a DNS server that answers well, badly, late or not at all. Whatever it does, each question gets one
/// answer.
@Suite(.timeLimit(.minutes(1))) struct NameServiceTests {
    private static func service(_ stub: NameServerStub, _ change: (inout NameService.Settings) -> Void = { _ in }) -> NameService {
        var settings = NameService.Settings(server: stub.endpoint)
        settings.seconds = 1
        settings.attempts = 1
        change(&settings)
        return NameService(settings)
    }

    private static func answer(_ service: NameService, _ name: String, _ type: NameRecordType) async -> NameAnswer {
        await withCheckedContinuation { continuation in
            service.ask(NameQuery(Array(name.utf8), type)) { continuation.resume(returning: $0) }
        }
    }

    private static func address(_ text: String) throws -> NameRecord { .address(try #require(IPAddress(text))) }

    // MARK: Records

    @Test func recordsOfAllTypes() async throws {
        let stub = try NameServerStub { question in
            switch question.text {
            case "naptr home.test":
                .datagram(
                    question.answer([
                        DNSRecord.naptr("home.test", 10, 50, "s", "SIP+D2U", "_sip._udp.Home.test"),
                        DNSRecord.naptr("home.test", 20, 60, "u", "E2U+sip", "", expression: "!^.*$!sip:x@y!"),
                    ]))
            case "srv _sip._udp.home.test":
                .datagram(
                    question.answer([
                        DNSRecord.srv("_sip._udp.home.test", 1, 2, 5070, "a.home.test"),
                        DNSRecord.srv("_sip._udp.home.test", 3, 4, 0, ""),
                    ]))
            case "a a.home.test": .datagram(question.answer([DNSRecord.a("a.home.test", [192, 0, 2, 1], lifetime: 300)]))
            case "aaaa a.home.test":
                .datagram(
                    question.answer([DNSRecord.record("a.home.test", 28, [0x20, 1, 0x0D, 0xB8] + Array(repeating: 0, count: 11) + [7])]))
            default: .datagram(question.answer(code: 3))
            }
        }
        let service = Self.service(stub)
        #expect(
            await Self.answer(service, "home.test", .naptr).records == [
                .pointer(
                    order: 10, preference: 50, flags: Array("s".utf8), service: Array("SIP+D2U".utf8),
                    replacement: Array("_sip._udp.home.test".utf8))
            ])
        #expect(
            await Self.answer(service, "_sip._udp.home.test", .srv).records == [
                .server(priority: 1, weight: 2, port: 5070, target: Array("a.home.test".utf8)),
                .server(priority: 3, weight: 4, port: 0, target: []),
            ])
        let address = await Self.answer(service, "a.home.test", .a)
        #expect(address.records == [try Self.address("192.0.2.1")])
        #expect(address.lifetime == .seconds(300))
        #expect(await Self.answer(service, "a.home.test", .aaaa).records == [try Self.address("2001:db8::7")])
        let absent = await Self.answer(service, "nobody.test", .a)
        #expect(absent.isConclusive)
        #expect(absent.records.isEmpty)
    }

    @Test func anAliasIsFollowed() async throws {
        let stub = try NameServerStub { question in
            .datagram(
                question.answer([
                    DNSRecord.alias("www.test", "Other.test", lifetime: 20), DNSRecord.alias("other.test", "last.test"),
                    DNSRecord.a("last.test", [192, 0, 2, 5]), DNSRecord.a("stray.test", [192, 0, 2, 66]),
                ]))
        }
        let answer = await Self.answer(Self.service(stub), "www.test", .a)
        #expect(answer.records == [try Self.address("192.0.2.5")])
        #expect(answer.lifetime == .seconds(20))
    }

    @Test func aTruncatedAnswerIsAskedForOverTCP() async throws {
        let stub = try NameServerStub(
            overStream: { question in question.answer((1...20).map { DNSRecord.a("many.test", [192, 0, 2, $0]) }) },
            { .datagram($0.answer(isTruncated: true)) })
        let answer = await Self.answer(Self.service(stub), "many.test", .a)
        #expect(answer.records.count == 20)
        #expect(stub.asked == ["a many.test", "+a many.test"])
    }

    @Test func moreRecordsThanAreKept() async throws {
        let stub = try NameServerStub { question in
            .datagram(question.answer((0..<100).map { DNSRecord.a("many.test", [192, 0, 2, UInt8($0)]) }))
        }
        #expect(await Self.answer(Self.service(stub), "many.test", .a).records.count == 32)
    }

    // MARK: Malice and misfortune

    private enum Fault: String, CaseIterable {
        case silence, wrongIdentifier, serverFailure, refused, empty, headerAlone, cutRecord, pointerToItself, pointerPastTheEnd
        case countWithoutRecords, aliasOfItself, shortAddress, stringPastTheRecord, longNames, noise

        func reply(to question: DNSQuestion) -> NameServerStub.Reply {
            let owner = "bad.test"
            switch self {
            case .silence: return .silence
            case .wrongIdentifier:
                let right = UInt16(question.octets[0]) << 8 | UInt16(question.octets[1])
                return .datagrams((1...20).map { question.answer([DNSRecord.a(owner, [6, 6, 6, 6])], identifier: right &+ $0) })
            case .serverFailure: return .datagram(question.answer(code: 2))
            case .refused: return .datagram(question.answer(code: 5))
            case .empty: return .datagram([0])
            case .headerAlone: return .datagram(Array(question.answer([[]]).prefix(12)))
            case .cutRecord: return .datagram(question.answer([Array(DNSRecord.srv(owner, 0, 0, 1, "x.test").dropLast(4))]))
            case .pointerToItself:
                let start = UInt8(question.octets.count)
                return .datagram(question.answer([[0xC0, start] + DNSRecord.a("", [1, 2, 3, 4]).dropFirst()]))
            case .pointerPastTheEnd: return .datagram(question.answer([[0xFF, 0xFF] + DNSRecord.a("", [1, 2, 3, 4]).dropFirst()]))
            case .countWithoutRecords:
                var answer = question.answer()
                (answer[6], answer[7]) = (0xFF, 0xFF)
                return .datagram(answer)
            case .aliasOfItself: return .datagram(question.answer([DNSRecord.alias(owner, owner)]))
            case .shortAddress: return .datagram(question.answer([DNSRecord.record(owner, question.type, [1, 2])]))
            case .stringPastTheRecord:
                return .datagram(question.answer([DNSRecord.record(owner, question.type, [0, 1, 0, 1, 200, 1, 1, 1])]))
            case .longNames:
                let long = Array(repeating: String(repeating: "x", count: 63), count: 5).joined(separator: ".")
                return .datagram(question.answer([DNSRecord.srv(owner, 0, 0, 1, long)]))
            case .noise: return .datagram(Array(question.octets.prefix(2)) + (0..<510).map { UInt8(truncatingIfNeeded: $0 &* 197) })
            }
        }
    }

    @Test(arguments: Fault.allCases.map(\.rawValue), [NameRecordType.srv, .naptr, .a])
    func aBadAnswerIsNone(fault: String, type: NameRecordType) async throws {
        let fault = try #require(Fault(rawValue: fault))
        let stub = try NameServerStub(overStream: { _ in [] }, { fault.reply(to: $0) })
        let service = Self.service(stub)
        #expect(await Self.answer(service, "bad.test", type).records.isEmpty)
    }

    @Test func afterABadAnswerAGoodOneIsUnderstood() async throws {
        let stub = try NameServerStub { question in
            question.name == "bad.test" ? .datagram([1, 2, 3]) : .datagram(question.answer([DNSRecord.a("good.test", [192, 0, 2, 9])]))
        }
        let service = Self.service(stub)
        _ = await Self.answer(service, "bad.test", .a)
        #expect(await Self.answer(service, "good.test", .a).records == [try Self.address("192.0.2.9")])
    }

    // MARK: Memory and bounds

    @Test func whatIsKnownIsNotAskedAgain() async throws {
        let stub = try NameServerStub { .datagram($0.answer([DNSRecord.a("kept.test", [192, 0, 2, 1])])) }
        let service = Self.service(stub)
        for _ in 0..<5 { #expect(await Self.answer(service, "kept.test", .a).records.count == 1) }
        #expect(stub.asked == ["a kept.test"])
    }

    @Test func theOldestIsForgotten() async throws {
        let stub = try NameServerStub { .datagram($0.answer([DNSRecord.a($0.name, [192, 0, 2, 1])])) }
        let service = Self.service(stub) { $0.cacheLimit = 2 }
        for name in ["one.test", "two.test", "three.test", "three.test", "one.test"] { _ = await Self.answer(service, name, .a) }
        #expect(stub.asked == ["a one.test", "a two.test", "a three.test", "a one.test"])
    }

    @Test func oneQuestionForAllWhoWait() async throws {
        let stub = try NameServerStub { question in
            // Long enough for all to ask meanwhile.
            usleep(200_000)
            return .datagram(question.answer([DNSRecord.a("slow.test", [192, 0, 2, 1])]))
        }
        let service = Self.service(stub)
        let counts = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<20 { group.addTask { await Self.answer(service, "slow.test", .a).records.count } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(counts == Array(repeating: 1, count: 20))
        #expect(stub.asked == ["a slow.test"])
    }

    @Test func moreQuestionsThanMayWaitAreAnsweredAtOnce() async throws {
        let stub = try NameServerStub { _ in .silence }
        let service = Self.service(stub) {
            $0.threads = 1
            $0.queueLimit = 2
        }
        let answered = Mutex<[Int]>([])
        for number in 0..<10 {
            service.ask(NameQuery(Array("n\(number).test".utf8), .a)) { answer in
                #expect(!answer.isConclusive)
                answered.withLock { $0.append(number) }
            }
        }
        // One may be under way and two wait; the rest has had its answer before `ask` returned.
        #expect(answered.withLock { $0.count } >= 7)
        while answered.withLock({ $0.count }) < 10 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(answered.withLock { Set($0).count } == 10)
    }

    // MARK: With a shard

    @Test func aShardServesWhileItsQuestionIsOpen() async throws {
        let stub = try NameServerStub { _ in .silence }
        var configuration = ShardConfiguration.quiet
        configuration.names = Self.service(stub)
        let shard = try startProbe([.udp], at: .loopback, configuration)
        shard.post { _, _, effects in
            effects.names.questions.append(NameQuestion(number: 7, query: NameQuery(Array("silent.test".utf8), .a)))
        }
        let peer = TestSocket.datagram()
        peer.send("echo hello", to: shard.listeners[0].local)
        #expect(peer.receive() == "hello")
        let events = try await shard.until { events, _ in events.contains(.named(7, [], false)) }
        #expect(events.first != .named(7, [], false))
        await shard.stop()
    }

    @Test func anAnswerReachesTheCore() async throws {
        let stub = try NameServerStub { .datagram($0.answer([DNSRecord.a("a.test", [192, 0, 2, 1])])) }
        var configuration = ShardConfiguration.quiet
        configuration.names = Self.service(stub)
        let shard = try startProbe([.udp], at: .loopback, configuration)
        shard.post { _, _, effects in
            effects.names.questions.append(NameQuestion(number: 9, query: NameQuery(Array("a.test".utf8), .a)))
        }
        let expected = ProbeNode.Event.named(9, [try Self.address("192.0.2.1")], true)
        #expect(try await shard.until { events, _ in !events.isEmpty } == [expected])
        await shard.stop()
    }

    @Test func withoutANameServiceNobodyAnswers() async throws {
        let shard = try startProbe()
        shard.post { _, _, effects in
            effects.names.questions.append(NameQuestion(number: 3, query: NameQuery(Array("a.test".utf8), .a)))
        }
        #expect(try await shard.until { events, _ in !events.isEmpty } == [.named(3, [], false)])
        await shard.stop()
    }
}
