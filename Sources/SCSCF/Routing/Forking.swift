// Several contacts of a user: their order, and what keeps forks from multiplying without end (RFC 3261 §16.6 step 6, RFC 3841
// §7.2 and §9.1, RFC 5393).

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

/// A contact that a request is to be sent to.
struct Target {
    var binding: BindingID
    /// In thousandths.
    var q: UInt16
    var preference: Double
    var updated: Instant
    /// Targets of one group are tried at once.
    var group: UInt16 = 0
}

extension ServingCSCF {
    /// The most contacts that one request is forked to.
    private static let forkLimit = 10

    /// Contacts in the order in which they are tried: falling q, falling preference of the caller, newest first. Equal q
    /// are one group; Request-Disposition may ask for one at a time, all at once, or only the best (RFC 3841 §9.1). Of several
    /// flows of one instance there is the one refreshed last (RFC 5626 §7).
    ///
    /// - Parameters:
    ///   - instance: the only one that is wanted; empty: all.
    ///   - disposition: the request's.
    func targets(
        of subscriber: UInt32, _ instance: [UInt8], for request: borrowing Message, _ disposition: RequestDisposition
    ) -> [Target] {
        var targets: [Target] = []
        let preferences = CallerPreferences(request)
        registrar.forEachBinding(of: subscriber) { view in
            let rating = preferences.rating(contactParameters: view.parameters)
            guard !rating.isDiscarded, instance.isEmpty || view.instance.equals(instance) else { return }
            let target = Target(binding: view.id, q: view.q, preference: rating.preference, updated: view.updated)
            var other = targets.count
            if view.instance.byteCount > 0 {
                for i in targets.indices where isInstance(targets[i].binding, view.instance) { other = i }
            }
            if other == targets.count {
                targets.append(target)
            } else if targets[other].updated <= target.updated {
                targets[other] = target
            }
        }
        guard targets.count > 1 else { return targets }
        targets.sort { ($0.q, $0.preference, $0.updated) > ($1.q, $1.preference, $1.updated) }
        if disposition.contains(.noFork) { return [targets[0]] }
        if targets.count > ServingCSCF.forkLimit { targets.removeLast(targets.count - ServingCSCF.forkLimit) }
        let (isSequential, isParallel) = (disposition.contains(.sequential), disposition.contains(.parallel))
        for i in 1..<targets.count {
            let isNext = isSequential || (!isParallel && targets[i].q != targets[i - 1].q)
            targets[i].group = targets[i - 1].group + (isNext ? 1 : 0)
        }
        return targets
    }

    private func isInstance(_ binding: BindingID, _ instance: RawSpan) -> Bool {
        guard let view = registrar.binding(binding) else { return false }
        return view.instance.equals(instance)
    }

    // MARK: Limits of forking

    struct ForkRefusal {
        var status: UInt16
        var reason: String
    }

    /// Marks the context of a request that goes to several contacts, unless it has been forked for the same user before, or
    /// may not be made into so many.
    mutating func prepareFork(
        of id: SlotID, into targets: [Target], _ essentials: Essentials, _ request: borrowing Message
    ) -> ForkRefusal? {
        let token = loopToken(of: contexts[id.index].served, essentials, request)
        guard !hasOurVia(with: token, request) else {
            return ForkRefusal(status: 482, reason: "a contact of the recipient sent the request back here")
        }
        let breadth = ForwardedRequest.breadth(of: request)
        let widest = widestGroup(of: targets)
        guard breadth >= widest else { return ForkRefusal(status: 440, reason: "more contacts than Max-Breadth allows") }
        contexts[id.index].loopToken = token
        contexts[id.index].breadth = breadth / widest
        return nil
    }

    /// The same for a request that goes to one contact after the other because the first ones redirect.
    ///
    /// - Returns: false if it has been forked for the same identity before.
    mutating func prepareRedirection(of id: SlotID, _ essentials: Essentials, _ request: borrowing Message) -> Bool {
        guard contexts[id.index].loopToken == 0 else { return true }
        let token = loopToken(of: contexts[id.index].served, essentials, request)
        guard !hasOurVia(with: token, request) else { return false }
        contexts[id.index].loopToken = token
        return true
    }

    /// How many targets are tried at once at most.
    private func widestGroup(of targets: [Target]) -> UInt16 {
        var widest: UInt16 = 1
        var run: UInt16 = 1
        for i in 1..<targets.count {
            run = targets[i].group == targets[i - 1].group ? run + 1 : 1
            widest = max(widest, run)
        }
        return widest
    }

    /// The same for each copy of a request that is forked for the same identity, and never 0. Another identity in the
    /// Request-URI makes a spiral of it, which is no loop (RFC 5393 §4.2.1).
    private func loopToken(of user: IdentityReference, _ essentials: Essentials, _ request: borrowing Message) -> UInt64 {
        var hasher = KeyHasher(secret)
        hasher.combine(request[essentials.callID])
        hasher.combine(request[essentials.from.tag])
        hasher.combine(UInt64(essentials.sequence) << 32 | UInt64(user.subscriber))
        hasher.combine(UInt64(user.identity))
        hasher.combine(request[request.shape.methodName])
        return hasher.finish().low | 1
    }

    /// Whether one of the Via values has this token where ours have it, at the end of the branch.
    private func hasOurVia(with token: UInt64, _ request: borrowing Message) -> Bool {
        let bytes = request.bytes
        var expected = OctetBuffer(capacity: 32)
        expected.append(byte: 0x2E)
        expected.appendHex(token)
        var isFound = false
        request.forEachValue(.via) { value in
            guard let via = bytes.via(value), via.branch.count > 17 else { return true }
            isFound = bytes[Slice(via.branch.upper - 17, via.branch.upper)].equals(expected.bytes)
            return !isFound
        }
        return isFound
    }
}
