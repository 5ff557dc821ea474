// A SIPS URI asks for TLS on every hop to the user (RFC 3261 §26.2.2 as RFC 5630 has it): a request to one comes in over TLS,
// and goes on over TLS or not at all.

import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    /// A request to a SIPS URI that came over a hop without TLS: what TLS is to keep from others they have seen already.
    mutating func refuseInsecureHop(_ arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects) {
        answer(arrival, request, 403, warning: "a request to a SIPS URI has to come over TLS", at: now, into: &effects)
    }

    /// Nobody who may get a request to a SIPS URI can be reached over TLS (RFC 5630 §5.3).
    mutating func refuseSIPS(_ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects) {
        close(id)
        answer(arrival, request, 480, warning: "SIPS Not Allowed", code: .sipsNotAllowed, at: now, into: &effects)
    }

    /// Whether a request to a URI may go this way.
    func mayTake(_ uri: SIPURI?, _ flow: Flow) -> Bool {
        guard let uri, uri.isSIPS else { return true }
        return flow.transport.isSecure
    }

    /// Leaves those contacts that registered by a SIPS URI: others must not get a request to one (RFC 5630 §5.3).
    func keepSecure(_ targets: inout [Target]) {
        targets.removeAll { target in
            guard let view = registrar.binding(target.binding) else { return true }
            return !view.uri.isSIPS
        }
    }
}

/// What a Warning is about (RFC 3261 §20.43, RFC 5630 §9).
enum WarningCode: UInt16 {
    case miscellaneous = 399
    case sipsNotAllowed = 380
}

extension SIPURI {
    var isSIPS: Bool { scheme == .sips }
}

extension RawSpan {
    /// Whether these octets are a SIPS URI.
    var isSIPS: Bool { byteCount > 5 && part(0, 5).equalsIgnoringCase("sips:") }

    /// The octets of a SIPS URI as a SIP URI (RFC 5630 §5.3).
    var withoutSecurity: [UInt8] { Array("sip".utf8) + [UInt8](part(4, byteCount - 4)) }
}
