// Who may watch a registration (TS 24.229 §5.4.2.1.1).

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    /// TS 24.229 §5.4.2.1.1: the user must be registered, and the watcher be the user, the edge on the user's Path, or an
    /// application server of the user's criteria. Nobody may by a barred identity.
    mutating func checkMayWatch(
        _ watched: IdentityReference, _ sender: Sender, _ arrival: Arrival, _ request: borrowing Message
    ) throws(SubscriptionRefusal) {
        guard !directory.isBarred(watched) else { throw SubscriptionRefusal(status: 403, warning: "the identity is barred") }
        guard registrar.isRegistered(watched.subscriber) else {
            throw SubscriptionRefusal(status: 480, warning: "the user is not registered")
        }
        if sender.isOriginating, sender.originator.subscriber == watched.subscriber { return }
        if sender.isTrusted, let asserted = firstAssertedOfOurs(request), asserted.subscriber == watched.subscriber,
            !directory.isBarred(asserted)
        {
            return
        }
        if sender.server >= 0, serves(watched.subscriber, sender.server) { return }
        if isOnPath(of: watched.subscriber, sender, arrival, request) { return }
        throw SubscriptionRefusal(
            status: 403, warning: "only the user, its edge and the application servers of its criteria may watch a registration")
    }

    /// Whether a criterion of the user's names an application server.
    private func serves(_ subscriber: UInt32, _ server: Int16) -> Bool {
        for i in 0..<directory.identityCount(of: subscriber) {
            guard let number = directory.profile(of: IdentityReference(subscriber: subscriber, identity: UInt16(i))) else { continue }
            for route in criteria[number] where route.server == server { return true }
        }
        return false
    }

    /// Whether the sender is on the Path of a contact of the user's: by the address that it sends from, or by the identity that
    /// somebody trusted asserts.
    private func isOnPath(of subscriber: UInt32, _ sender: Sender, _ arrival: Arrival, _ request: borrowing Message) -> Bool {
        var peer = arrival.flow.remote
        if arrival.flow.transport.isReliable {
            let via = arrival.essentials.via
            peer.port = via.port == 0 ? arrival.flow.transport.defaultPort : via.port
        }
        let asserted = sender.isTrusted ? request.networkIdentities(.pAssertedIdentity)?.sip?.uri : nil
        var paths: [[UInt8]] = []
        registrar.forEachBinding(of: subscriber) { paths.append([UInt8]($0.path)) }
        for octets in paths {
            let path = octets.span.bytes
            var rest = Slice(0, octets.count)
            while !rest.isEmpty {
                guard let uri = path.nameAddress(path.nextListValue(&rest))?.uri, uri.isSIP else { continue }
                if destination(of: uri, in: path)?.endpoint == peer { return true }
                if let asserted, request[asserted.host].equalsIgnoringCase(path[uri.host]), asserted.effectivePort == uri.effectivePort {
                    return true
                }
            }
        }
        return false
    }
}

extension SIPURI {
    fileprivate var effectivePort: UInt16 { port != 0 ? port : scheme == .sips ? 5061 : 5060 }
}
