import SIPMessage
import SIPRegistrar
import SansIO

/// A registrar with a clock, fed with the text of REGISTER requests.
final class RegistrarRig {
    var registrar: Registrar
    var now = Now(monotonic: Instant(nanoseconds: 5_000_000_000), wall: WallTime(seconds: 1_800_000_000))
    private let secret = HashSecret(1, 2)

    init(_ profile: RegistrarSettings.Profile = .ims, keepsUndo: Bool = false, maximumContacts: Int = 32, maximumBindings: Int = 1000) {
        let settings = RegistrarSettings(profile: profile, maximumContacts: maximumContacts, maximumBindings: maximumBindings)
        registrar = Registrar(settings: settings, keepsUndo: keepsUndo, secret: secret, start: now.monotonic)
    }

    func pass(_ seconds: Int) {
        now.monotonic = now.monotonic + .seconds(seconds)
        now.wall = now.wall + .seconds(seconds)
    }

    @discardableResult
    func advance() -> [ExpiredBinding] {
        var expired: [ExpiredBinding] = []
        registrar.advance(to: now.monotonic, into: &expired)
        return expired
    }

    /// Sends a REGISTER with these header lines beside those that every request has.
    @discardableResult
    func register(
        _ lines: [String], callID: String = "call-1", cseq: Int = 1, subscriber: UInt32 = 7, device: UInt16 = 0, over flow: Flow = .udp(1)
    ) -> RegistrationOutcome {
        let request = [
            "REGISTER sip:home1.test SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK\(cseq)",
            "From: <sip:alice@home1.test>;tag=1",
            "To: <sip:alice@home1.test>", "Call-ID: \(callID)", "CSeq: \(cseq) REGISTER",
        ]
        let bytes = Array((request + lines + ["", ""]).joined(separator: "\r\n").utf8)
        var scanner = MessageScanner()
        guard case .message = scanner.scan(bytes.span.bytes) else { fatalError("not a message: \(lines)") }
        let message = scanner.message(bytes.span.bytes)
        guard let essentials = try? message.essentials() else { fatalError("no essentials: \(lines)") }
        return registrar.register(message, essentials, subscriber: subscriber, device: device, over: flow, at: now)
    }

    /// The Contact fields of the 200.
    func contacts(of subscriber: UInt32 = 7) -> [String] {
        var buffer = OctetBuffer()
        registrar.appendContacts(of: subscriber, at: now.monotonic, into: &buffer)
        return String(octets: buffer.bytes).split(separator: "\r\n").map { String($0.dropFirst("Contact: ".count)) }
    }

    // `#expect` cannot look into a value that is not copyable, so what tests ask is asked here.

    func isRegistered(_ subscriber: UInt32 = 7) -> Bool { registrar.isRegistered(subscriber) }
    func soleSubscriber(on flow: Flow) -> UInt32? { registrar.soleSubscriber(on: flow) }
    func isKeptAliveByUser(_ flow: Flow) -> Bool { registrar.isKeptAliveByUser(flow) }
    func subscriberCount(on flow: Flow) -> Int { registrar.subscriberCount(on: flow) }
    func hasBinding(of subscriber: UInt32 = 7, on flow: Flow) -> Bool { registrar.hasBinding(of: subscriber, on: flow) }
    func longestExpires(of subscriber: UInt32 = 7) -> UInt32 { registrar.longestExpires(of: subscriber, at: now.monotonic) }
    func contains(_ binding: BindingID) -> Bool { registrar.contains(binding) }
    func remove(_ binding: BindingID) -> ChangeToken? { registrar.remove(binding) }
    func removeAll(of subscriber: UInt32 = 7) -> ChangeToken? { registrar.removeAll(of: subscriber) }
    var nextDeadline: Instant? { registrar.nextDeadline }
    var bindingCount: Int { registrar.bindingCount }
    var registeredCount: Int { registrar.registeredCount }
    var unconfirmedCount: Int { registrar.unconfirmedCount }
    var bytesKept: Int { registrar.bytesKept }
    var bytesAllocated: Int { registrar.bytesAllocated }

    func bindings(of subscriber: UInt32 = 7) -> [BindingCopy] {
        var copies: [BindingCopy] = []
        registrar.forEachBinding(of: subscriber) { copies.append(BindingCopy($0, at: now.monotonic)) }
        return copies
    }

    func binding(_ id: BindingID) -> BindingCopy? {
        func copy(_ registrar: borrowing Registrar) -> BindingCopy? {
            guard let view = registrar.binding(id) else { return nil }
            return BindingCopy(view, at: now.monotonic)
        }
        return copy(registrar)
    }

    func restore(_ record: [UInt8], of subscriber: UInt32 = 7, devices: Int = 16) -> Bool {
        restored(record, of: subscriber, devices: devices) != nil
    }

    /// Takes stored bindings back, and ends those whose time is over unless they are `left`.
    func restored(_ record: [UInt8], of subscriber: UInt32 = 7, devices: Int = 16, left: Bool = false) -> RestoredBindings? {
        guard let restored = registrar.restore(record.span.bytes, of: subscriber, at: now, devices: { $0 < devices }) else { return nil }
        if !left { for id in restored.overdue { _ = expire(id) } }
        return restored
    }

    func expire(_ id: BindingID) -> ExpiredBinding? { registrar.expire(id, at: now.monotonic) }

    func record(of subscriber: UInt32 = 7) -> [UInt8] {
        var buffer = OctetBuffer()
        registrar.encode(subscriber, at: now, into: &buffer)
        return [UInt8](buffer.bytes)
    }
}

/// A binding with its text copied.
struct BindingCopy {
    var id: BindingID
    var uri, parameters, path, instance, callID, accessNetworkInfo, visitedNetworkID, chargingID: String
    var sequence: UInt32
    var device: UInt16
    var flow: Flow
    var regID: UInt32?
    var q: UInt16
    var expires: UInt32

    init(_ view: borrowing BindingView, at now: Instant) {
        id = view.id
        uri = String(octets: view.uri)
        parameters = String(octets: view.parameters)
        path = String(octets: view.path)
        instance = String(octets: view.instance)
        callID = String(octets: view.callID)
        accessNetworkInfo = String(octets: view.accessNetworkInfo)
        visitedNetworkID = String(octets: view.visitedNetworkID)
        chargingID = String(octets: view.chargingID)
        sequence = view.sequence
        device = view.device
        flow = view.flow
        regID = view.regID
        q = view.q
        expires = view.expires(at: now)
    }
}

extension Flow {
    static func udp(_ host: UInt32) -> Flow {
        Flow(transport: .udp, listener: 0, remote: Endpoint(address: IPAddress(v4: 0xC000_0200 | host), port: 5060))
    }
    static func tcp(_ connection: UInt32) -> Flow {
        Flow(transport: .tcp, listener: 1, connection: connection, remote: Endpoint(address: IPAddress(v4: 0xC000_0201), port: 40_000))
    }
}

extension RegistrationOutcome {
    var change: RegistrationChange? {
        if case .changed(let change) = self { change } else { nil }
    }
    var refusal: RegistrationRefusal? {
        if case .rejected(let refusal) = self { refusal } else { nil }
    }
    var isFetched: Bool {
        if case .fetched = self { true } else { false }
    }
}
