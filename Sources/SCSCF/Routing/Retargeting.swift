// An application server that answers 300, 301 or 302 (TS 23.218 §9.1, RFC 3261 §16.7 step 4): where the core or the caller wants
// redirections to be followed, the request goes on with the Request-URI that the server names, as if the server had sent it back
// with that; else the 3xx is an answer as any other.
//
// The chain of the server ends with its answer. A called user is the one who diverts, so what it is served as such comes first
// (TS 24.229 §5.4.3.3); then the request goes to whom the new Request-URI names, who may be a user of ours with criteria. Of
// several addresses the best is followed. Servers may redirect to each other's users for ever: a request is led on a few times only.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    /// The most redirections of application servers that one request follows.
    private static let retargetLimit: UInt8 = 5

    /// Follows a redirection of an application server.
    ///
    /// - Returns: false: it is not followed, and is to be passed back.
    mutating func followServer(_ id: SlotID, _ response: borrowing Message, at now: Now, into effects: inout Effects) -> Bool {
        let context = contexts[id.index]
        guard context.retargets < ServingCSCF.retargetLimit, !context.isCancelled, context.pendingBranches == 0 else { return false }
        var octets: [UInt8]?
        withOriginal(of: id) { core, arrival, request, routes in
            // From a strict router the Request-URI is no address of the request's.
            guard routes.requestURIFromLast == nil else { return }
            octets = core.retargeted(request, arrival.essentials, by: response, of: id)
        }
        guard let octets else { return false }
        contexts[id.index].retargets += 1
        wheel.cancel(context.timer)
        contexts[id.index].timer = .none
        pool.release(context.original)
        contexts[id.index].original = pool.store(octets.span.bytes)
        withOriginal(of: id) { core, arrival, request, routes in
            guard !core.contexts[id.index].sessionCase.isOriginating else {
                return core.criteriaExhausted(id, arrival, request, routes, at: now, into: &effects)
            }
            core.contexts[id.index].sessionCase = .originatingCDIV
            core.evaluate(id, arrival, request, routes, from: 0, at: now, into: &effects)
        }
        return true
    }

    /// The request with the new Request-URI; nil: there is none that may be followed.
    private mutating func retargeted(
        _ request: borrowing Message, _ essentials: Essentials, by response: borrowing Message, of id: SlotID
    ) -> [UInt8]? {
        let disposition = request.requestDisposition
        guard configuration.followsRedirections || disposition.contains(.recurse), !disposition.contains(.noRecurse),
            let requestURI = essentials.requestURI, let target = target(in: response, of: id, besides: requestURI, request)
        else { return nil }
        var octets = OctetBuffer(capacity: request.bytes.byteCount + 512)
        octets.appendRequestLine(of: request, uri: target.uri.span.bytes)
        octets.appendFields(of: request, except: [.historyInfo, .contentLength])
        appendHistory(
            of: request, from: requestURI, to: target.uri, after: response.status, isPrivate: asksToHideHistory(response),
            isOfSameUser: target.isOfSameUser, into: &octets)
        octets.appendBody(request.body)
        return [UInt8](octets.bytes)
    }

    /// The best address that a redirection names, of those to which the request can go.
    private mutating func target(
        in response: borrowing Message, of id: SlotID, besides requestURI: SIPURI, _ request: borrowing Message
    ) -> RedirectionTarget? {
        var contacts: [NameAddress] = []
        response.forEachAddress(.contact) { contact in
            contacts.append(contact)
            return contacts.count < 32
        }
        var best: RedirectionTarget?
        for contact in contacts where mayRetarget(to: contact.uri, in: response.bytes, of: id) {
            guard !response.bytes.isEquivalent(contact.uri, to: requestURI, in: request.bytes) else { continue }
            let target = RedirectionTarget(contact, in: response.bytes)
            if target.q > best?.q ?? 0 { best = target }
        }
        return best
    }

    /// A user or a service of ours, or an address that can be reached; from a SIPS URI none leads to a SIP URI, nor the other way
    /// (RFC 5630 §5.3).
    private mutating func mayRetarget(to uri: SIPURI, in bytes: RawSpan, of id: SlotID) -> Bool {
        guard uri.scheme != .other, uri.isSIPS == contexts[id.index].isSIPS else { return false }
        return self.target(of: uri, in: bytes) != nil || leadsElsewhere(uri, in: bytes)
    }
}
