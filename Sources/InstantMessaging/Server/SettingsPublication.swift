// Settings by PUBLISH (RFC 3903 §6 for the method, RFC 4354 for the package).
//
//   no SIP-If-Match, body          → a new publication
//   SIP-If-Match, no body          → refresh
//   SIP-If-Match, body             → the document is replaced
//   SIP-If-Match, Expires: 0       → removed
//
// Every 200 has a new entity-tag; the one before is void at once.

import SIPMessage
import SIPTransaction
import SansIO

/// A PUBLISH that is refused.
private struct PublicationFault: Error {
    var status: UInt16
    var text: String?
    /// For 503.
    var retryAfter = 0

    init(_ status: UInt16, _ text: String? = nil, retryAfter: Int = 0) {
        self.status = status
        self.text = text
        self.retryAfter = retryAfter
    }
}

extension IMServer {
    mutating func publicationReceived(_ arrival: borrowing Arrival, into effects: inout Effects) {
        do throws(PublicationFault) {
            let accepted = try publish(arrival)
            answer(arrival, 200, into: &effects) {
                $0.appendField(.sipETag, octets: accepted.entityTag)
                $0.appendField(.expires, decimal: UInt64(accepted.expires))
            }
        } catch {
            answer(error, arrival, into: &effects)
        }
    }

    private mutating func answer(_ fault: PublicationFault, _ arrival: borrowing Arrival, into effects: inout Effects) {
        let settings = self.settings
        switch fault.status {
        case 420: answerUnsupported(arrival, .require, into: &effects)
        case 489: answerBadEvent(arrival, into: &effects)
        default:
            answer(arrival, fault.status, warning: fault.text, into: &effects) {
                if fault.status == 415 { $0.appendField(.accept, SettingsDocument.mediaType) }
                if fault.status == 423 { $0.appendField(.minExpires, decimal: UInt64(settings.expires.minimum)) }
                if fault.status == 503 { $0.appendField(.retryAfter, decimal: UInt64(fault.retryAfter)) }
            }
        }
    }

    /// The steps of RFC 3903 §6, in their order.
    private mutating func publish(_ arrival: borrowing Arrival) throws(PublicationFault) -> (entityTag: [UInt8], expires: UInt32) {
        let request = arrival.message
        let now = arrival.now
        if request.has(.require) { throw PublicationFault(420) }
        guard let uri = arrival.essentials.requestURI, let resource = Identity(uri, in: request.bytes), isServed(resource) else {
            throw PublicationFault(404, "no user of this server")
        }
        guard namesOurPackage(request) else { throw PublicationFault(489) }
        try authorize(request, arrival.essentials, resource)
        let entityTag = try entityTag(of: request)
        guard let user = userNumber(of: resource) else { throw PublicationFault(503, "as many users as are allowed", retryAfter: 60) }
        try limitRate(user, now)
        var position: Int?
        if let entityTag {
            position = users[user].publications.firstIndex { $0.entityTag == entityTag && $0.expiry > now.monotonic }
            guard position != nil else { throw PublicationFault(412) }
        }
        let expires = try interval(of: request)
        if expires == 0 { return (remove(position, user), 0) }
        guard request.shape.body.count <= settings.bodyLimit else {
            throw PublicationFault(413, "the body is over \(settings.bodyLimit) octets")
        }
        if request.shape.body.isEmpty {
            guard let position else { throw PublicationFault(400, "a first publication needs a body") }
            return (renew(position, user, nil, [], expires, now), expires)
        }
        let (document, body) = try document(of: request)
        if position == nil { position = try newPublication(user, now) }
        guard let position else { throw PublicationFault(500) }
        return (renew(position, user, document, body, expires, now), expires)
    }

    /// The user's own identity, by what the core asserts.
    private mutating func authorize(_ request: Message, _ essentials: Essentials, _ resource: Identity) throws(PublicationFault) {
        let senders = assertedIdentities(request, essentials)
        guard !senders.isEmpty else { throw PublicationFault(403, "no identity is asserted") }
        // Two asserted identities are of one user (RFC 3325 §9.1).
        if senders.contains(resource) {
            if let user = userNumber(of: resource) { for other in senders where isServed(other) { adopt(other, by: user) } }
            return
        }
        let owner = userNumbers[resource]
        guard owner != nil, senders.contains(where: { userNumbers[$0] == owner }) else {
            throw PublicationFault(403, "settings are published by their own user only")
        }
    }

    private func entityTag(of request: Message) throws(PublicationFault) -> [UInt8]? {
        guard request.has(.sipIfMatch) else { return nil }
        guard request.count(of: .sipIfMatch) == 1, let value = request.value(.sipIfMatch), !value.isEmpty else {
            throw PublicationFault(400, "SIP-If-Match has one entity-tag")
        }
        for i in value.lower..<value.upper where !request.bytes[i].isTokenCharacter || request.bytes[i] == 0x2A {
            throw PublicationFault(400, "SIP-If-Match has one entity-tag")
        }
        return [UInt8](request[value])
    }

    private mutating func limitRate(_ user: Int, _ now: Now) throws(PublicationFault) {
        if now.monotonic - users[user].windowStart >= .seconds(1) {
            users[user].windowStart = now.monotonic
            users[user].publicationsInWindow = 0
        }
        users[user].publicationsInWindow += 1
        guard users[user].publicationsInWindow <= settings.publicationRate else {
            throw PublicationFault(503, "more than \(settings.publicationRate) publications in a second", retryAfter: 1)
        }
    }

    /// Granted as asked for, or less; never more (§6 step 4).
    private func interval(of request: Message) throws(PublicationFault) -> UInt32 {
        guard let value = request.value(.expires) else { return settings.expires.standard }
        guard let seconds = request.bytes.decimal(value) else { throw PublicationFault(400, "Expires is not a number of seconds") }
        if seconds > 0, seconds < UInt64(settings.expires.minimum) { throw PublicationFault(423) }
        return UInt32(min(seconds, UInt64(settings.expires.maximum)))
    }

    private func document(of request: Message) throws(PublicationFault) -> (SettingsDocument, [UInt8]) {
        let bytes = request.bytes
        guard let type = request.value(.contentType) else { throw PublicationFault(415, "no Content-Type") }
        guard !isEncoded(request) else { throw PublicationFault(415, "no Content-Encoding is known") }
        var content = request.shape.body
        if bytes.isMediaType("multipart/mixed", type) {
            let parts = bytes.bodyParts(of: content, contentType: type) ?? []
            let documents = parts.filter { bytes.isMediaType(SettingsDocument.mediaType, $0.contentType) }
            guard documents.count == 1 else { throw PublicationFault(415, "one part is a settings document") }
            content = documents[0].content
        } else if !bytes.isMediaType(SettingsDocument.mediaType, type) {
            throw PublicationFault(415)
        }
        do throws(SettingsFault) {
            return (try SettingsDocument(bytes[content]), [UInt8](bytes[content]))
        } catch {
            throw PublicationFault(400, error.text)
        }
    }

    func isEncoded(_ request: Message) -> Bool {
        guard let encoding = request.value(.contentEncoding) else { return false }
        return !request[encoding].equalsIgnoringCase("identity")
    }

    // MARK: Publications

    private mutating func newPublication(_ user: Int, _ now: Now) throws(PublicationFault) -> Int {
        guard users[user].publications.count < settings.publicationQuota else {
            let wait = users[user].publications.map { ($0.expiry - now.monotonic).wholeSeconds }.min() ?? 1
            throw PublicationFault(503, "as many publications as one user may have", retryAfter: Int(max(1, wait)))
        }
        lastPublication += 1
        publicationOwners[lastPublication] = user
        users[user].publications.append(
            Publication(
                number: lastPublication, entityTag: [], document: SettingsDocument(entities: []), body: [], revision: 0,
                expiry: now.monotonic, wallExpiry: now.wall, timer: .none))
        return users[user].publications.count - 1
    }

    /// A new entity-tag and a new term; a new document, if there is one.
    private mutating func renew(
        _ position: Int, _ user: Int, _ document: SettingsDocument?, _ body: [UInt8], _ expires: UInt32, _ now: Now
    ) -> [UInt8] {
        var publication = users[user].publications[position]
        wheel.cancel(publication.timer)
        publication.entityTag = newEntityTag()
        publication.expiry = now.monotonic + .seconds(Int(expires))
        publication.wallExpiry = now.wall + .seconds(Int(expires))
        publication.timer = schedule(.publicationExpired(publication.number), after: .seconds(Int(expires)), now)
        if let document {
            lastRevision += 1
            publication.revision = lastRevision
            publication.document = document
            publication.body = body
        }
        users[user].publications[position] = publication
        return publication.entityTag
    }

    /// Removes a publication. Nothing to remove is a success too: a first publication that ends at once.
    private mutating func remove(_ position: Int?, _ user: Int) -> [UInt8] {
        if let position {
            let publication = users[user].publications.remove(at: position)
            wheel.cancel(publication.timer)
            publicationOwners[publication.number] = nil
        }
        return newEntityTag()
    }

    mutating func removePublications(of user: Int) {
        while !users[user].publications.isEmpty { _ = remove(users[user].publications.count - 1, user) }
    }

    mutating func publicationExpired(_ number: UInt64) {
        guard let user = publicationOwners.removeValue(forKey: number) else { return }
        users[user].publications.removeAll { $0.number == number }
    }

    /// 128 random bits (RFC 3903 §8.3: a token, unique for as long as any publication lives).
    private mutating func newEntityTag() -> [UInt8] {
        var buffer = OctetBuffer(capacity: 64)
        buffer.appendHex(random.next())
        buffer.appendHex(random.next())
        return [UInt8](buffer.bytes)
    }
}
