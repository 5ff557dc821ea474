// What machines and people read: the ready line and the log.

import JSONText
import Glibc
import Logging
import SansIO
import Testing

@testable import SipcoreCommand

@Suite struct OutputTests {
    @Test func theReadyLineNamesRoleAndAddresses() {
        let listener = Listener(transport: .udp, local: Endpoint(address: .loopback, port: 5060))
        let other = Listener(transport: .tcp, local: Endpoint(address: IPAddress(high: 0, low: 1), port: 5061))
        let line = ReadyLine.text(
            role: "core", sip: [listener, other], http: Endpoint(address: .loopback, port: 8080), extra: [.init("nodes", .object([]))])
        #expect(
            line == #"{"event":"ready","role":"core","pid":\#(getpid()),"sip":["udp://127.0.0.1:5060","tcp://[::1]:5061"],"#
                + #""http":"http://127.0.0.1:8080","nodes":{}}"#)
        #expect(ReadyLine.text(role: "im-client", sip: [], http: nil, extra: []).hasSuffix(#""sip":[]}"#))
    }

    private func event(_ message: Logger.Message) -> LogEvent {
        LogEvent(level: .warning, message: message, metadata: nil, source: "test", file: "", function: "", line: 0)
    }

    private let details = [(key: "flow", value: "udp"), (key: "peer", value: "127.0.0.1")]
    private let time = WallTime(microseconds: 1_795_334_700_000_123)

    @Test func aLogLineForPeople() {
        let output = LogOutput(label: "core", level: .info, format: .text)
        #expect(output.line(event("dropped"), [], at: time) == "2026-11-22T08:05:00.000123Z warning core: dropped")
        #expect(output.line(event("dropped"), details, at: time).hasSuffix(" core: dropped (flow=udp peer=127.0.0.1)"))
    }

    @Test func whatCameFromTheNetworkCannotStartALineOrMoveACursor() {
        let output = LogOutput(label: "core", level: .info, format: .text)
        #expect(output.line(event("a\nb\u{1b}[2Jc\u{7f}"), [], at: time).hasSuffix(" core: a·b·[2Jc·"))
    }

    @Test func aLogLineForMachines() {
        let output = LogOutput(label: "core", level: .info, format: .json)
        #expect(
            output.line(event("a \"b\"\n"), details, at: time)
                == #"{"time":"2026-11-22T08:05:00.000123Z","level":"warning","label":"core","message":"a \"b\"\n","flow":"udp","peer":"127.0.0.1"}"#
        )
    }

    @Test func theLevelIsThatOfEachLogger() {
        var logger = Logger(label: "core") { LogOutput(label: $0, level: .notice, format: .text) }
        let other = logger
        logger.logLevel = .error
        #expect(other.logLevel == .notice)
        logger[metadataKey: "shard"] = "1"
        #expect(logger[metadataKey: "shard"] == "1" && other[metadataKey: "shard"] == nil)
    }
}
