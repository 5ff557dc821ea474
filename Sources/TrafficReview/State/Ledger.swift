// What the messages so far came to: transactions, registrations, publications and challenges. A rule looks back into it.

import SIPMessage
import SansIO

/// The state of a review. What it does not know, because the trace begins later, is no fault of anybody.
final class Ledger {
    /// Whether the trace has been seen from its first message on.
    private(set) var isComplete = true
    private var isEmpty = true
    private var transactions: [TransactionKey: Exchange] = [:]
    private var byCallID: [String: [Exchange]] = [:]
    /// Those who registered, by public identity; the latest of each contact.
    private(set) var registrations: [String: [RegistrationState]] = [:]
    /// Entity tags by public identity and event package.
    private var publications: [PublicationKey: [String: PublishedState]] = [:]
    /// The last PUBLISH of each, answered or not.
    private var lastPublish: [PublicationKey: Exchange] = [:]
    /// By nonce.
    private(set) var challenges: [String: Challenge] = [:]
    /// Identities of users by the address that they register from.
    private var users: [Endpoint: String] = [:]
    /// Identities whose client has shown that it is one of an IMS.
    private var imsIdentities: Set<String> = []

    private struct TransactionKey: Hashable {
        var isIncoming: Bool
        var branch: String
        var sentBy: String
        var method: String
    }

    struct PublicationKey: Hashable {
        var identity: String
        var package: String
    }

    /// Requests of one Call-ID that are looked through for another; a load may have thousands.
    private static let callDepth = 64
    /// Contacts of one identity that are kept, those that are gone included.
    private static let contactDepth = 32

    func begins(at sequence: UInt64) {
        if isEmpty { isComplete = sequence == 1 }
        isEmpty = false
    }

    // MARK: Transactions

    /// The transaction of a message; nil: it is a request that was not seen before, or a response to none.
    func exchange(of message: ReadMessage, method: String? = nil) -> Exchange? { transactions[key(of: message, method)] }

    private func key(of message: ReadMessage, _ method: String? = nil) -> TransactionKey {
        let isRequestIncoming = message.observed.isIncoming == message.isRequest
        let method = method ?? message.method
        guard let via = message.via, via.hasCookie else {
            // RFC 2543: by what identifies the request (RFC 3261 §17.2.3).
            let text = "\(message.callID) \(message.sequenceNumber ?? 0) \(message.from?.tag ?? "")"
            return TransactionKey(isIncoming: isRequestIncoming, branch: text, sentBy: "", method: method)
        }
        return TransactionKey(isIncoming: isRequestIncoming, branch: via.branch, sentBy: via.sentBy, method: method)
    }

    func open(_ request: ReadMessage) -> Exchange {
        let exchange = Exchange(request, madeOf: origin(of: request))
        exchange.origin?.cameBack = true
        transactions[key(of: request)] = exchange
        byCallID[request.callID, default: []].append(exchange)
        return exchange
    }

    /// The outgoing request that an incoming one was made of: its Via stands below the newer ones.
    private func origin(of request: ReadMessage) -> Exchange? {
        guard request.observed.isIncoming else { return nil }
        for via in request.vias.dropFirst() {
            guard let via else { continue }
            let key = TransactionKey(isIncoming: false, branch: via.branch, sentBy: via.sentBy, method: request.method)
            if let found = transactions[key] { return found }
        }
        return nil
    }

    /// Requests with a Call-ID, the latest first.
    func exchanges(callID: String) -> some Sequence<Exchange> { (byCallID[callID] ?? []).suffix(Ledger.callDepth).reversed() }

    /// The requests that this one's sender made in the same call, the latest first; only those that came from it directly.
    func earlier(than request: ReadMessage) -> [Exchange] {
        exchanges(callID: request.callID).filter {
            $0.isIncoming && $0.isFirstHop && $0.request.observed.sequence < request.observed.sequence
                && $0.request.from?.tag == request.from?.tag
        }
    }

    /// The INVITE that an ACK or a CANCEL is for, by Call-ID, CSeq and From tag.
    func invite(of request: ReadMessage) -> Exchange? {
        exchanges(callID: request.callID).first {
            $0.isIncoming && $0.request.method == "INVITE" && $0.request.sequenceNumber == request.sequenceNumber
                && $0.request.from?.tag == request.from?.tag && $0.request.observed.remote == request.observed.remote
        }
    }

    // MARK: Who

    /// Whose fault it is: the node by its name, else the user by identity, else the address.
    func node(of message: ReadMessage) -> String {
        if let peer = message.observed.peer { return peer }
        if message.isRequest, let from = message.from?.uri.identity, !from.isEmpty { return from }
        return users[message.observed.remote] ?? message.observed.remote.text
    }

    /// The node that a request was sent to.
    func receiver(of message: ReadMessage) -> String {
        message.observed.peer ?? users[message.observed.remote] ?? message.observed.remote.text
    }

    /// Whether the client has shown that it is an IMS UE, of which TS 24.229 asks more than RFC 3261 does.
    func isIMS(_ identity: String) -> Bool { imsIdentities.contains(identity) }

    func noteSender(_ request: ReadMessage) {
        guard let identity = request.from?.uri.identity, request.observed.peer == nil, request.vias.count == 1 else { return }
        if request.method == "REGISTER", let user = request.to?.uri.identity { users[request.observed.remote] = user }
        if request.showsIMS { imsIdentities.insert(identity) }
    }

    // MARK: Registrations

    func noteRegistered(_ exchange: Exchange, _ response: ReadMessage) {
        guard let identity = exchange.request.to?.uri.identity else { return }
        for contact in exchange.request.values(.contact) {
            guard let address = AddressValue(contact) else {
                if contact == "*" { registrations[identity] = nil }
                continue
            }
            let state = RegistrationState(exchange, response, address)
            registrations[identity, default: []].removeAll { $0.contact.uri.isEquivalent(to: address.uri) }
            registrations[identity, default: []].append(state)
            if registrations[identity, default: []].count > Ledger.contactDepth { registrations[identity]?.removeFirst() }
        }
    }

    /// The latest registration of an identity from the address that a request comes from.
    func registration(of request: ReadMessage) -> RegistrationState? {
        guard let identity = request.from?.uri.identity else { return nil }
        return registrations[identity]?.last { $0.request.observed.remote == request.observed.remote }
    }

    // MARK: Publications

    private func key(ofPublication request: ReadMessage) -> PublicationKey? {
        URIValue(request.requestURI).map { PublicationKey(identity: $0.identity, package: request.package) }
    }

    func publication(_ request: ReadMessage, tag: String) -> PublishedState? {
        key(ofPublication: request).flatMap { publications[$0]?[tag] }
    }

    /// The live publications of a request's resource and package.
    func livePublications(_ request: ReadMessage) -> [PublishedState] {
        guard let key = key(ofPublication: request) else { return [] }
        return (publications[key] ?? [:]).values.filter { $0.end == nil && request.observed.time < $0.expires }
    }

    /// A publication of the same sender, resource and package that is without an answer.
    func pendingPublication(_ request: ReadMessage) -> Exchange? {
        guard let last = key(ofPublication: request).flatMap({ lastPublish[$0] }), last.final == nil,
            last.request.observed.remote == request.observed.remote, last.request.value(.sipIfMatch) == request.value(.sipIfMatch),
            last.request.observed.sequence < request.observed.sequence,
            request.observed.time - last.request.observed.time < .seconds(32)
        else { return nil }
        return last
    }

    func noteAttempt(_ exchange: Exchange) {
        guard exchange.request.method == "PUBLISH", exchange.isFirstHop, let key = key(ofPublication: exchange.request) else { return }
        lastPublish[key] = exchange
    }

    func notePublished(_ exchange: Exchange, _ response: ReadMessage) {
        guard let key = key(ofPublication: exchange.request) else { return }
        let old = exchange.request.value(.sipIfMatch)
        let number = response.observed.sequence
        if response.status == 412, let old {
            let known = publications[key]?[old]
            publications[key, default: [:]][old] = PublishedState(
                tag: old, request: known?.request ?? exchange.request, expires: response.observed.time, end: .refused(number))
        }
        guard response.isSuccess else { return }
        if let old { publications[key]?[old]?.end = .replaced(number) }
        let granted = response.number(.expires) ?? exchange.request.number(.expires) ?? 0
        guard let tag = response.value(.sipETag), granted > 0 else { return }
        let expires = response.observed.time + .seconds(Int(clamping: min(granted, 1 << 31)))
        publications[key, default: [:]][tag] = PublishedState(tag: tag, request: exchange.request, expires: expires, end: nil)
    }

    // MARK: Challenges

    /// Remembers what the core asked for, and what it lets be used next.
    func noteChallenges(_ response: ReadMessage) {
        for (name, answer) in [(HeaderKind.www, response.status == 401), (.proxy, response.status == 407)] where answer {
            for field in response.fields where field.name == name.challenge {
                guard let digest = DigestValue(field.value), let nonce = digest["nonce"] else { continue }
                challenges[nonce, default: Challenge(kind: name)].offers.append(digest)
            }
        }
    }

    func noteCredentials(_ credentials: DigestValue, _ request: ReadMessage) {
        guard let nonce = credentials["nonce"], let count = credentials["nc"].flatMap({ UInt32($0, radix: 16) }) else { return }
        let state = challenges[nonce]?.counts[credentials["username"] ?? ""]
        challenges[nonce]?.counts[credentials["username"] ?? ""] = max(state ?? 0, count)
    }
}
