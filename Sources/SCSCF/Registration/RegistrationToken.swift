// The token of a registration (`g.3gpp.registration-token`, TS 24.229 §7.9.7): by it an application server knows by which of a user's
// registrations a request came. An option of §5.4.1.7 d.
//
// A contact's token is made of the device and of the Call-ID that its UE registers with: the same for each refresh and after a
// restart, and another one when the UE registers anew. So nothing of it need be kept.

import IMSProfile
import SIPMessage
import SIPRegistrar
import SansIO

extension ServingCSCF {
    /// The parameter of Contact in what is told of a user's registration: the token of the contact registered last.
    func appendRegistrationToken(of subscriber: UInt32, into bytes: inout OctetBuffer) {
        var latest = Instant.zero
        var token: KeyHash?
        registrar.forEachBinding(of: subscriber) { view in
            guard token == nil || view.updated >= latest else { return }
            (latest, token) = (view.updated, ServingCSCF.token(of: view))
        }
        guard let token else { return }
        bytes.append(";")
        bytes.append(token)
    }

    /// Feature-Caps (RFC 6809) of a request that a user sends: the token of the contact from which it comes, if it does.
    func appendFeatureCaps(of subscriber: UInt32, from flow: Flow, into bytes: inout OctetBuffer) {
        var token: KeyHash?
        registrar.forEachBinding(of: subscriber) { view in
            if token == nil, view.flow.isSame(as: flow) { token = ServingCSCF.token(of: view) }
        }
        guard let token else { return }
        bytes.append("Feature-Caps: *;")
        bytes.append(token)
        bytes.append("\r\n")
    }

    private static func token(of view: BindingView) -> KeyHash {
        var hasher = KeyHasher(HashSecret(0, 0x746F_6B65_6E))
        hasher.combine(view.callID)
        hasher.combine(UInt64(view.device))
        return hasher.finish()
    }
}

extension OctetBuffer {
    /// A feature tag whose value is a string (RFC 3840 §9).
    fileprivate mutating func append(_ token: KeyHash) {
        append("+g.3gpp.registration-token=\"<")
        appendHex(token.high)
        appendHex(token.low)
        append(">\"")
    }
}
