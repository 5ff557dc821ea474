// What a client has under way: one registration, one publication, one message and one subscription at most, each through as
// many requests as challenges and too brief intervals ask for.

import SIPMessage
import SIPRegistrar
import SIPTransaction
import SansIO

/// The things that are done at the same time; their numbers stand in the client transactions.
enum Lane: Int, CaseIterable, Sendable { case registration, publication, message, watch }

/// A task of a lane, from its first request to its outcome.
struct Exchange: Sendable {
    enum Purpose: Sendable, Equatable {
        case register
        case unregister
        case publish
        case refreshSettings
        case removeSettings
        case message(to: String, uri: [UInt8], text: String)
        /// The subscription to the client's own registration.
        case watch
    }

    var purpose: Purpose
    /// Seconds asked for.
    var expires: UInt32
    /// Whether a command waits for it; else it is the client's own doing.
    var isCommanded: Bool
    var callID: [UInt8]
    var fromTag: [UInt8]
    var sequence: UInt32
    /// The number of the request under way: an answer to an earlier one is not meant.
    var request: UInt64 = 0
    /// Challenges answered so far.
    var challengesAnswered = 0
    /// Whether 423 was answered with a longer interval.
    var hasLengthened = false
    /// Whether our SIM found the challenge old: another is asked for, and answered.
    var isResynchronising = false
    /// Whether 412 was answered with a first publication.
    var hasBegunAnew = false
}

/// A challenge of the core, used for as many requests as it allows.
struct Challenge: Sendable {
    /// The value of WWW-Authenticate or Proxy-Authenticate.
    var value: [UInt8]
    /// The header that answers it.
    var header: HeaderName
    var nonceCount: UInt32 = 0
    /// Whether the SIM answers it, and not the password.
    var isForSIM = false

    /// The first challenge of a response that can be answered (RFC 8760 §2.4).
    init?(in response: Message, hasSIM: Bool) {
        let (name, header): (HeaderName, HeaderName) =
            response.status == 407 ? (.proxyAuthenticate, .proxyAuthorization) : (.wwwAuthenticate, .authorization)
        var index = response.firstIndex(of: name)
        while let i = index {
            let value = response.fields[i].value
            if let parameters = response.bytes.digestParameters(value) {
                isForSIM = hasSIM && header == .authorization && DigestClient.canAnswerWithSIM(parameters, in: response.bytes)
                if isForSIM || DigestClient.canAnswer(parameters, in: response.bytes) {
                    self.value = [UInt8](response[value])
                    self.header = header
                    return
                }
            }
            index = response.nextIndex(after: i)
        }
        return nil
    }

    /// Whether only the nonce of our answer was too old (RFC 2617 §3.2.1).
    var isStale: Bool {
        let bytes = value.span.bytes
        guard let parameters = bytes.digestParameters(Slice(0, value.count)) else { return false }
        return bytes[parameters.stale].equalsIgnoringCase("true")
    }

    /// Writes the credentials for a request.
    mutating func appendAnswer(
        username: [UInt8], password: [UInt8], method: Method, uri: [UInt8], body: RawSpan, cnonce: UInt64, into bytes: inout OctetBuffer
    ) {
        nonceCount &+= 1
        let octets = value.span.bytes
        guard let parameters = octets.digestParameters(Slice(0, value.count)) else { return }
        var name = OctetBuffer(capacity: 16)
        name.append(method.text)
        _ = DigestClient.appendAuthorization(
            header, answering: parameters, in: octets, username: username.span.bytes, password: password.span.bytes,
            method: name.bytes, uri: uri.span.bytes, body: body, nonceCount: nonceCount, cnonce: cnonce, into: &bytes)
    }

    /// Writes the credentials for a REGISTER, by the SIM.
    func appendAnswer(
        username: [UInt8], sim: inout USIM, uri: [UInt8], cnonce: UInt64, into bytes: inout OctetBuffer
    ) -> DigestClient.AKAOutcome? {
        let octets = value.span.bytes
        guard let parameters = octets.digestParameters(Slice(0, value.count)) else { return nil }
        var name = OctetBuffer(capacity: 16)
        name.append(Method.register.text)
        return DigestClient.appendAuthorization(
            answering: parameters, in: octets, username: username.span.bytes, sim: &sim, method: name.bytes, uri: uri.span.bytes,
            cnonce: cnonce, into: &bytes)
    }
}
