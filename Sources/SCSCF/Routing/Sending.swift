// Sending a request onwards: where a URI leads, over which listener, and what is written (RFC 3261 §16.6, §18.1.1).

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    // MARK: Where to

    /// Where requests for a SIP URI go: an address, or a name that the topology resolves (RFC 3263 §4 without DNS).
    /// Nil: a name that nobody knows, or a transport that nobody speaks.
    func destination(of uri: SIPURI, in bytes: RawSpan) -> Destination? {
        guard let transport = bytes.transport(of: uri) else { return nil }
        let host = bytes.parameter("maddr", in: uri.parameters) ?? uri.host
        if let address = IPAddress(bytes[host]) {
            return Destination(
                endpoint: Endpoint(address: address, port: uri.port == 0 ? transport.defaultPort : uri.port), transport: transport)
        }
        guard !configuration.hosts.isEmpty else { return nil }
        var name = OctetBuffer(capacity: 64)
        name.appendLowercased(bytes[host])
        guard var endpoint = configuration.hosts[[UInt8](name.bytes)] else { return nil }
        if uri.port != 0 { endpoint.port = uri.port }
        if endpoint.port == 0 { endpoint.port = transport.defaultPort }
        return Destination(endpoint: endpoint, transport: transport)
    }

    /// The flow to a destination: over the first listener of its transport and family. A stream needs none (an ordinary
    /// client connection); its Via then has the address of another listener of the family. Nil: nobody can send there.
    func outgoing(_ destination: Destination) -> Flow? {
        guard destination.endpoint.port != 0, !destination.endpoint.address.isIPv4Broadcast, !destination.transport.isWebSocket else {
            return nil
        }
        let isIPv6 = destination.endpoint.address.isIPv6
        var sameFamily: Int?
        for i in 0..<configuration.listeners.count where configuration.listeners[i].local.address.isIPv6 == isIPv6 {
            if configuration.listeners[i].transport == destination.transport {
                return Flow(transport: destination.transport, listener: UInt8(i), remote: destination.endpoint)
            }
            if sameFamily == nil { sameFamily = i }
        }
        guard destination.transport.isReliable, let sameFamily else { return nil }
        return Flow(transport: destination.transport, listener: UInt8(sameFamily), remote: destination.endpoint)
    }

    // MARK: By which transport

    /// Sends what was written since `start`: a large request by a stream instead of a datagram, unless the peer lately
    /// refused one (§18.1.1).
    mutating func transmit(
        _ client: SlotID, from start: Int, over flow: Flow, loopToken: UInt64 = 0, at now: Now, into effects: inout Effects
    ) {
        let length = effects.wire.bytes.count - start
        guard flow.transport == .udp, configuration.udpSizeLimit > 0, length > configuration.udpSizeLimit,
            !fallbacks.contains(flow.remote, at: now.monotonic),
            let stream = outgoing(Destination(endpoint: flow.remote, transport: .tcp))
        else {
            return transactions.send(client, from: start, over: flow, at: now.monotonic, into: &effects.wire)
        }
        // Our Via must say TCP: the message is written again with it behind the old one, which is cut off.
        let octets = [UInt8](effects.wire.bytes.bytes(from: start, count: length))
        effects.wire.bytes.truncate(to: start)
        let request = octets.span.bytes
        let viaStart = (request.firstOffset(of: 0x0A) ?? -1) + 1
        let viaEnd = (request.firstOffset(of: 0x0A, from: viaStart) ?? viaStart - 1) + 1
        effects.wire.bytes.append(request.part(0, viaStart))
        transactions.appendVia(client, over: stream, loopToken: loopToken, into: &effects.wire.bytes)
        effects.wire.bytes.append(request.part(viaEnd, request.byteCount - viaEnd))
        transactions.send(
            client, from: start, over: stream, fallbackListener: flow.listener, at: now.monotonic, into: &effects.wire)
    }

    // MARK: What is written

    /// Header fields that only trusted peers may send (RFC 3325 §5, RFC 7315 §5.5); from others they are taken off.
    static let trustedOnly: HeaderSet = [
        .pAssertedIdentity, .pPreferredIdentity, .pServedUser, .pChargingVector, .pChargingFunctionAddresses, .pVisitedNetworkID,
        .pProfileKey, .pCalledPartyID, .pAssociatedURI,
    ]
    /// Header fields that do not leave the trust domain (TS 24.229 §5.4.3.2, RFC 5502 §4).
    static let inside: HeaderSet = [
        .pServedUser, .pChargingVector, .pChargingFunctionAddresses, .pAccessNetworkInfo, .pVisitedNetworkID, .pProfileKey,
    ]

    /// Who gets a forwarded request.
    enum NextHop {
        /// An application server, with the context whose dialog identifier it sends back.
        case applicationServer(CriterionRoute, SlotID)
        /// A contact of the served user, with the branch that goes there.
        case contact(SlotID)
        /// Where a contact redirected to.
        case redirection(SlotID, isTrusted: Bool)
        /// The next Route value, or the Request-URI.
        case onward(isTrusted: Bool)
    }

    /// Writes a request as it goes on. Nothing is sent.
    mutating func appendForwarded(
        _ request: borrowing Message, _ essentials: Essentials, _ context: RequestContext, _ routes: RouteSet, to hop: NextHop,
        uri: RawSpan, extraRoutes: RawSpan, client: SlotID, over flow: Flow, into bytes: inout OctetBuffer
    ) {
        var leftOut = ForwardedRequest.rewritten
        bytes.appendRequestLine(of: request, uri: uri)
        transactions.appendVia(client, over: flow, loopToken: context.loopToken, into: &bytes)
        bytes.appendVias(of: request, essentials.via, from: context.source.remote)
        if request.method.formsDialog, essentials.to.tag.isEmpty {
            appendRecordRoute(inbound: context.source, outbound: flow, isSecure: essentials.requestURI?.scheme == .sips, into: &bytes)
        }
        bytes.appendFields(of: request, .recordRoute)
        appendRouteFields(request, essentials, context, routes, hop, extraRoutes, over: flow, into: &bytes)
        bytes.appendMaxForwards(essentials.maxForwards)
        bytes.appendField(.maxBreadth, decimal: UInt64(context.breadth > 0 ? context.breadth : ForwardedRequest.breadth(of: request)))
        appendIdentities(request, essentials, context, hop, &leftOut, into: &bytes)
        switch hop {
        case .contact(let branch):
            appendHistory(request, essentials, of: branch, to: uri, isTrusted: false, &leftOut, into: &bytes)
        case .redirection(let branch, let isTrusted):
            appendHistory(request, essentials, of: branch, to: uri, isTrusted: isTrusted, &leftOut, into: &bytes)
        case .onward(isTrusted: false):
            appendHistory(of: request, isHidden: asksToHideHistory(request), isTrusted: false, &leftOut, into: &bytes)
        case .onward, .applicationServer: break
        }
        if context.sender.reason == .credentials { leftOut.insert(.proxyAuthorization) }
        bytes.appendFields(of: request, except: leftOut)
        bytes.appendBody(request.body)
    }

    private func appendRouteFields(
        _ request: borrowing Message, _ essentials: Essentials, _ context: RequestContext, _ routes: RouteSet, _ hop: NextHop,
        _ extraRoutes: RawSpan, over flow: Flow, into bytes: inout OctetBuffer
    ) {
        switch hop {
        case .applicationServer(let route, let id):
            // §5.4.3.2: the server first, then ourselves with the original dialog identifier.
            serverNames.appendRoute(route.name, into: &bytes)
            bytes.append("Route: <sip:")
            appendDialogIdentifier(id, into: &bytes)
            bytes.append("@")
            transactions.advertised.append(Int(flow.listener), into: &bytes)
            bytes.appendTransportParameter(route.destination.transport)
            bytes.append(context.sessionCase.isOriginating ? ";lr;orig>\r\n" : ";lr>\r\n")
            var behind = routes
            behind.isStrict = false
            bytes.appendRoutes(of: request, behind, nil)
        case .contact:
            bytes.append(extraRoutes)
        case .onward, .redirection:
            bytes.appendRoutes(of: request, routes, essentials.requestURI)
        }
    }

    /// P-Asserted-Identity, P-Served-User, P-Profile-Key and P-Called-Party-ID as the next hop gets them.
    private mutating func appendIdentities(
        _ request: borrowing Message, _ essentials: Essentials, _ context: RequestContext, _ hop: NextHop, _ leftOut: inout HeaderSet,
        into bytes: inout OctetBuffer
    ) {
        let hidesIdentity = asksToHideIdentity(request)
        if !context.sender.isTrusted {
            leftOut = leftOut.union(ServingCSCF.trustedOnly)
            if !context.sender.originator.isNone, hop.isTrusted || !hidesIdentity {
                appendAssertedOriginator(context.sender.originator, request, essentials, into: &bytes)
            }
        } else if !hop.isTrusted, hidesIdentity {
            leftOut.insert(.pAssertedIdentity)
        } else if context.sender.isOriginating, let other = secondIdentity(of: context.sender.originator, request) {
            appendOnlyAssertedIdentity(other, into: &bytes)
        }
        leftOut.insert(.pPreferredIdentity)
        leftOut.insert(.pServedUser)
        switch hop {
        case .applicationServer:
            appendServedUser(context, into: &bytes)
            if appendProfileKey(of: context.served, into: &bytes) { leftOut.insert(.pProfileKey) }
            leftOut.insert(.pChargingVector)
            appendChargingVector(
                of: request, essentials, isBelieved: context.sender.isTrusted, for: .applicationServer, into: &bytes)
            // §5.4.3.2, §5.4.3.3: those of the home network, in place of what another one has.
            if !configuration.chargingFunctions.isEmpty {
                leftOut.insert(.pChargingFunctionAddresses)
                appendChargingFunctions(into: &bytes)
            }
            if configuration.thirdParty.givesTokens, context.sessionCase == .originating {
                appendFeatureCaps(of: context.served.subscriber, from: context.source, into: &bytes)
            }
        case .contact:
            leftOut = leftOut.union(ServingCSCF.inside)
            leftOut.insert(.pCalledPartyID)
            guard essentials.to.tag.isEmpty else { return }
            bytes.append("P-Called-Party-ID: <")
            appendCalledParty(context, essentials.requestURI, in: request.bytes, into: &bytes)
            bytes.append(">\r\n")
        case .onward(isTrusted: false), .redirection(_, isTrusted: false): leftOut = leftOut.union(ServingCSCF.inside)
        case .onward(isTrusted: true), .redirection(_, isTrusted: true):
            guard context.sessionCase.isOriginating, essentials.to.tag.isEmpty else { return }
            leftOut.insert(.pChargingVector)
            appendChargingVector(of: request, essentials, isBelieved: context.sender.isTrusted, for: .network, into: &bytes)
        }
    }

    /// Whether Privacy, whose words are separated as parameters are, has `id` (RFC 3325 §9.3).
    func asksToHideIdentity(_ request: borrowing Message) -> Bool {
        guard let privacy = request.value(.privacy) else { return false }
        return request.bytes.parameter("id", in: privacy) != nil
    }

    /// The identity, and a second one of the other scheme if the set has one (TS 24.229 §5.4.3.2, RFC 3325 §9.1).
    ///
    /// - Parameter name: what the identity is called, if it is a wildcard.
    func appendAssertedIdentity(_ reference: IdentityReference, name: PacketID = .none, into bytes: inout OctetBuffer) {
        bytes.append("P-Asserted-Identity: <")
        let start = bytes.count
        if name.isNone { directory.appendPublicIdentity(reference, into: &bytes) } else { bytes.append(pool.bytes(name)) }
        let isNumber = bytes.bytes(from: start, count: 4).equals("tel:")
        bytes.append(">")
        if let other = directory.firstIdentity(of: reference.subscriber, isNumber: !isNumber) {
            bytes.append(", <")
            directory.appendPublicIdentity(other, into: &bytes)
            bytes.append(">")
        }
        bytes.append("\r\n")
    }

    /// Of a user of ours whom an application server names in its P-Asserted-Identity, by one identity: the one of the other
    /// scheme that is to be added, if the set has one (TS 24.229 §5.4.3.2).
    mutating func secondIdentity(of user: IdentityReference, _ message: borrowing Message) -> IdentityReference? {
        var uris: [SIPURI] = []
        message.forEachAddress(.pAssertedIdentity) { address in
            uris.append(address.uri)
            return uris.count < 2
        }
        guard uris.count == 1, let named = identity(of: uris[0], in: message.bytes), named.subscriber == user.subscriber else { return nil }
        return directory.firstIdentity(of: named.subscriber, isNumber: !directory.isNumber(named))
    }

    func appendOnlyAssertedIdentity(_ reference: IdentityReference, into bytes: inout OctetBuffer) {
        bytes.append("P-Asserted-Identity: <")
        directory.appendPublicIdentity(reference, into: &bytes)
        bytes.append(">\r\n")
    }

    /// `P-Served-User: <sip:alice@home1.test>;sescase=orig;regstate=reg` (RFC 5502, RFC 8498).
    private func appendServedUser(_ context: RequestContext, into bytes: inout OctetBuffer) {
        bytes.append("P-Served-User: <")
        appendServedName(context, into: &bytes)
        switch context.sessionCase {
        case .originatingCDIV: bytes.append(">;orig-cdiv\r\n")
        case .originating, .originatingUnregistered:
            bytes.append(context.isRegistered ? ">;sescase=orig;regstate=reg\r\n" : ">;sescase=orig;regstate=unreg\r\n")
        case .terminating, .terminatingUnregistered:
            bytes.append(context.isRegistered ? ">;sescase=term;regstate=reg\r\n" : ">;sescase=term;regstate=unreg\r\n")
        }
    }

    /// §16.6 step 4; two values where the two sides are on different listeners or transports, so that each side sees one that
    /// it can reach (RFC 5658 §3.2), the one of the next hop on top.
    private func appendRecordRoute(inbound: Flow, outbound: Flow, isSecure: Bool, into bytes: inout OctetBuffer) {
        appendRecordRouteValue(outbound, isSecure, into: &bytes)
        guard inbound.transport != outbound.transport || inbound.listener != outbound.listener else { return }
        appendRecordRouteValue(inbound, isSecure, into: &bytes)
    }

    /// - Parameter isSecure: whether the Request-URI is a SIPS URI; ours must be one as well, where it is reached by TLS.
    private func appendRecordRouteValue(_ flow: Flow, _ isSecure: Bool, into bytes: inout OctetBuffer) {
        let isSIPS = isSecure && flow.transport.isSecure
        bytes.append(isSIPS ? "Record-Route: <sips:" : "Record-Route: <sip:")
        transactions.advertised.append(Int(flow.listener), into: &bytes)
        if !isSIPS || flow.transport != .tls { bytes.appendTransportParameter(flow.transport) }
        bytes.append(";lr>\r\n")
    }
}

extension ServingCSCF.NextHop {
    /// Whether identities may be shown to it whatever the user asks.
    var isTrusted: Bool {
        switch self {
        case .applicationServer: true
        case .contact: false
        case .onward(let isTrusted), .redirection(_, let isTrusted): isTrusted
        }
    }
}
