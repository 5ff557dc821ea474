// The socket by which a request reaches the core as a subscriber's would: a client of RFC 3261 §17.1 that lives for one
// request. It blocks a thread of its own.

import ControlHTTP
import Dispatch
import Glibc
import SIPMessage
import SansIO

/// A connected socket to one of the core's own listeners.
final class SubscriberSocket: Sendable {
    /// The address that the core sees.
    let local: Endpoint
    private let descriptor: Int32
    private let transport: Transport

    private static let queue = DispatchQueue(label: "sipcore.send", attributes: .concurrent)
    /// More than this is not sent in a datagram; what stands in Via is not counted.
    private static let longestDatagram = 65_000

    /// - Parameters:
    ///   - listeners: the core's; the first one of UDP is used, else the first one of TCP.
    ///   - length: of the request: a long one goes by TCP.
    init(to listeners: [Listener], for length: Int) throws(SendFailure) {
        let datagrams = listeners.first { $0.transport == .udp }
        let fitting = length > SubscriberSocket.longestDatagram ? nil : datagrams
        guard let listener = fitting ?? listeners.first(where: { $0.transport == .tcp }) else {
            if datagrams != nil {
                throw .invalid(
                    "the request has about \(length) octets, and no datagram takes more than \(SubscriberSocket.longestDatagram); "
                        + "add a listener tcp:// to the core, or send less", field: nil)
            }
            throw .unreachable("the core listens neither with UDP nor with TCP; add such a listener to send as a subscriber", field: "as")
        }
        transport = listener.transport
        var address = listener.local
        if address.address.isUnspecified { address.address = address.address.isIPv6 ? IPAddress(high: 0, low: 1) : .loopback }
        let type = listener.transport == .udp ? SOCK_DGRAM : SOCK_STREAM
        guard let (descriptor, local) = SubscriberSocket.connected(to: address, type) else {
            throw .unreachable("no socket reaches the core's own \(address.text): \(String(cString: strerror(errno)))")
        }
        (self.descriptor, self.local) = (descriptor, local)
    }

    deinit { close(descriptor) }

    private static func connected(to endpoint: Endpoint, _ type: __socket_type) -> (Int32, Endpoint)? {
        let family = endpoint.address.isIPv6 ? AF_INET6 : AF_INET
        let descriptor = socket(family, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var storage = sockaddr_storage()
        var length = endpoint.write(to: &storage)
        let isConnected = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard connect(descriptor, address, length) == 0 else { return false }
                length = socklen_t(MemoryLayout<sockaddr_storage>.size)
                return getsockname(descriptor, address, &length) == 0
            }
        }
        guard isConnected, let local = Endpoint(storage) else {
            let code = errno
            close(descriptor)
            errno = code
            return nil
        }
        return (descriptor, local)
    }

    /// Sends a request and gathers what comes back, until there is a final response or the time is over.
    func exchange(_ draft: RequestDraft, as identity: String, token: String, within patience: TimeSpan) async -> SentRequest {
        await withCheckedContinuation { done in
            SubscriberSocket.queue.async {
                let exchange = SubscriberExchange(self.descriptor, self.transport, self.local, token: token)
                done.resume(returning: exchange.run(draft, as: identity, within: patience))
            }
        }
    }
}

/// One request and its responses.
private final class SubscriberExchange {
    private let descriptor: Int32
    private let transport: Transport
    private let local: Endpoint
    private let token: String
    /// Of a stream: what has come and is no whole message yet.
    private var received: [UInt8] = []

    /// T1 and T2 (RFC 3261 §17.1.1.1), in milliseconds.
    private static let (shortest, longest) = (500 as Int64, 4000 as Int64)
    /// How long the end of what an INVITE has begun is waited for.
    private static let aftermath: Int64 = 1000

    init(_ descriptor: Int32, _ transport: Transport, _ local: Endpoint, token: String) {
        (self.descriptor, self.transport, self.local, self.token) = (descriptor, transport, local, token)
    }

    func run(_ draft: RequestDraft, as identity: String, within patience: TimeSpan) -> SentRequest {
        let origin = RequestDraft.Origin(identity: identity, address: local.text, transport: transport)
        let rest = draft.rest(from: origin)
        let request = draft.line + via("") + rest
        var responses: [[UInt8]] = []
        let isAnswered = converse(request, until: now() + max(1, patience.nanoseconds / 1_000_000), isInvite: draft.isInvite) {
            responses.append($0)
        }
        if draft.isInvite { end(request, draft, rest, responses.last.flatMap { isAnswered ? $0 : nil }, isUnderWay: !responses.isEmpty) }
        return SentRequest(request: request, responses: responses, isAnswered: isAnswered)
    }

    private func via(_ mark: String) -> [UInt8] {
        Array("Via: SIP/2.0/\(transport.viaName) \(local.text);branch=z9hG4bK\(token)\(mark);rport\r\n".utf8)
    }

    /// Sends, again and again where the transport may lose it, and hands out responses.
    /// - Returns: whether a final one came.
    private func converse(_ request: [UInt8], until deadline: Int64, isInvite: Bool, _ take: ([UInt8]) -> Void) -> Bool {
        guard send(request) else { return false }
        var interval = SubscriberExchange.shortest
        var again = transport == .udp ? now() + interval : .max
        while now() < deadline {
            if let message = receive(until: min(again, deadline)) {
                guard isResponse(message) else { continue }
                take(message)
                if CoreNode.status(of: message) >= 200 { return true }
                again = isInvite ? .max : now() + SubscriberExchange.longest
            } else if hasEnded {
                return false
            } else if now() >= again {
                guard send(request) else { return false }
                interval = isInvite ? interval * 2 : min(interval * 2, SubscriberExchange.longest)
                again = now() + interval
            }
        }
        return false
    }

    /// Of an INVITE: acknowledges its final response; a call that it has begun is ended, one that it may begin is cancelled.
    private func end(_ invite: [UInt8], _ draft: RequestDraft, _ rest: [UInt8], _ final: [UInt8]?, isUnderWay: Bool) {
        let deadline = now() + SubscriberExchange.aftermath
        guard let final else {
            guard isUnderWay else { return }
            _ = send(hopByHop("CANCEL", of: invite, draft, to: nil))
            while now() < deadline, let message = receive(until: deadline) {
                guard isResponse(message), CoreNode.status(of: message) >= 300 else { continue }
                _ = send(hopByHop("ACK", of: invite, draft, to: message))
                return
            }
            return
        }
        guard CoreNode.status(of: final) < 300 else {
            _ = send(hopByHop("ACK", of: invite, draft, to: final))
            return
        }
        guard let end = DialogEnd(invite: invite, response: final) else { return }
        _ = send(end.line("ACK") + via("a") + end.acknowledgement)
        _ = converse(end.line("BYE") + via("b") + end.bye, until: deadline, isInvite: false) { _ in }
    }

    /// CANCEL, or the ACK to a final response that is no 2xx: of the same branch, Call-ID and From as the INVITE, and the
    /// ACK with the To of the response (RFC 3261 §9.1, §17.1.1.3).
    private func hopByHop(_ method: String, of invite: [UInt8], _ draft: RequestDraft, to response: [UInt8]?) -> [UInt8] {
        var scanner = MessageScanner()
        _ = scanner.scan(invite.span.bytes)
        let request = scanner.message(invite.span.bytes)
        func value(_ name: HeaderName) -> String { request.value(name).map { String(octets: request.bytes[$0]) } ?? "" }
        var to = value(.to)
        if let response {
            var scanner = MessageScanner()
            _ = scanner.scan(response.span.bytes)
            let answer = scanner.message(response.span.bytes)
            to = answer.value(.to).map { String(octets: answer.bytes[$0]) } ?? to
        }
        let target = String(octets: request.bytes[request.shape.requestURI])
        var routes = ""
        request.forEachValue(.route) { slice in
            routes += "Route: \(String(octets: request.bytes[slice]))\r\n"
            return true
        }
        return Array("\(method) \(target) SIP/2.0\r\n".utf8) + via("")
            + Array(
                """
                \(routes)Max-Forwards: 70\r
                From: \(value(.from))\r
                To: \(to)\r
                Call-ID: \(value(.callID))\r
                CSeq: \(value(.cseq).prefix { $0.isNumber }) \(method)\r
                Content-Length: 0\r
                \r

                """.utf8)
    }

    // MARK: Octets

    /// Whether the other side has closed the stream, or nothing can be sent.
    private var hasEnded = false

    private func isResponse(_ message: [UInt8]) -> Bool { message.starts(with: Array("SIP/2.0 ".utf8)) }

    private func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    private func send(_ octets: [UInt8]) -> Bool {
        var rest = octets[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else {
                hasEnded = true
                return false
            }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// The next whole message; nil: the time is over, or the stream has ended.
    private func receive(until deadline: Int64) -> [UInt8]? {
        while true {
            if transport != .udp, let message = takeWhole() { return message }
            let left = deadline - now()
            guard left > 0 else { return nil }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, Int32(clamping: left)) > 0 else { return nil }
            let octets = [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
                count = max(0, recv(descriptor, buffer.baseAddress, buffer.count, 0))
            }
            guard !octets.isEmpty else {
                hasEnded = true
                return nil
            }
            if transport == .udp { return octets }
            received += octets
        }
    }

    /// Of a stream: cuts the next message off, by its Content-Length (RFC 3261 §18.3).
    private func takeWhole() -> [UInt8]? {
        while received.starts(with: [0x0D, 0x0A]) { received.removeFirst(2) }
        guard let head = received.firstRange(of: [0x0D, 0x0A, 0x0D, 0x0A]) else { return nil }
        var length = 0
        var scanner = MessageScanner()
        let octets = Array(received[..<head.upperBound])
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        if let value = message.value(.contentLength) { length = Int(String(octets: message.bytes[value])) ?? 0 }
        guard received.count >= head.upperBound + length else { return nil }
        defer { received.removeFirst(head.upperBound + length) }
        return Array(received[..<(head.upperBound + length)])
    }
}

extension Endpoint {
    /// - Returns: how many octets of the storage it takes.
    fileprivate func write(to storage: inout sockaddr_storage) -> socklen_t {
        withUnsafeMutableBytes(of: &storage) { bytes in
            if address.isIPv6 {
                var name = sockaddr_in6()
                name.sin6_family = sa_family_t(AF_INET6)
                name.sin6_port = port.bigEndian
                withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: address.octets) }
                bytes.storeBytes(of: name, as: sockaddr_in6.self)
                return socklen_t(MemoryLayout<sockaddr_in6>.size)
            }
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            withUnsafeMutableBytes(of: &name.sin_addr) { $0.copyBytes(from: address.octets) }
            bytes.storeBytes(of: name, as: sockaddr_in.self)
            return socklen_t(MemoryLayout<sockaddr_in>.size)
        }
    }

    fileprivate init?(_ storage: sockaddr_storage) {
        var storage = storage
        let octets = withUnsafeBytes(of: &storage) { Array($0) }
        let port = UInt16(octets[2]) << 8 | UInt16(octets[3])
        switch Int32(storage.ss_family) {
        case AF_INET: self.init(address: IPAddress(octets: Array(octets[4..<8])) ?? .loopback, port: port)
        case AF_INET6: self.init(address: IPAddress(octets: Array(octets[8..<24])) ?? .loopback, port: port)
        default: return nil
        }
    }
}
