// Asks a SIP server whether it is there: any answer to OPTIONS (RFC 3261 section 11) will do.

import Dispatch
import Glibc
import Topology

/// Probes one address until it answers.
struct OptionsProbe: Sendable {
    var uri: String
    var address: HostAndPort
    var isStream: Bool

    /// Longest wait for one answer; a server that came up meanwhile is asked again this often.
    private static let intervalMilliseconds = 200
    private static let queue = DispatchQueue(label: "sipcore.lab.options", attributes: .concurrent)

    /// Asks until an answer comes or the time is over; false then, or as soon as the task is cancelled.
    func isAnswered(within milliseconds: Int) async -> Bool {
        let deadline = monotonicMilliseconds() + Int64(milliseconds)
        while !Task.isCancelled, monotonicMilliseconds() < deadline {
            let isThere = await withCheckedContinuation { done in
                OptionsProbe.queue.async { done.resume(returning: askOnce()) }
            }
            if isThere { return true }
            // A refused connection comes back at once.
            try? await Task.sleep(for: .milliseconds(25))
        }
        return false
    }

    private func askOnce() -> Bool {
        let type = isStream ? SOCK_STREAM : SOCK_DGRAM
        guard let descriptor = connectedSocket(to: address, type: type, timeoutMilliseconds: OptionsProbe.intervalMilliseconds) else {
            return false
        }
        defer { close(descriptor) }
        guard let local = localAddress(of: descriptor), writeAll(request(from: local), to: descriptor) else { return false }
        return readSome(descriptor).map { !$0.isEmpty } ?? false
    }

    private func request(from local: HostAndPort) -> String {
        let transport = isStream ? "TCP" : "UDP"
        let token = String(UInt64.random(in: .min ... .max), radix: 36)
        return """
            OPTIONS \(uri) SIP/2.0\r
            Via: SIP/2.0/\(transport) \(local);branch=z9hG4bK\(token);rport\r
            Max-Forwards: 0\r
            From: <sip:lab@\(local)>;tag=\(token)\r
            To: <\(uri)>\r
            Call-ID: \(token)@lab\r
            CSeq: 1 OPTIONS\r
            Contact: <sip:lab@\(local)>\r
            Content-Length: 0\r
            \r

            """
    }
}

/// The address that a connected socket sends from.
private func localAddress(of descriptor: Int32) -> HostAndPort? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    var service = [CChar](repeating: 0, count: Int(NI_MAXSERV))
    let isKnown = withUnsafeMutablePointer(to: &storage) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            getsockname(descriptor, $0, &length) == 0
                && getnameinfo(
                    $0, length, &host, socklen_t(host.count), &service, socklen_t(service.count), NI_NUMERICHOST | NI_NUMERICSERV) == 0
        }
    }
    guard isKnown else { return nil }
    let texts = [host, service].map { text in String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) }
    return UInt16(texts[1]).map { HostAndPort(host: texts[0], port: $0) }
}
