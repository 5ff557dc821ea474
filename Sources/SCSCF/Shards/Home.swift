// Which shard a message from the network belongs to. Any of them may read it; the one that is its home has, or will have,
// its transaction. So the home is a function of what an INVITE, its retransmissions, its CANCEL and its ACK have in common
// (RFC 3261 §9.1, §17.1.1.3): From, Request-URI, Call-ID and the topmost Route value.

import SIPMessage
import SIPProxy
import SIPTransaction
import SansIO

extension ServingCSCF {
    /// The shard that a message belongs to; nil: this one.
    mutating func otherHome(of message: borrowing Message, _ essentials: Essentials) -> UInt8? {
        let home: UInt8
        if message.isRequest {
            home = requestHome(message, essentials)
        } else {
            // A branch that none of us has made: it is a stray response wherever it is looked for.
            guard let shard = TransactionLayer.shard(of: message, essentials), shard < place.count else { return nil }
            home = shard
        }
        return home == place.number ? nil : home
    }

    /// The shard that serves a subscriber; nil: this one.
    func otherShard(of subscriber: UInt32) -> UInt8? {
        guard place.hasOthers else { return nil }
        let shard = place.shard(of: subscriber)
        return shard == place.number ? nil : shard
    }

    /// A chain goes on where it began. Else most of the work is for the user who registers, the one who sends, or the one
    /// who is reached, in this order; a request of none of them may be anywhere.
    private mutating func requestHome(_ request: borrowing Message, _ essentials: Essentials) -> UInt8 {
        if let shard = chainShard(of: request) { return shard }
        if request.method == .subscribe, let shard = subscriptionShard(of: request, essentials) { return shard }
        let bytes = request.bytes
        let user = request.method == .register ? essentials.to.uri : essentials.from.uri
        if let reference = holder(of: user, in: bytes) { return place.shard(of: reference.subscriber) }
        if let uri = essentials.requestURI, let reference = holder(of: uri, in: bytes) ?? target(of: uri, in: bytes) {
            return place.shard(of: reference.subscriber)
        }
        var hasher = KeyHasher(commonSecret)
        hasher.combine(request[essentials.callID])
        return UInt8(truncatingIfNeeded: hasher.finish().low % UInt64(place.count))
    }

    /// Whose public identity a URI is, or was: what comes again when its user has been taken away meanwhile, or was not there
    /// yet when it came first, must find the transaction that it has begun.
    private mutating func holder(of uri: SIPURI, in bytes: RawSpan) -> IdentityReference? {
        guard uri.scheme != .other else { return nil }
        scratch.removeAll()
        scratch.appendIdentity(uri, in: bytes)
        return directory.holder(of: scratch.bytes)
    }

    /// The shard of the user whose registration is watched in a dialog of ours, by the user part of our Contact.
    private mutating func subscriptionShard(of request: borrowing Message, _ essentials: Essentials) -> UInt8? {
        guard !essentials.to.tag.isEmpty, let uri = essentials.requestURI else { return nil }
        scratch.removeAll()
        guard scratch.appendIdentity(inSubscriptionUser: request[uri.user]), let watched = directory.holder(of: scratch.bytes)
        else { return nil }
        return place.shard(of: watched.subscriber)
    }

    /// The shard in the original dialog identifier that the topmost Route value holds. Whether we have made it is for that
    /// shard to find out.
    private func chainShard(of request: borrowing Message) -> UInt8? {
        let bytes = request.bytes
        guard let value = request.firstValue(.route), let address = bytes.nameAddress(value),
            let identifier = bytes[address.uri.user].dialogIdentifier, identifier.slot.shardMark < place.count
        else { return nil }
        return identifier.slot.shardMark
    }
}
