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

/// What stands behind the identifier, written once: whom a request is sent to decides what it says of the one who sends it.
struct ChargingOrigins: ~Copyable {
    /// `orig-ioi` in the form of type 3 goes to application servers, that of type 2 to other networks (TS 24.229 §7.2A.5).
    enum Receiver: Int { case applicationServer, network }

    private var texts = TextList()

    init(domain: [UInt8], listeners: [Listener]) {
        for receiver in [Receiver.applicationServer, .network] {
            for isOurs in [false, true] {
                texts.add { text in
                    if isOurs, let listener = listeners.first {
                        text.append(";icid-generated-at=")
                        text.append(listener.advertised.address)
                    }
                    text.append(receiver == .applicationServer ? ";orig-ioi=\"Type 3" : ";orig-ioi=\"")
                    text.append(domain)
                    text.append("\"\r\n")
                }
            }
        }
    }

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
        guard let identifier = request.bytes.parameter("icid-value", in: vector), !identifier.isEmpty else { return nil }
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
        let text = request.bytes
        var rest = value
        var isFirst = true
        while let (name, value) = text.nextParameter(&rest) {
            guard !name.isEmpty, !text[name].equalsIgnoringCase("orig-ioi"), !text[name].equalsIgnoringCase("term-ioi"),
                receiver == .applicationServer || !text[name].equalsIgnoringCase("access-network-charging-info")
            else { continue }
            if !isFirst { bytes.append(";") }
            isFirst = false
            bytes.append(text[name])
            guard !value.isEmpty else { continue }
            bytes.append("=")
            bytes.append(text[value])
        }
        chargingOrigins.append(for: receiver, isOurs: false, to: &bytes)
        return true
    }
}
