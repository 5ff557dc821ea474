// A caller that asks to be told the contacts instead of being led to them (RFC 3841 §9.1), and a contact that redirects (RFC 3261
// §16.7 step 4): where the core or the caller wants that, what the 3xx names is tried in place of the contact that gave it, one
// after the other by falling q; else the 3xx is one of the answers. What an application server says is in Retargeting.swift.
//
// A URI is tried once for a request. One of a user of ours is not followed: that user's services would be passed over. What
// is left of the contacts is passed back, if nothing better comes. From a SIPS URI none leads to a SIP URI, nor the other way
// (RFC 5630 §5.3).

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

/// An address that a 3xx names.
struct RedirectionTarget {
    var uri: [UInt8]
    /// In thousandths.
    var q: UInt16
    /// Whether the 3xx calls it another address of the same user (`rc`, RFC 7044 §8).
    var isOfSameUser: Bool

    /// - Parameter contact: of a response with these octets.
    init(_ contact: NameAddress, in bytes: RawSpan) {
        uri = bytes.target(contact.uri)
        q = bytes.parameter("q", in: contact.parameters).flatMap { bytes.qvalue($0) } ?? 1000
        isOfSameUser = bytes.parameter("rc", in: contact.parameters) != nil && bytes.parameter("mp", in: contact.parameters) == nil
    }
}

/// What a 3xx leads to.
private struct Redirection {
    var targets: [RedirectionTarget] = []
    /// Contact values that are not followed.
    var rest: [Slice] = []
}

extension ServingCSCF {
    /// The most branches of one request, those that redirections add included.
    private static let branchLimit = 20

    /// Answers with the user's contacts in place of sending the request to them: 302 with the only one, 300 with several.
    mutating func redirectCaller(
        _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, to targets: [Target], at now: Now, into effects: inout Effects
    ) {
        var fields = OctetBuffer(capacity: 256)
        for target in targets {
            guard let view = registrar.binding(target.binding) else { continue }
            fields.append("Contact: <")
            fields.append(view.uri)
            fields.append(target.q < 1000 ? ">;q=0." : ">")
            if target.q < 1000 { fields.appendDecimal(UInt64(target.q), digits: 3) }
            fields.append("\r\n")
        }
        let contacts = [UInt8](fields.bytes)
        let status: UInt16 = targets.count == 1 ? 302 : 300
        close(id)
        answer(arrival, request, status, at: now, into: &effects) { $0.append(contacts) }
    }

    /// Whether a redirection may be followed: it came from a contact, or from what one redirected to, the core or the caller wants
    /// that (`recurse`, RFC 3841 §9.1), the caller does not forbid it (`no-recurse`), and the search is not over.
    func mayFollow(_ id: SlotID, from kind: Branch.Kind) -> Bool {
        let disposition = contexts[id.index].disposition
        guard configuration.followsRedirections || disposition.contains(.recurse), kind == .contact || kind == .redirection,
            !disposition.contains(.noRecurse)
        else { return false }
        return !contexts[id.index].isCancelled && contexts[id.index].bestStatus < 600
    }

    /// Adds the contacts of a 300, 301 or 302 to the targets. A 305 names a proxy and a 380 another service: they are not followed.
    mutating func redirected(
        _ branch: SlotID, _ response: borrowing Message, _ essentials: Essentials, from kind: Branch.Kind, at now: Now,
        into effects: inout Effects
    ) {
        let id = branches[branch.index].context
        let redirection = redirection(in: response, of: id)
        guard !redirection.targets.isEmpty, noteRedirection(of: id) else {
            return failed(id, response, essentials, from: kind, at: now, into: &effects)
        }
        branches[branch.index].hidesHistory = asksToHideHistory(response)
        addTargets(redirection, behind: branch, to: id)
        guard !redirection.rest.isEmpty else { return nextTargets(id, at: now, into: &effects) }
        // What was followed is taken out of the answer (§16.7 step 4).
        var octets = OctetBuffer(capacity: response.bytes.byteCount)
        octets.append(response.bytes.part(0, Int(response.shape.headerStart)))
        octets.appendFields(of: response, except: [.contact, .contentLength])
        for value in redirection.rest { octets.appendField(.contact, response[value]) }
        octets.appendBody(response.body)
        var scanner = MessageScanner()
        _ = scanner.scan(octets.bytes)
        let shorter = scanner.message(octets.bytes)
        // It was sound when it came.
        guard let remaining = try? shorter.essentials() else { return nextTargets(id, at: now, into: &effects) }
        failed(id, shorter, remaining, from: kind, at: now, into: &effects)
    }

    private mutating func redirection(in response: borrowing Message, of id: SlotID) -> Redirection {
        var values: [Slice] = []
        response.forEachValue(.contact) { value in
            values.append(value)
            return true
        }
        var redirection = Redirection()
        var room = ServingCSCF.branchLimit - branchCount(of: id)
        for value in values {
            guard room > 0, let target = target(value, in: response.bytes, of: id, besides: redirection) else {
                redirection.rest.append(value)
                continue
            }
            redirection.targets.append(target)
            room -= 1
        }
        redirection.targets.sort { $0.q > $1.q }
        return redirection
    }

    /// The URI in a Contact value, if it can be tried.
    private mutating func target(
        _ value: Slice, in bytes: RawSpan, of id: SlotID, besides redirection: Redirection
    ) -> RedirectionTarget? {
        guard let contact = bytes.nameAddress(value), identity(of: contact.uri, in: bytes) == nil,
            contact.uri.isSIPS == contexts[id.index].isSIPS, leadsElsewhere(contact.uri, in: bytes)
        else { return nil }
        let target = RedirectionTarget(contact, in: bytes)
        guard !hasTried(target.uri.span.bytes, for: id) else { return nil }
        for other in redirection.targets where isSame(other.uri.span.bytes, target.uri.span.bytes) { return nil }
        return target
    }

    /// Whether a request can be sent to a URI that is not ours.
    func leadsElsewhere(_ uri: SIPURI, in bytes: RawSpan) -> Bool {
        guard !own.isOurs(uri, in: bytes), let way = way(to: uri, in: bytes) else { return false }
        guard way.name == nil else { return true }
        guard let flow = outgoing(way.destination) else { return false }
        return mayTake(uri, flow)
    }

    private func branchCount(of id: SlotID) -> Int {
        var count = 0
        var branch = contexts[id.index].firstBranch
        while !branch.isNone {
            count += 1
            branch = branches[branch.index].next
        }
        return count
    }

    /// Whether a branch of the request has this URI.
    private func hasTried(_ uri: RawSpan, for id: SlotID) -> Bool {
        var branch = contexts[id.index].firstBranch
        while !branch.isNone {
            let one = branches[branch.index]
            if one.kind == .redirection {
                if isSame(pool.bytes(one.uri), uri) { return true }
            } else if one.kind == .contact, let binding = registrar.binding(one.binding), isSame(binding.uri, uri) {
                return true
            }
            branch = one.next
        }
        return false
    }

    private func isSame(_ a: RawSpan, _ b: RawSpan) -> Bool {
        guard let one = a.uri(Slice(0, a.byteCount)), let other = b.uri(Slice(0, b.byteCount)) else { return false }
        return a.isEquivalent(one, to: other, in: b)
    }

    /// Marks the request as one that goes to several targets.
    ///
    /// - Returns: false if it is here for the second time.
    private mutating func noteRedirection(of id: SlotID) -> Bool {
        var isNew = false
        withOriginal(of: id) { core, arrival, request, _ in
            isNew = core.prepareRedirection(of: id, arrival.essentials, request)
        }
        return isNew
    }

    /// The new targets have their turn before those that wait already, each alone: so none needs more of the breadth than the
    /// contact that it stands for.
    private mutating func addTargets(_ redirection: Redirection, behind redirector: SlotID, to id: SlotID) {
        var group = UInt16.max - UInt16(branchCount(of: id))
        for target in redirection.targets.reversed() {
            let branch = addBranch(.redirection, to: id)
            branches[branch.index].uri = pool.store(target.uri.span.bytes)
            branches[branch.index].group = group
            branches[branch.index].redirector = branches[redirector.index].number
            branches[branch.index].isOfSameUser = target.isOfSameUser
            group -= 1
        }
        contexts[id.index].waitingBranches += Int16(redirection.targets.count)
    }

    /// - Parameter target: the one of its targets to send to; nil: where its URI leads.
    mutating func sendToRedirection(
        _ branch: SlotID, _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, over target: Flow?,
        at now: Now, into effects: inout Effects
    ) {
        let octets = [UInt8](pool.bytes(branches[branch.index].uri))
        let bytes = octets.span.bytes
        guard let uri = bytes.uri(Slice(0, octets.count)), let way = way(to: uri, in: bytes) else { return }
        var found = target ?? outgoing(way.destination)
        if found == nil, let name = way.name, case .over(let located) = course(to: name, of: branch, at: now, into: &effects) {
            found = located
        }
        guard let flow = found else { return }
        number(branch, of: id)
        _ = sendBranch(
            .redirection, id, arrival, request, routes, to: .redirection(branch, isTrusted: way.isTrusted), uri: bytes, reusing: branch,
            over: flow, at: now, into: &effects)
    }
}
