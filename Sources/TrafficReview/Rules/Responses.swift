// How a request is answered (RFC 3261 §8.2.6, §12.1.1, §13.3, §21; RFC 4320).

import SIPMessage
import SansIO

extension Rules {
    static let responses: [Rule] = [
        Rule("answer-unmatched", .error, "RFC 3261 8.2.6.2", "a response has the request's Via values", on: .stray) { subject in
            Fault(
                "\(subject.name): its topmost Via is not the request's", "copy all Via values of the request, in order",
                with: [subject.request.observed.sequence])
        },
        Rule("answer-via-changed", .error, "RFC 3261 8.2.6.2", "a response has all of the request's Via values", on: .response) { subject in
            let (sent, back) = (subject.request.vias, subject.message.vias)
            let isSame = sent.count == back.count && zip(sent, back).allSatisfy { $0?.branch == $1?.branch && $0?.sentBy == $1?.sentBy }
            guard !isSame else { return nil }
            return Fault(
                "\(subject.name): Via has \(back.count) values, other than the \(sent.count) of the request",
                "copy them as they are, in order",
                with: [subject.request.observed.sequence])
        },
        Rule(
            "answer-headers-changed", .error, "RFC 3261 8.2.6.2", "a response has the request's From, To, Call-ID and CSeq", on: .response
        ) { subject in
            let (request, response) = (subject.request, subject.message)
            var changed: [String] = []
            if request.callID != response.callID { changed.append("Call-ID") }
            if request.sequenceNumber != response.sequenceNumber { changed.append("CSeq") }
            if request.from?.tag != response.from?.tag || request.from?.uri.identity != response.from?.uri.identity {
                changed.append("From")
            }
            if let tag = request.to?.tag, !tag.isEmpty, tag != response.to?.tag { changed.append("To") }
            guard !changed.isEmpty else { return nil }
            return Fault(
                "\(subject.name): \(changed.joined(separator: ", ")) is not the request's", "copy it from the request",
                with: [request.observed.sequence])
        },
        Rule("answer-to-tag-missing", .error, "RFC 3261 8.2.6.2", "To of a response has a tag, but for 100", on: .response) { subject in
            guard subject.message.status > 100, let to = subject.message.to, to.tag.isEmpty else { return nil }
            return Fault("\(subject.name): To has no tag", "add ;tag= with a random value, the same in all answers to a request")
        },
        Rule("answer-record-route", .error, "RFC 3261 12.1.1", "what opens a dialog has the request's Record-Route", on: .response) {
            subject in
            let (request, response) = (subject.request, subject.message)
            guard opensDialog(request, response) else { return nil }
            let (sent, back) = (request.addresses(.recordRoute), response.addresses(.recordRoute))
            let isSame = sent.count == back.count && zip(sent, back).allSatisfy { $0.uri.isEquivalent(to: $1.uri) }
            guard !isSame else { return nil }
            return Fault(
                "\(subject.name): Record-Route has \(back.count) values, other than the \(sent.count) of the request",
                "copy them as they are, in order, or the dialog passes us by", with: [request.observed.sequence])
        },
        Rule("answer-contact-missing", .error, "RFC 3261 12.1.1", "a 2xx that opens a dialog has a Contact", on: .response) { subject in
            guard subject.message.isSuccess, ["INVITE", "SUBSCRIBE"].contains(subject.message.method), !subject.message.has(.contact) else {
                return nil
            }
            return Fault("\(subject.name): no Contact", "write the URI where you can be reached within the dialog")
        },
        Rule("answer-without-description", .error, "RFC 3261 13.3.1.4", "an offer is answered in the 2xx at the latest", on: .response) {
            subject in
            let (request, response) = (subject.request, subject.message)
            guard response.method == "INVITE", response.isSuccess, request.mediaType == "application/sdp", response.body.isEmpty else {
                return nil
            }
            let wasAnswered = subject.exchange?.responses.contains { $0.has(.rSeq) && !$0.body.isEmpty } ?? false
            return wasAnswered
                ? nil
                : Fault("200 to INVITE: no session description", "answer the offer of the INVITE", with: [request.observed.sequence])
        },
        Rule("answer-provisional", .error, "RFC 4320 4.1", "only INVITE has provisional answers beside 100", on: .response) { subject in
            guard subject.message.method != "INVITE", (101..<200).contains(subject.message.status) else { return nil }
            return Fault("\(subject.name): a provisional answer", "answer with the final one at once")
        },
        Rule("answer-100-early", .error, "RFC 4320 4.1", "over UDP no 100 to a request other than INVITE within 3.5 s", on: .response) {
            subject in
            let (request, response) = (subject.request, subject.message)
            guard response.method != "INVITE", response.status == 100, !response.isReliable,
                response.observed.time - request.observed.time < .milliseconds(3400)
            else { return nil }
            return Fault("\(subject.name): at once", "leave 100 out; send it only if there is no final answer after 3.5 s")
        },
        Rule("answer-408", .error, "RFC 4320 4.2", "408 answers INVITE only", on: .response) { subject in
            guard subject.message.method != "INVITE", subject.message.status == 408 else { return nil }
            return Fault("\(subject.name): it comes too late for anybody", "let the transaction end without it")
        },
        Rule("answer-changed", .error, "RFC 3261 17.2.2", "a request other than INVITE has one final answer", on: .response) { subject in
            guard subject.message.method != "INVITE", subject.message.isFinal, let first = subject.exchange?.final,
                first.status != subject.message.status
            else { return nil }
            return Fault("\(subject.name): after a \(first.status)", "keep to the first final answer", with: [first.observed.sequence])
        },
        field("answer-405-allow", [405], "RFC 3261 8.2.1", [.allow], "the methods that are allowed"),
        field("answer-415-accept", [415], "RFC 3261 8.2.3", [.accept, .acceptEncoding, .acceptLanguage], "the types that are understood"),
        field("answer-420-unsupported", [420], "RFC 3261 8.2.2.3", [.unsupported], "the option tags that are not understood"),
        field("answer-423-min-expires", [423], "RFC 3261 21.4.17", [.minExpires], "the least interval"),
        field("answer-401-challenge", [401], "RFC 3261 21.4.2", [.wwwAuthenticate], "the challenge"),
        field("answer-407-challenge", [407], "RFC 3261 21.4.8", [.proxyAuthenticate], "the challenge"),
    ]

    /// A status that says nothing without a header field.
    private static func field(_ id: String, _ statuses: Set<Int>, _ clause: String, _ names: [HeaderName], _ what: String) -> Rule {
        let field = "\(names[0].text)"
        return Rule(id, .error, clause, "\(statuses.map(String.init).joined()) has \(field)", on: .response) { subject in
            guard statuses.contains(subject.message.status), !names.contains(where: { subject.message.has($0) }) else { return nil }
            return Fault("\(subject.name): no \(field)", "write \(field) with \(what)")
        }
    }

    private static func opensDialog(_ request: ReadMessage, _ response: ReadMessage) -> Bool {
        guard request.to?.tag.isEmpty == true, response.to?.tag.isEmpty == false, request.has(.recordRoute) else { return false }
        switch response.method {
        case "INVITE": return (101..<300).contains(response.status)
        case "SUBSCRIBE": return response.isSuccess
        default: return false
        }
    }
}
