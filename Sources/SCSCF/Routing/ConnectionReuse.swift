// Requests to a peer over the connection that it opened (RFC 5923): it asks for it by `alias` in its Via.

import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    /// With TLS it is the certificate that says whether the peer is who sent-by says (§9.1), so the shell judges, which has it.
    /// TCP, which has none, the RFC leaves out: only a trusted peer is believed there.
    func aliasAsked(_ essentials: Essentials, _ request: borrowing Message, over flow: Flow, into effects: inout Effects) {
        guard flow.connection != 0, !flow.transport.isWebSocket else { return }
        if flow.transport == .tcp {
            guard isFromTrustedPeer(Arrival(server: .none, flow: flow, essentials: essentials)) else { return }
        }
        let via = essentials.via
        effects.wire.alias(flow, port: via.port == 0 ? flow.transport.defaultPort : via.port, host: request[via.host])
    }
}
