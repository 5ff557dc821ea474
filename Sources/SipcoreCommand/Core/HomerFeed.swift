// What the core records, sent on to Homer (core.hep) while it runs. It reads the trace as any caller of the HTTP interface
// does: the core never waits for it, and what it is too slow for is counted as lost.

import ControlHTTP
import Glibc
import NodeRuntime
import SCSCF
import SIPMessage
import SIPTrace
import SansIO
import Synchronization
import Topology

/// Sends each recorded message in a HEP3 packet over UDP.
final class HomerFeed: Sendable {
    private let shards: ShardGroup<ServingCSCF>
    private let agent: HEPAgent
    private let descriptor: Int32
    private let sent = Atomic<UInt64>(0)
    private let lost = Atomic<UInt64>(0)

    /// Messages copied in one go, on the thread of the core.
    private static let page = 128
    private static let patience = TimeSpan.seconds(1)

    init(_ settings: HomerSettings, _ shards: ShardGroup<ServingCSCF>) throws(CommandFailure) {
        self.shards = shards
        agent = HEPAgent(captureID: settings.captureID, password: settings.password)
        guard let address = HostResolver.resolve(settings.address.host, port: settings.address.port) else {
            throw CommandFailure(status: 3, text: "core.hep: the host '\(settings.address.host)' is not known")
        }
        let family = address.address.isIPv6 ? AF_INET6 : AF_INET
        descriptor = socket(family, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0, HomerFeed.connect(descriptor, to: address) == 0 else {
            throw CommandFailure(status: 3, text: "core.hep: \(address.text) cannot be sent to: \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    /// A socket's address as the system has it: network order in both families.
    private static func connect(_ descriptor: Int32, to endpoint: Endpoint) -> Int32 {
        if endpoint.address.isIPv6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = endpoint.port.bigEndian
            withUnsafeMutableBytes(of: &address.sin6_addr) { octets in
                octets.storeBytes(of: endpoint.address.high.bigEndian, as: UInt64.self)
                octets.storeBytes(of: endpoint.address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            return connect(descriptor, address)
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = endpoint.port.bigEndian
        address.sin_addr.s_addr = UInt32(truncatingIfNeeded: endpoint.address.low).bigEndian
        return connect(descriptor, address)
    }

    private static func connect<Address>(_ descriptor: Int32, _ address: Address) -> Int32 {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
            }
        }
    }

    // MARK: Sending

    /// Sends what is recorded until the task is cancelled, then what is there still.
    func run() async {
        var last: UInt64 = 0
        var resets: UInt64 = 0
        while !Task.isCancelled {
            let after = last
            _ = await shards.waitForMessages(after: after, until: SystemClock.now.monotonic + HomerFeed.patience)
            while await sendPage(&last, &resets) {}
        }
    }

    /// Whether there was something to send.
    private func sendPage(_ last: inout UInt64, _ resets: inout UInt64) async -> Bool {
        let after = last
        let page = await shards.withTrace { $0.messages(after: after, limit: HomerFeed.page) }
        if page.resets != resets {
            resets = page.resets
            last = 0
            return true
        }
        guard let first = page.messages.first else { return false }
        if first.sequence > last + 1 { lost.add(first.sequence - last - 1, ordering: .relaxed) }
        for message in page.messages { send(message) }
        last = page.messages.last?.sequence ?? last
        return true
    }

    private func send(_ recorded: RecordedMessage) {
        let packet = agent.packet(SIPTrace::TracedMessage(recorded, peer: nil), correlation: HomerFeed.callID(of: recorded.octets))
        guard let packet, isSent(packet) else {
            lost.add(1, ordering: .relaxed)
            return
        }
        sent.add(1, ordering: .relaxed)
    }

    /// An earlier packet that found nobody is told at the next one, which is then tried again.
    private func isSent(_ packet: [UInt8]) -> Bool {
        for _ in 0..<2 {
            let count = packet.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count == packet.count { return true }
            guard errno == ECONNREFUSED || errno == EINTR else { return false }
        }
        return false
    }

    private static func callID(of octets: [UInt8]) -> String? {
        var scanner = MessageScanner()
        let bytes = octets.span.bytes
        _ = scanner.scan(bytes)
        return scanner.message(bytes).value(.callID).map { String(octets: bytes[$0]) }
    }

    // MARK: Figures

    var families: [MetricFamily] {
        [
            MetricFamily(
                "sipcore_hep_messages_total", .counter, help: "Recorded messages sent to Homer.",
                [MetricFamily.Sample(count: sent.load(ordering: .relaxed))]),
            MetricFamily(
                "sipcore_hep_lost_total", .counter,
                help: "Recorded messages that did not go to Homer: forgotten before their turn, too long, or nobody there.",
                [MetricFamily.Sample(count: lost.load(ordering: .relaxed))]),
        ]
    }
}
