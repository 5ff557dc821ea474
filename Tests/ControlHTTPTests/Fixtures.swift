import ControlHTTP
import Dispatch
import Glibc
import IMSProfile
import Logging
import SIPTrace
import SansIO
import Synchronization
import Testing

/// A core made of values, whose trace a test adds to.
final class FakeCore: CoreBacking {
    private struct State: ~Copyable {
        var trace: TraceRing
        var waiters: [AsyncStream<Void>.Continuation] = []
        var registrations: [Registration]
        var resets = 0
        var ends: [NetworkDeregistration] = []
        var reauthenticated: [String] = []
        var subscribers: [ProvisionedSubscriber]
        var bodies: [String] = []
        var orders: [SendOrder] = []

        init(_ messageLimit: Int, _ registrations: [Registration], _ subscribers: [ProvisionedSubscriber]) {
            trace = TraceRing(messageLimit: messageLimit)
            self.registrations = registrations
            self.subscribers = subscribers
        }
    }

    private let state: Mutex<State>
    let operations: Set<CoreOperation>
    let families: [MetricFamily]
    /// What every change of subscribers fails with.
    private let failure: ProvisioningFailure?
    /// What every order to send comes to.
    private let outcome: Result<SentRequest, SendFailure>
    /// Yields when a call begins to wait.
    let waiting: AsyncStream<Void>
    private let waitingBegan: AsyncStream<Void>.Continuation

    init(
        operations: Set<CoreOperation> = [], registrations: [Registration] = [], families: [MetricFamily] = [],
        subscribers: [ProvisionedSubscriber] = [], failure: ProvisioningFailure? = nil, messageLimit: Int = 10_000,
        outcome: Result<SentRequest, SendFailure> = .failure(.overloaded)
    ) {
        state = Mutex(State(messageLimit, registrations, subscribers))
        self.outcome = outcome
        self.failure = failure
        self.operations = operations
        self.families = families
        (waiting, waitingBegan) = AsyncStream.makeStream()
    }

    static let alice = Endpoint(address: .loopback, port: 5061)
    static let server = Endpoint(address: .loopback, port: 5080)
    static let local = Endpoint(address: .loopback, port: 5060)

    func record(
        _ text: String, _ direction: TraceDirection = .incoming, _ remote: Endpoint = alice, at time: WallTime = WallTime(seconds: 0),
        mark: TraceMark = .none
    ) {
        record(Array(text.replacing("\n", with: "\r\n").utf8), direction, remote, at: time, mark: mark)
    }

    func record(_ octets: [UInt8], _ direction: TraceDirection, _ remote: Endpoint, at time: WallTime, mark: TraceMark = .none) {
        let flow = Flow(transport: .udp, listener: 0, remote: remote)
        let woken = state.withLock { state in
            state.trace.record(octets.span.bytes, direction, over: flow, local: FakeCore.local, at: time, mark: mark)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in woken { waiter.finish() }
    }

    /// Forgets what was recorded, and numbers from 1 again.
    func beginTraceAnew() { state.withLock { $0.trace.reset() } }

    var resets: Int { state.withLock { $0.resets } }

    func health() async -> Health {
        Health(role: "core", version: "1.2.3", uptime: .milliseconds(61_250), listeners: ["udp://127.0.0.1:5060", "tcp://127.0.0.1:5060"])
    }

    func registrations() async -> [Registration] { state.withLock { $0.registrations } }

    func registration(of identity: String) async -> Registration? {
        state.withLock { $0.registrations.first { $0.publicIdentity == identity } }
    }

    /// What those who were registered were told when that was ended.
    var ends: [NetworkDeregistration] { state.withLock { $0.ends } }

    func deregister(_ identity: String, _ event: NetworkDeregistration) async throws -> Bool {
        state.withLock { state in
            let count = state.registrations.count
            state.registrations.removeAll { $0.publicIdentity == identity }
            guard state.registrations.count < count else { return false }
            state.ends.append(event)
            return true
        }
    }

    func reset() async throws { state.withLock { $0.resets += 1 } }

    var reauthenticated: [String] { state.withLock { $0.reauthenticated } }

    func reauthenticate(_ identity: String) async throws -> Bool {
        state.withLock { state in
            guard state.registrations.contains(where: { $0.publicIdentity == identity }) else { return false }
            state.reauthenticated.append(identity)
            return true
        }
    }

    /// What was put, in order.
    var bodies: [String] { state.withLock { $0.bodies } }

    func subscribers() async -> [ProvisionedSubscriber] { state.withLock { $0.subscribers } }

    func subscriber(_ name: String) async -> ProvisionedSubscriber? { state.withLock { $0.subscribers.first { $0.name == name } } }

    func putSubscriber(_ name: String, json: String) async throws(ProvisioningFailure) -> Bool {
        if let failure { throw failure }
        return state.withLock { state in
            state.bodies.append(json)
            guard !state.subscribers.contains(where: { $0.name == name }) else { return false }
            var subscriber = ProvisionedSubscriber(
                name: name, authentication: "digest", privateIdentities: ["\(name)@home1.test", "\(name)-tablet@home1.test"],
                publicIdentities: ["sip:\(name)@home1.test"])
            subscriber.applicationServers = ["im"]
            state.subscribers.append(subscriber)
            return true
        }
    }

    func removeSubscriber(_ name: String) async throws(ProvisioningFailure) -> Bool {
        if let failure { throw failure }
        return state.withLock { state in
            let count = state.subscribers.count
            state.subscribers.removeAll { $0.name == name }
            return state.subscribers.count < count
        }
    }

    /// What was to be sent, in order.
    var orders: [SendOrder] { state.withLock { $0.orders } }

    func send(_ order: SendOrder) async throws(SendFailure) -> SentRequest {
        state.withLock { $0.orders.append(order) }
        return try outcome.get()
    }

    func recordedMessages(after sequence: UInt64, limit: Int) async -> RecordedMessages {
        state.withLock { $0.trace.messages(after: sequence, limit: limit) }
    }

    func waitForMessages(after sequence: UInt64, for patience: TimeSpan) async {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        let isThere = state.withLock { state in
            state.waiters.append(continuation)
            return state.trace.nextSequence > sequence + 1
        }
        waitingBegan.yield()
        guard !isThere else { return }
        await withTaskGroup { group in
            group.addTask { for await _ in stream {} }
            group.addTask { try? await Task.sleep(for: .nanoseconds(patience.nanoseconds)) }
            await group.next()
            group.cancelAll()
        }
    }

    func why(_ sequence: UInt64) async throws(WhyFailure) -> Why {
        switch sequence {
        case 1:
            return Why(
                believedBecause: "it comes on the flow of a registration",
                served: Why.Part(servedUser: "sip:alice@home1.test", sessionCase: .originatingCDIV, isRegistered: true),
                others: [], criteria: [], contacts: [Why.Contact(uri: "sip:bob@127.0.0.1:5072", q: 700, score: 250, verdict: "tried")],
                nextHop: "im", nearestMiss: nil, sentence: "it is \"so\"")
        case 2: throw .isResponse
        default: throw .notKept
        }
    }

    func nodeName(of message: RecordedMessage) -> String? { message.remote == FakeCore.server ? "im" : nil }
    func metrics() async -> [MetricFamily] { families }
}

/// Serves an interface on a free port for as long as the body runs.
func withServer(
    _ interface: ControlInterface, token: String? = nil, hostNames: [String] = [], _ body: (HTTPClient) async throws -> Void
) async throws {
    let server = ControlServer(
        interface, at: Endpoint(address: .loopback, port: 0), token: token, hostNames: hostNames, logger: Logger(label: "test"))
    let (ports, port) = AsyncStream<UInt16>.makeStream()
    let task = Task {
        defer { port.finish() }
        try await server.run { port.yield($0.port) }
    }
    var iterator = ports.makeAsyncIterator()
    let bound = await iterator.next()
    do {
        try await body(HTTPClient(port: try #require(bound)))
    } catch {
        task.cancel()
        throw error
    }
    task.cancel()
    try await task.value
}

/// One call on one connection, with nothing between the test and the octets.
struct HTTPClient: Sendable {
    struct Answer: Sendable {
        var status = 0
        var head = ""
        var body: [UInt8] = []

        var text: String { String(decoding: body, as: UTF8.self) }
        func header(_ name: String) -> String? {
            head.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased() + ": ") }.map {
                String($0.dropFirst(name.count + 2))
            }
        }
        /// The body with its chunks joined (RFC 9112 §7.1).
        var dechunkedOctets: [UInt8] {
            guard header("Transfer-Encoding")?.lowercased() == "chunked" else { return body }
            var octets: [UInt8] = []
            var rest = body[...]
            while let end = rest.firstIndex(of: 0x0A), let size = Int(String(decoding: rest[..<end].dropLast(), as: UTF8.self), radix: 16) {
                octets += rest[(end + 1)...].prefix(size)
                rest = rest[(end + 1)...].dropFirst(size + 2)
                if size == 0 { break }
            }
            return octets
        }
        var dechunked: String { String(decoding: dechunkedOctets, as: UTF8.self) }
        /// The numbers of the messages in the body.
        var sequences: [Int] { text.split(separator: "\"sequence\":").dropFirst().compactMap { Int($0.prefix { $0.isNumber }) } }
        var next: Int? { text.split(separator: "\"next\":").last.flatMap { Int($0.prefix { $0.isNumber }) } }
    }

    let port: UInt16

    func get(_ target: String) async -> Answer { await call("GET", target) }

    /// - Parameter headers: in place of the Host that belongs to the port.
    func call(_ method: String, _ target: String, headers: [String]? = nil, body: String = "") async -> Answer {
        var lines = ["\(method) \(target) HTTP/1.1"] + (headers ?? ["Host: 127.0.0.1:\(port)"]) + ["Connection: close"]
        if !body.isEmpty { lines.append("Content-Length: \(body.utf8.count)") }
        return await exchange((lines + ["", body]).joined(separator: "\r\n"))
    }

    func exchange(_ request: String) async -> Answer { await exchange(Array(request.utf8)) }

    func exchange(_ request: [UInt8]) async -> Answer {
        await withCheckedContinuation { continuation in
            // A queue of its own has a thread of its own; the shared ones are the tasks'.
            DispatchQueue(label: "client").async { continuation.resume(returning: blockingExchange(request)) }
        }
    }

    /// Sends a call and hangs up without waiting.
    func hangUp(after request: String) -> Int32 {
        let descriptor = connected()
        send(Array(request.utf8), descriptor)
        return descriptor
    }

    /// Whether a text comes on a connection before it is silent for long, or ends.
    func read(_ descriptor: Int32, until text: String) async -> Bool {
        await withCheckedContinuation { continuation in
            DispatchQueue(label: "client").async {
                var received: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 65_536)
                while received.firstRange(of: Array(text.utf8)) == nil {
                    let count = Glibc.read(descriptor, &buffer, buffer.count)
                    guard count > 0 else { return continuation.resume(returning: false) }
                    received = Array(received.suffix(text.utf8.count)) + buffer[..<count]
                }
                continuation.resume(returning: true)
            }
        }
    }

    private func blockingExchange(_ request: [UInt8]) -> Answer {
        let descriptor = connected()
        defer { close(descriptor) }
        send(request, descriptor)
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            received += buffer[..<count]
        }
        var answer = Answer()
        guard let end = received.firstRange(of: Array("\r\n\r\n".utf8)) else { return answer }
        answer.head = String(decoding: received[..<end.lowerBound], as: UTF8.self)
        answer.status = answer.head.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        answer.body = Array(received[end.upperBound...])
        return answer
    }

    private func connected() -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var patience = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        #expect(result == 0)
        return descriptor
    }

    private func send(_ request: [UInt8], _ descriptor: Int32) {
        // A server that refuses may close before all is written.
        var rest = request[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
