// The requests of the UEs, written from parts that are made once.

import SIPMessage
import SIPRegistrar
import SansIO

/// The parts of requests that are the same for all.
struct RequestTexts: Sendable {
    /// `sip:home1.test`
    let domainURI: [UInt8]
    /// `@home1.test`
    let atDomain: [UInt8]
    /// `@127.0.0.1:15061`: host and port of every contact.
    let atCalled: [UInt8]
    /// What branches and Call-IDs begin with: another salt each time, since servers remember transactions.
    let branch: [UInt8]
    let callID: [UInt8]
    /// A Via up to its branch's own part.
    let via: [UInt8]

    /// What an INVITE offers, and a 200 to it answers (RFC 4566): a session that is never used.
    static let session: StaticString =
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0\r\n"

    init(_ plan: LoadPlan, salt: UInt64) {
        let domain = Array(plan.domain.utf8)
        domainURI = Array("sip:".utf8) + domain
        atDomain = Array("@".utf8) + domain
        let salt = RequestTexts.written { $0.appendHex(salt, digits: 8) }
        atCalled = RequestTexts.written {
            $0.append("@")
            $0.append(plan.stations[Int(Station.called.rawValue)])
        }
        let branch = Array("z9hG4bK".utf8) + salt
        callID = salt + Array("-".utf8)
        via = RequestTexts.written {
            $0.append("Via: SIP/2.0/UDP ")
            $0.append(plan.stations[Int(Station.user.rawValue)])
            $0.append(";rport;branch=")
            $0.append(branch)
        }
        self.branch = branch
    }

    private static func written(_ write: (inout OctetBuffer) -> Void) -> [UInt8] {
        var octets = OctetBuffer(capacity: 128)
        write(&octets)
        return [UInt8](octets.bytes)
    }
}

extension LoadGenerator {
    /// The first request of an exchange.
    func appendRequest(_ id: SlotID, into octets: inout OctetBuffer) {
        switch exchanges[id.index].mode {
        case .options: appendOptions(id, into: &octets)
        case .register, .reregister, .registerAuth, .thirdPartyRegister: appendRegister(id, credentials: RawSpan(), into: &octets)
        case .publish: appendPublish(id, into: &octets)
        case .message: appendMessage(id, into: &octets)
        case .call: appendInvite(id, into: &octets)
        }
    }

    /// - Parameter credentials: a whole Authorization field; empty: none.
    func appendRegister(_ id: SlotID, credentials: RawSpan, into octets: inout OctetBuffer) {
        let exchange = exchanges[id.index]
        let user = Int(exchange.user)
        octets.append("REGISTER ")
        octets.append(texts.domainURI)
        appendCommon(id, into: &octets)
        appendTo(user, into: &octets)
        // All of a user's registrations are of one Call-ID (§10.2).
        octets.append("Call-ID: ")
        octets.append(texts.callID)
        octets.append("r")
        octets.appendDecimal(UInt64(user))
        octets.append("\r\n")
        appendSequence(exchange.sequence, .register, into: &octets)
        octets.append(credentials)
        octets.append("Contact: <sip:")
        octets.append(user, of: plan.users)
        octets.append(texts.atCalled)
        octets.append(">;+g.oma.sip-im\r\nExpires: 3600\r\nSupported: path\r\n")
        octets.appendEmptyBody()
    }

    func appendCredentials(
        _ header: HeaderName, answering challenge: DigestParameters, in bytes: RawSpan, _ id: SlotID, into octets: inout OctetBuffer
    ) {
        var names = OctetBuffer(capacity: 128)
        let user = Int(exchanges[id.index].user)
        names.append(user, of: plan.users)
        let nameCount = names.count
        names.append(texts.atDomain)
        let usernameCount = names.count
        names.append(plan.passwordPrefix)
        if plan.passwordHasName { names.appendCopy(from: 0, count: nameCount) }
        names.append(plan.passwordSuffix)
        var cnonce = RandomSource(seed: id.rawValue ^ plan.seed)
        let isWritten = DigestClient.appendAuthorization(
            header, answering: challenge, in: bytes, username: names.bytes(from: 0, count: usernameCount),
            password: names.bytes(from: usernameCount, count: names.count - usernameCount), method: RequestTexts.register.span.bytes,
            uri: texts.domainURI.span.bytes, nonceCount: 1, cnonce: cnonce.next(), into: &octets)
        precondition(isWritten, "a challenge that cannot be answered")
    }

    private func appendOptions(_ id: SlotID, into octets: inout OctetBuffer) {
        octets.append("OPTIONS ")
        octets.append(texts.domainURI)
        appendCommon(id, into: &octets)
        octets.append("To: <")
        octets.append(texts.domainURI)
        octets.append(">\r\n")
        appendCallID(id, into: &octets)
        appendSequence(1, .options, into: &octets)
        octets.appendEmptyBody()
    }

    private func appendPublish(_ id: SlotID, into octets: inout OctetBuffer) {
        let user = Int(exchanges[id.index].user)
        octets.append("PUBLISH ")
        appendURI(user, into: &octets)
        appendCommon(id, into: &octets)
        appendTo(user, into: &octets)
        appendCallID(id, into: &octets)
        appendSequence(1, .publish, into: &octets)
        octets.append("Accept-Contact: *;+g.oma.sip-im\r\nEvent: presence\r\nExpires: 3600\r\nContent-Type: text/plain\r\n")
        octets.append("Content-Length: 5\r\n\r\nhello")
    }

    private func appendMessage(_ id: SlotID, into octets: inout OctetBuffer) {
        let callee = Int(exchanges[id.index].callee)
        octets.append("MESSAGE ")
        appendURI(callee, into: &octets)
        appendCommon(id, into: &octets)
        appendTo(callee, into: &octets)
        appendCallID(id, into: &octets)
        appendSequence(1, .message, into: &octets)
        octets.append("Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
    }

    private func appendInvite(_ id: SlotID, into octets: inout OctetBuffer) {
        let exchange = exchanges[id.index]
        octets.append("INVITE ")
        appendURI(Int(exchange.callee), into: &octets)
        appendCommon(id, into: &octets)
        appendTo(Int(exchange.callee), into: &octets)
        appendCallID(id, into: &octets)
        appendSequence(1, .invite, into: &octets)
        // The caller's own address: nothing is sent to it in this dialog.
        octets.append("Contact: <sip:")
        octets.append(Int(exchange.user), of: plan.users)
        octets.append("@")
        octets.append(plan.stations[Int(Station.user.rawValue)])
        octets.append(">\r\n")
        octets.appendSession()
    }

    // MARK: In a dialog

    /// A request of the dialog that a 200 to an INVITE opened (§12.2.1.1). All routers on the way are loose ones.
    func appendInDialog(
        _ method: Method, _ response: borrowing Message, _ essentials: Essentials, _ id: SlotID, into octets: inout OctetBuffer
    ) {
        octets.append(method.text)
        octets.append(" ")
        if let contact = response.firstValue(.contact), let address = response.bytes.nameAddress(contact) {
            octets.append(response[address.uri.all])
        } else {
            appendURI(Int(exchanges[id.index].callee), into: &octets)
        }
        appendStart(id, method == .ack ? .acknowledgement : .bye, into: &octets)
        appendRouteSet(response, into: &octets)
        appendDialog(response, essentials, id, into: &octets)
        appendSequence(method == .ack ? 1 : 2, method, into: &octets)
        octets.appendEmptyBody()
    }

    /// The ACK of the INVITE's own transaction (§17.1.1.3).
    func appendAcknowledgement(
        ofRefusal response: borrowing Message, _ essentials: Essentials, _ id: SlotID, into octets: inout OctetBuffer
    ) {
        octets.append("ACK ")
        appendURI(Int(exchanges[id.index].callee), into: &octets)
        appendStart(id, .request, into: &octets)
        appendDialog(response, essentials, id, into: &octets)
        appendSequence(1, .ack, into: &octets)
        octets.appendEmptyBody()
    }

    private func appendRouteSet(_ response: borrowing Message, into octets: inout OctetBuffer) {
        var routes: [Slice] = []
        response.forEachValue(.recordRoute) { value in
            routes.append(value)
            return routes.count < 32
        }
        for route in routes.reversed() { octets.appendField(.route, response[route]) }
    }

    private func appendDialog(_ response: borrowing Message, _ essentials: Essentials, _ id: SlotID, into octets: inout OctetBuffer) {
        appendFrom(id, into: &octets)
        octets.appendField(.to, response[essentials.to.all])
        appendCallID(id, into: &octets)
    }

    // MARK: Parts

    /// What follows the Request-URI, up to and with From.
    private func appendCommon(_ id: SlotID, into octets: inout OctetBuffer) {
        appendStart(id, exchanges[id.index].step, into: &octets)
        appendFrom(id, into: &octets)
    }

    private func appendStart(_ id: SlotID, _ step: Step, into octets: inout OctetBuffer) {
        octets.append(" SIP/2.0\r\n")
        octets.append(texts.via)
        ExchangeToken.append(id, to: &octets)
        octets.append(byte: 0x30 + step.rawValue)
        octets.append("\r\nMax-Forwards: 70\r\nUser-Agent: sipcore-load\r\n")
    }

    private func appendFrom(_ id: SlotID, into octets: inout OctetBuffer) {
        octets.append("From: <")
        appendURI(Int(exchanges[id.index].user), into: &octets)
        octets.append(">;tag=")
        ExchangeToken.append(id, to: &octets)
        octets.append("\r\n")
    }

    private func appendTo(_ user: Int, into octets: inout OctetBuffer) {
        octets.append("To: <")
        appendURI(user, into: &octets)
        octets.append(">\r\n")
    }

    private func appendURI(_ user: Int, into octets: inout OctetBuffer) {
        octets.append("sip:")
        octets.append(user, of: plan.users)
        octets.append(texts.atDomain)
    }

    private func appendCallID(_ id: SlotID, into octets: inout OctetBuffer) {
        octets.append("Call-ID: ")
        octets.append(texts.callID)
        ExchangeToken.append(id, to: &octets)
        octets.append("\r\n")
    }

    private func appendSequence(_ number: UInt32, _ method: Method, into octets: inout OctetBuffer) {
        octets.append("CSeq: ")
        octets.appendDecimal(UInt64(number))
        octets.append(" ")
        octets.append(method.text)
        octets.append("\r\n")
    }
}

extension RequestTexts {
    static let register = Array("REGISTER".utf8)
}

extension OctetBuffer {
    /// A session description as the body.
    mutating func appendSession() {
        append("Content-Type: application/sdp\r\n")
        appendField(.contentLength, decimal: UInt64(RequestTexts.session.utf8CodeUnitCount))
        append("\r\n")
        append(RequestTexts.session)
    }
}
