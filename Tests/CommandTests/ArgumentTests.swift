// Values as they are written on the command line.

import NodeRuntime
import SIPRegistrar
import SansIO
import Testing

@testable import SipcoreCommand

@Suite struct ArgumentTests {
    @Test(arguments: [
        ("0s", 0), ("700ms", 700), ("2s", 2000), ("5m", 300_000), ("1h", 3_600_000), ("7d", 604_800_000), ("3650d", 315_360_000_000),
    ])
    func durations(text: String, milliseconds: Int) {
        #expect(DurationArgument(argument: text)?.span == .milliseconds(milliseconds))
    }

    @Test(arguments: ["", "s", "2", "2 s", "-1s", "1.5s", "2sec", "2S", "3651d", "99999999999999999999s", "9223372036854775807d"])
    func whatIsNoDuration(text: String) { #expect(DurationArgument(argument: text) == nil) }

    @Test(arguments: ["10s", "700ms", "7d", "90s", "25h"])
    func aDefaultIsShownAsItIsWritten(text: String) throws {
        let span = try #require(DurationArgument(argument: text)).span
        #expect(DurationArgument(span).defaultValueDescription == text)
    }

    @Test(arguments: [
        ("udp://127.0.0.1:5080", Transport.udp, "127.0.0.1:5080"), ("tcp://127.0.0.1:0", .tcp, "127.0.0.1:0"),
        ("UDP://[::1]:5060", .udp, "[::1]:5060"), ("tls://127.0.0.1:5081", .tls, "127.0.0.1:5081"),
        ("udp://0.0.0.0:65535", .udp, "0.0.0.0:65535"),
    ])
    func listenAddresses(text: String, transport: Transport, endpoint: String) throws {
        let address = try NodeRuntime.ListenAddress(argument: text)
        #expect(address.transport == transport)
        #expect(address.endpoint.text == endpoint)
    }

    @Test(arguments: [
        ("k=000000000000000000000000000000ab,opc=000000000000000000000000000000CD", UInt16(0x8000), UInt64(0)),
        ("amf=b9b9,opc=000000000000000000000000000000cd,sqn=0000000000a0,k=000000000000000000000000000000ab", 0xB9B9, 0xA0),
    ])
    func keysOfSIMs(text: String, amf: UInt16, sqn: UInt64) throws {
        let expected = AKACredentials(k: 0xAB, opc: 0xCD, amf: amf, sqn: SequenceNumber(rawValue: sqn))
        #expect(try AKACredentials(argument: text) == expected)
    }

    @Test(arguments: [
        "", "k", "k=ab,opc=cd", "k=+00000000000000000000000000000ab,opc=000000000000000000000000000000cd",
        "opc=000000000000000000000000000000cd", "k=000000000000000000000000000000ab",
        "k=000000000000000000000000000000ab,k=000000000000000000000000000000ab,opc=000000000000000000000000000000cd",
        "k=000000000000000000000000000000ab,opc=000000000000000000000000000000cd,op=000000000000000000000000000000cd",
        "k=000000000000000000000000000000ab,opc=000000000000000000000000000000cd,", "key=00",
    ])
    func whatAreNoKeysOfASIM(text: String) {
        #expect(throws: CommandFailure.self) { try AKACredentials(argument: text) }
    }

    @Test(arguments: Transport.allCases) func aCoreListensByEachTransport(transport: Transport) throws {
        let address = try NodeRuntime.ListenAddress(argument: "\(transport.name)://127.0.0.1:5071", among: Transport.allCases)
        #expect(address.transport == transport)
    }

    @Test(arguments: [
        "127.0.0.1:5060", "udp://", "udp://127.0.0.1", "udp://:5060", "udp://127.0.0.1:65536", "udp://127.0.0.1:-1", "udp://[::1:5060",
        "udp://[::1]5060", "ws://127.0.0.1:8080", "sctp://127.0.0.1:5060", "udp://host.invalid:5060", "udp://127.0.0.1:50 60",
    ])
    func whatIsNoListenAddress(text: String) throws {
        let failure = try #require(throws: CommandFailure.self) { _ = try NodeRuntime.ListenAddress(argument: text) }
        #expect(failure.status == 2)
        #expect(failure.text?.hasPrefix("--listen \(text): ") == true)
    }

    @Test(arguments: [
        ("sip:127.0.0.1:5060", Transport.udp, "127.0.0.1:5060"), ("sip:127.0.0.1", .udp, "127.0.0.1:5060"),
        ("sip:[::1]:5070;transport=TCP", .tcp, "[::1]:5070"), ("sip:127.0.0.1:5070;lr;transport=udp", .udp, "127.0.0.1:5070"),
        ("sip:127.0.0.1:5071;transport=tls", .tls, "127.0.0.1:5071"), ("sip:127.0.0.1;transport=tls", .tls, "127.0.0.1:5061"),
    ])
    func theCore(text: String, transport: Transport, endpoint: String) throws {
        let core = try CoreAddress(argument: text)
        #expect(core.uri == text)
        #expect(core.transport == transport)
        #expect(core.endpoint.text == endpoint)
    }

    @Test(arguments: [
        ("127.0.0.1:5060", Int32(2)), ("tel:+15550100", 2), ("sips:127.0.0.1", 2), ("sip:127.0.0.1;transport=sctp", 2), ("sip:", 2),
        ("sip:127.0.0.1;transport=ws", 2),
        ("sip:host.invalid", 3),
    ])
    func whatIsNoCore(text: String, status: Int32) throws {
        let failure = try #require(throws: CommandFailure.self) { _ = try CoreAddress(argument: text) }
        #expect(failure.status == status)
        #expect(failure.text?.hasPrefix("--core \(text): ") == true)
    }

    @Test(arguments: [("127.0.0.1:0", "127.0.0.1:0"), ("http://127.0.0.1:8080", "127.0.0.1:8080"), ("[::1]:8080", "[::1]:8080")])
    func httpAddresses(text: String, endpoint: String) throws { #expect(try Endpoint(httpArgument: text).text == endpoint) }

    @Test(arguments: ["", "8080", "127.0.0.1", "https://127.0.0.1:8080", "127.0.0.1:x"])
    func whatIsNoHTTPAddress(text: String) throws {
        #expect(try #require(throws: CommandFailure.self) { _ = try Endpoint(httpArgument: text) }.status == 2)
    }

    @Test func aNameIsResolvedByTheSystem() {
        #expect(HostResolver.resolve("localhost", port: 5060)?.address.isLoopback == true)
        #expect(HostResolver.resolve("localhost", port: 5060)?.port == 5060)
        #expect(HostResolver.resolve("host.invalid", port: 5060) == nil)
    }
}
