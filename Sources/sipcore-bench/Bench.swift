// `sipcore-bench core`: what the core costs a request, without sockets and without a kernel. Each mode feeds texts to a serving
// CSCF and plays the peers; the result is nanoseconds a transaction, and under `perf stat` or callgrind instructions.

import IMSProfile
import SCSCF
import SIPMessage
import SIPRegistrar
import SansIO

struct Bench {
    static func run(_ arguments: [String]) {
        let count = arguments.compactMap { Int($0) }.first ?? 200_000
        let wanted = arguments.filter { Int($0) == nil }
        let modes = wanted.isEmpty ? Mode.allCases : Mode.allCases.filter { wanted.contains($0.rawValue) }
        guard !modes.isEmpty else {
            print("usage: sipcore-bench core [TRANSACTIONS] [\(Mode.allCases.map(\.rawValue).joined(separator: " | "))]...")
            return
        }
        for mode in modes { run(mode, count) }
    }

    enum Mode: String, CaseIterable {
        case options, register, reregister
        case registerWithDigest = "register-auth"
        case publish, message, thirdreg
    }

    private static func run(_ mode: Mode, _ count: Int) {
        var rig = Rig(mode)
        rig.warmUp()
        let clock = ContinuousClock()
        let start = clock.now
        for number in 0..<count { rig.transact(number) }
        let elapsed = clock.now - start
        let nanoseconds = Double(elapsed.components.seconds) * 1e9 + Double(elapsed.components.attoseconds) / 1e9
        print("\(mode.rawValue): \(Int(nanoseconds / Double(count))) ns a transaction, \(rig.sent) messages sent, \(count) transactions")
    }
}

/// A core and the peers that it talks to.
struct Rig: ~Copyable {
    private let mode: Bench.Mode
    private var core: ServingCSCF
    private var effects = Effects()
    /// The effects that are looked at while the next are written.
    private var spare: Effects? = Effects()
    private var now = Now(monotonic: Instant(nanoseconds: 1_000_000_000), wall: WallTime(seconds: 1_800_000_000))
    private var text = OctetBuffer(capacity: 4096)
    private var scanner: MessageScanner? = MessageScanner()
    private(set) var sent = 0
    private let user = Rig.flow(15_060)
    private let server = Rig.flow(15_080)
    private let called = Rig.flow(15_061)

    private static func flow(_ port: UInt16) -> Flow {
        Flow(transport: .udp, listener: 0, remote: Endpoint(address: .loopback, port: port))
    }

    init(_ mode: Bench.Mode) {
        self.mode = mode
        var configuration = ServingCSCFConfiguration(
            domain: Array("ims.test".utf8), listeners: [Listener(transport: .udp, local: Endpoint(address: .loopback, port: 5070))])
        let uri = "sip:127.0.0.1:15080"
        configuration.applicationServers = [
            ServingCSCFConfiguration.ServerPlan(
                name: "as", uri: Array(uri.utf8), destination: Destination(endpoint: Rig.flow(15_080).remote, transport: .udp),
                answerWithin: .seconds(32))
        ]
        var faults: [CriterionFault] = []
        configuration.profiles = [ServiceProfile([Rig.criterion(for: mode, uri)], faults: &faults)]
        var plan = SubscriberPlan(
            name: "u", publicIdentities: [IdentityTemplate(pieces: [Array("sip:".utf8), Array("@ims.test".utf8)])],
            privateIdentities: [IdentityTemplate(pieces: [[], Array("@ims.test".utf8)])],
            passwords: [IdentityTemplate(pieces: [Array("pw-".utf8), []])], isAuthenticated: mode == .registerWithDigest, profile: 0)
        plan.range = 0...9_999_999
        plan.width = 7
        configuration.subscribers = [plan]
        core = ServingCSCF(configuration, at: now)
    }

    private static func criterion(for mode: Bench.Mode, _ uri: String) -> InitialFilterCriterion {
        let content = #"\+g\.oma\.sip-im([;,]|$)"#
        let conditions: [[ServicePointTrigger.Condition]] =
            mode == .thirdreg ? [[.method("REGISTER")]] : [[.method("PUBLISH")], [.header("Accept-Contact", content: content)]]
        return InitialFilterCriterion(
            priority: 0, trigger: TriggerPoint(isConjunctive: true, groups: conditions.map { $0.map { ServicePointTrigger($0) } }),
            applicationServer: ApplicationServer(uri: uri, index: 0))
    }

    /// Users that others call, or that send on, are registered first.
    mutating func warmUp() {
        for number in 0..<10_000 where mode != .registerWithDigest { register(number, sequence: 1) }
        sent = 0
    }

    mutating func transact(_ number: Int) {
        // 20 µs of virtual time each, so that what lingers is cleaned up as it would be.
        now.monotonic = now.monotonic + TimeSpan(nanoseconds: 20_000)
        switch mode {
        case .options: options(number)
        case .register, .thirdreg: register(10_000 + number, sequence: 1)
        case .registerWithDigest: registerWithDigest(number)
        case .reregister: register(number % 10_000, sequence: 2 + number / 10_000)
        case .publish: publish(number)
        case .message: message(number)
        }
        if number % 64 == 0 { core.advance(to: now, into: &effects) }
        drain()
    }

    /// Hands the text that was written to the core, by way of a copy: that is part of the figures.
    private mutating func deliver(over flow: Flow) {
        let octets = [UInt8](text.bytes)
        core.receive(octets.span.bytes, over: flow, at: now, into: &effects)
    }

    // MARK: The peers

    private mutating func begin(_ line: StaticString, _ number: Int) {
        text.removeAll()
        text.append(line)
        text.append("Via: SIP/2.0/UDP 127.0.0.1:15060;branch=z9hG4bKlg7")
        text.appendHex(UInt64(number), digits: 12)
        text.append(";rport\r\nMax-Forwards: 70\r\n")
    }

    private mutating func appendUser(_ number: Int) {
        text.append("sip:u")
        text.appendDecimal(UInt64(number), digits: 7)
        text.append("@ims.test")
    }

    private mutating func options(_ number: Int) {
        begin("OPTIONS sip:ims.test SIP/2.0\r\n", number)
        text.append("From: <sip:u0000001@ims.test>;tag=1\r\nTo: <sip:ims.test>\r\nCall-ID: ")
        text.appendDecimal(UInt64(number))
        text.append("@bench\r\nCSeq: 1 OPTIONS\r\nUser-Agent: bench-ue/1\r\nContent-Length: 0\r\n\r\n")
        deliver(over: user)
    }

    private mutating func register(_ number: Int, sequence: Int) {
        writeRegister(number, sequence: sequence)
        text.appendEmptyBody()
        deliver(over: user)
        drain()
    }

    /// As a client does that has no challenge yet: it is refused, and answers the challenge of the refusal.
    private mutating func registerWithDigest(_ number: Int) {
        writeRegister(number, sequence: 1)
        text.appendEmptyBody()
        deliver(over: user)
        guard let refusal = effects.wire.transmissions.first, refusal.status == 401 else { fatalError("the core asks for no password") }
        let octets = [UInt8](effects.wire.bytes.bytes(from: refusal.start, count: refusal.count))
        effects.removeAll()
        guard var scanner = scanner.take() else { return }
        var credentials = OctetBuffer(capacity: 512)
        _ = scanner.scan(octets.span.bytes)
        Rig.appendCredentials(number, answering: scanner.message(octets.span.bytes), into: &credentials)
        self.scanner = consume scanner
        writeRegister(number, sequence: 2)
        text.append(credentials.bytes)
        text.appendEmptyBody()
        deliver(over: user)
        guard effects.wire.transmissions.first?.status == 200 else { fatalError("the core does not take the password") }
    }

    private static func appendCredentials(_ number: Int, answering refusal: borrowing Message, into buffer: inout OctetBuffer) {
        guard let value = refusal.value(.wwwAuthenticate), let challenge = refusal.bytes.digestParameters(value) else {
            fatalError("a challenge that cannot be read")
        }
        var names = OctetBuffer(capacity: 64)
        names.append("pw-u")
        names.appendDecimal(UInt64(number), digits: 7)
        names.append("@ims.test")
        let isWritten = DigestClient.appendAuthorization(
            .authorization, answering: challenge, in: refusal.bytes, username: names.bytes(from: 3, count: 17),
            password: names.bytes(from: 0, count: 11), method: Array("REGISTER".utf8).span.bytes,
            uri: Array("sip:ims.test".utf8).span.bytes, nonceCount: 1, cnonce: 7, into: &buffer)
        precondition(isWritten, "a challenge that cannot be answered")
    }

    private mutating func writeRegister(_ number: Int, sequence: Int) {
        begin("REGISTER sip:ims.test SIP/2.0\r\n", number &* 4096 &+ sequence)
        text.append("From: <")
        appendUser(number)
        text.append(">;tag=1\r\nTo: <")
        appendUser(number)
        text.append(">\r\nCall-ID: reg-")
        text.appendDecimal(UInt64(number))
        text.append("@bench\r\nCSeq: ")
        text.appendDecimal(UInt64(sequence))
        text.append(" REGISTER\r\nContact: <sip:u")
        text.appendDecimal(UInt64(number), digits: 7)
        text.append("@127.0.0.1:15061>;+g.oma.sip-im;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-0000000000")
        text.appendDecimal(UInt64(number % 100), digits: 2)
        text.append(">\"\r\nExpires: 3600\r\nSupported: path\r\nUser-Agent: bench-ue/1\r\n")
    }

    private mutating func publish(_ number: Int) {
        let sender = number % 10_000
        text.removeAll()
        text.append("PUBLISH ")
        appendUser(sender)
        text.append(" SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:15060;branch=z9hG4bKlg7")
        text.appendHex(UInt64(number) | 1 << 47, digits: 12)
        text.append(";rport\r\nMax-Forwards: 70\r\nFrom: <")
        appendUser(sender)
        text.append(">;tag=1\r\nTo: <")
        appendUser(sender)
        text.append(">\r\nCall-ID: ")
        text.appendDecimal(UInt64(number))
        text.append("@bench\r\nCSeq: 1 PUBLISH\r\nAccept-Contact: *;+g.oma.sip-im\r\nEvent: presence\r\nExpires: 3600\r\n")
        text.append("User-Agent: bench-ue/1\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
        deliver(over: user)
    }

    private mutating func message(_ number: Int) {
        text.removeAll()
        text.append("MESSAGE ")
        appendUser(number % 10_000)
        text.append(" SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:15060;branch=z9hG4bKlg7")
        text.appendHex(UInt64(number) | 1 << 46, digits: 12)
        text.append(";rport\r\nMax-Forwards: 70\r\nFrom: <sip:caller@ims.test>;tag=1\r\nTo: <")
        appendUser(number % 10_000)
        text.append(">\r\nCall-ID: ")
        text.appendDecimal(UInt64(number))
        text.append("@bench\r\nCSeq: 1 MESSAGE\r\nUser-Agent: bench-ue/1\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
        deliver(over: user)
    }

    /// Answers every request that the core sent to the server or to a contact.
    private mutating func drain() {
        guard var out = spare.take(), var scanner = scanner.take() else { return }
        swap(&out, &effects)
        for transmission in out.wire.transmissions {
            sent += 1
            let port = transmission.flow.remote.port
            guard transmission.status == 0, port == server.remote.port || port == called.remote.port else { continue }
            let octets = out.wire.bytes.bytes(from: transmission.start, count: transmission.count)
            _ = scanner.scan(octets)
            let request = scanner.message(octets)
            guard let essentials = try? request.essentials() else { continue }
            text.removeAll()
            text.appendResponse(200, to: request, essentials, from: Endpoint(address: .loopback, port: 5070), toTag: 1)
            text.appendEmptyBody()
            deliver(over: port == server.remote.port ? server : called)
        }
        // What the answers led to goes only to the sender.
        sent += effects.wire.transmissions.count
        effects.removeAll()
        out.removeAll()
        spare = consume out
        self.scanner = consume scanner
    }
}
