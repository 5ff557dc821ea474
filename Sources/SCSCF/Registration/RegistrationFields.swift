// Header fields of the 200 to a REGISTER that other networks and charging ask for (RFC 7315, TS 24.229 §5.4.1.2.2F), and
// its Date.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    // MARK: Networks

    /// Whether P-Visited-Network-ID names a network from which our users do not roam (TS 24.229 §5.4.1.2.1). Without one the
    /// user is at home.
    func comesFromStrangeNetwork(_ arrival: Arrival, _ request: borrowing Message) -> Bool {
        guard let network = visitedNetwork(request), believesEdgeFields(of: arrival) else { return false }
        let name = request[network]
        if name.equalsIgnoringCase(configuration.domain.span.bytes) { return false }
        for known in configuration.visitedNetworks where name.equalsIgnoringCase(known.span.bytes) { return false }
        return true
    }

    /// The first value of P-Visited-Network-ID, without quotes and parameters.
    private func visitedNetwork(_ request: borrowing Message) -> Slice? {
        guard let value = request.firstValue(.pVisitedNetworkID) else { return nil }
        let bytes = request.bytes
        var end = bytes[value.lower] == 0x22 ? bytes.skipQuoted(from: value.lower, to: value.upper) : value.lower
        while end < value.upper, bytes[end] != 0x3B, !bytes[end].isLinearWhiteSpace { end += 1 }
        return bytes.unquoted(Slice(value.lower, end))
    }

    // MARK: Charging

    /// P-Charging-Vector as received, with us as the one that ends the registration, in the form of type 1 (TS 24.229
    /// §7.2A.5); P-Charging-Function-Addresses only for an edge of our own network.
    func appendCharging(_ arrival: Arrival, _ request: borrowing Message, into bytes: inout OctetBuffer) {
        if believesEdgeFields(of: arrival) { appendChargingVector(answering: request, into: &bytes) }
        guard !configuration.chargingFunctions.isEmpty, request.has(.path), believesEdgeFields(of: arrival) else { return }
        if let network = visitedNetwork(request), !request[network].equalsIgnoringCase(configuration.domain.span.bytes) { return }
        appendChargingFunctions(into: &bytes)
    }

    /// P-Charging-Function-Addresses, if we have any.
    func appendChargingFunctions(into bytes: inout OctetBuffer) {
        guard !configuration.chargingFunctions.isEmpty else { return }
        bytes.append("P-Charging-Function-Addresses: ")
        bytes.append(configuration.chargingFunctions)
        bytes.append("\r\n")
    }
}

/// A Date field, written once in a second.
struct DateField: ~Copyable {
    private var second = Int64.min
    private var field = OctetBuffer(capacity: 64)

    mutating func append(_ time: WallTime, into bytes: inout OctetBuffer) {
        if time.seconds != second {
            second = time.seconds
            field.removeAll()
            field.append("Date: ")
            field.appendSIPDate(time)
            field.append("\r\n")
        }
        bytes.append(field.bytes)
    }
}
