// P-Charging-Vector (RFC 7315 §4.6, TS 24.229 §7.2A.5): the number by which the charging records of a request and of all that
// it becomes are found together, and whose networks it comes from and goes to.
//
// Who comes to us directly has no edge to make that number, so it is made here, out of what the request keeps on its way: each
// server that is told of the request gets the same one.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

/// The value of `icid-value` as we make it: unique, and nobody can guess it.
struct ChargingIdentifier: BitwiseCopyable {
    private var high: UInt64 = 0
    private var low: UInt64 = 0
    static let none = ChargingIdentifier()
    var isNone: Bool { high | low == 0 }

    private init() {}

    fileprivate init(_ hash: KeyHash) { (high, low) = (hash.high, hash.low | 1) }

    fileprivate func append(to bytes: inout OctetBuffer) {
        bytes.appendHex(high)
        bytes.appendHex(low)
    }
}

/// What stands behind the identifier, written once: whom a message is sent to decides what it says of the one who sends it.
struct ChargingOrigins: ~Copyable {
    /// What names our network is of type 1 to an edge, of type 2 to other networks and of type 3 to application servers
    /// (TS 24.229 §7.2A.5).
    enum Receiver: Int, CaseIterable { case applicationServer, network, edge }

    private var texts = TextList()
    private var answers = TextList()

    init(domain: [UInt8], listeners: [Listener]) {
        for receiver in Receiver.allCases {
            let type: StaticString =
                switch receiver {
                case .applicationServer: "Type 3"
                case .network: ""
                case .edge: "Type 1"
                }
            for isOurs in [false, true] {
                texts.add { text in
                    if isOurs, let listener = listeners.first {
                        text.append(";icid-generated-at=")
                        text.append(listener.advertised.address)
                    }
                    text.append(";orig-ioi=\"")
                    text.append(type)
                    text.append(domain)
                    text.append("\"\r\n")
                }
            }
            answers.add { text in
                text.append(";term-ioi=\"")
                text.append(type)
                text.append(domain)
                text.append("\"\r\n")
            }
        }
    }

    /// The network that answers.
    func appendAnswerer(to receiver: Receiver, into bytes: inout OctetBuffer) { answers.append(receiver.rawValue, into: &bytes) }

    /// - Parameter isOurs: whether the identifier was made here.
    func append(for receiver: Receiver, isOurs: Bool, to bytes: inout OctetBuffer) {
        texts.append(receiver.rawValue * 2 + (isOurs ? 1 : 0), into: &bytes)
    }
}

extension ServingCSCF {
    // MARK: Whom to believe

    /// Whether what a REGISTER says of charging and of the visited network is believed (RFC 7315 §6). A topology that names
    /// its edges believes them alone; one that names none has UEs that speak for the edge which they do without.
    func believesEdgeFields(of arrival: Arrival) -> Bool { configuration.trusted.isEmpty || isFromTrustedPeer(arrival) }

    // MARK: The identifier

    /// The identifier of a request that brings none: the same for all that becomes of it.
    ///
    /// - Parameter request: the request, or a response to it.
    func chargingIdentifier(of essentials: Essentials, in request: borrowing Message) -> ChargingIdentifier {
        var hasher = KeyHasher(commonSecret)
        hasher.combine(request[essentials.callID])
        hasher.combine(request[essentials.from.tag])
        hasher.combine(UInt64(essentials.sequence))
        return ChargingIdentifier(hasher.finish())
    }

    /// Whether a request brings one.
    func hasChargingIdentifier(_ request: borrowing Message) -> Bool {
        guard let value = request.value(.pChargingVector) else { return false }
        return chargingIdentifier(in: value, request) != nil
    }

    private func chargingIdentifier(in vector: Slice, _ request: borrowing Message) -> Slice? {
        let bytes = request.bytes
        guard let identifier = bytes.parameter("icid-value", in: vector), !bytes.unquoted(identifier).isEmpty else { return nil }
        return identifier
    }

    /// The identifier of what the network does of itself.
    mutating func newChargingIdentifier() -> ChargingIdentifier {
        var hasher = KeyHasher(secret)
        hasher.combine(random.next())
        hasher.combine(random.next())
        return ChargingIdentifier(hasher.finish())
    }

    // MARK: Writing

    /// The field of a request that we make ourselves.
    func appendChargingVector(_ identifier: ChargingIdentifier, for receiver: ChargingOrigins.Receiver, into bytes: inout OctetBuffer) {
        bytes.append("P-Charging-Vector: icid-value=")
        identifier.append(to: &bytes)
        chargingOrigins.append(for: receiver, isOurs: true, to: &bytes)
    }

    /// The field of a request that goes on within the trust domain: the identifier as it came, and ourselves as the network
    /// that it comes from (TS 24.229 §5.4.3.2, §5.4.3.3).
    ///
    /// - Parameter isBelieved: whether the request's own field counts.
    func appendChargingVector(
        of request: borrowing Message, _ essentials: Essentials, isBelieved: Bool, for receiver: ChargingOrigins.Receiver,
        into bytes: inout OctetBuffer
    ) {
        guard !isBelieved || !appendChargingVector(of: request, for: receiver, into: &bytes) else { return }
        appendChargingVector(chargingIdentifier(of: essentials, in: request), for: receiver, into: &bytes)
    }

    /// What a request's own field says but for the two networks; what an access network charges is no matter of other networks.
    ///
    /// - Returns: false if the request has no field with an identifier; then nothing is written.
    func appendChargingVector(of request: borrowing Message, for receiver: ChargingOrigins.Receiver, into bytes: inout OctetBuffer) -> Bool
    {
        guard let value = request.value(.pChargingVector), chargingIdentifier(in: value, request) != nil else { return false }
        bytes.append("P-Charging-Vector: ")
        bytes.appendChargingParameters(value, of: request.bytes) { name in
            name.equalsIgnoringCase("orig-ioi") || name.equalsIgnoringCase("term-ioi")
                || (receiver != .applicationServer && name.equalsIgnoringCase("access-network-charging-info"))
        }
        chargingOrigins.append(for: receiver, isOurs: false, to: &bytes)
        return true
    }

    // MARK: Responses

    /// The field of the 200 to a REGISTER of an edge, or to an application server's SUBSCRIBE: what the request's own said, and ours
    /// as the network in which it ends (TS 24.229 §5.4.1.2.2F, §5.4.2.1.1). Without an identifier it would be none (RFC 7315 §5.6), and is left out.
    func appendChargingVector(
        answering request: borrowing Message, to receiver: ChargingOrigins.Receiver = .edge, into bytes: inout OctetBuffer
    ) {
        guard let value = request.value(.pChargingVector), chargingIdentifier(in: value, request) != nil else { return }
        bytes.append("P-Charging-Vector: ")
        bytes.appendChargingParameters(value, of: request.bytes) { $0.equalsIgnoringCase("term-ioi") }
        chargingOrigins.appendAnswerer(to: receiver, into: &bytes)
    }

    /// What the request of a trusted peer says of its charging, for the responses to it; none: nothing.
    mutating func storedCharging(of request: borrowing Message, _ sender: Sender) -> PacketID {
        guard sender.isTrusted, let value = request.value(.pChargingVector), chargingIdentifier(in: value, request) != nil else {
            return .none
        }
        return pool.store(request[value])
    }

    /// The field of a response that goes back to a trusted peer: what its request said, and ours as the network that answers
    /// (TS 24.229 §5.4.3.2, §5.4.3.3, for 1xx and 2xx).
    func appendChargingVector(
        to receiver: ChargingOrigins.Receiver, answering context: RequestContext, _ response: borrowing Message,
        _ essentials: Essentials, into bytes: inout OctetBuffer
    ) {
        bytes.append("P-Charging-Vector: ")
        if context.charging.isNone {
            bytes.append("icid-value=")
            chargingIdentifier(of: essentials, in: response).append(to: &bytes)
        } else {
            let text = pool.bytes(context.charging)
            bytes.appendChargingParameters(Slice(0, text.byteCount), of: text) { $0.equalsIgnoringCase("term-ioi") }
        }
        chargingOrigins.appendAnswerer(to: receiver, into: &bytes)
    }
}

extension Sender {
    /// What it is told of charging with a response; nil: nothing, since it is not trusted, or its request was within a dialog.
    var chargingReceiver: ChargingOrigins.Receiver? {
        guard isTrusted else { return nil }
        switch reason {
        case .dialogIdentifier: return .applicationServer
        case .trustedPeer: return isNetwork ? .network : server >= 0 ? .applicationServer : .edge
        default: return nil
        }
    }
}

extension OctetBuffer {
    /// The parameters of a P-Charging-Vector but for those that are left out.
    fileprivate mutating func appendChargingParameters(_ value: Slice, of text: RawSpan, leavingOut isLeftOut: (RawSpan) -> Bool) {
        var rest = value
        var isFirst = true
        while let (name, value) = text.nextParameter(&rest) {
            guard !name.isEmpty, !isLeftOut(text[name]) else { continue }
            if !isFirst { append(";") }
            isFirst = false
            append(text[name])
            guard !value.isEmpty else { continue }
            append("=")
            append(text[value])
        }
    }
}
