// How every message has to be written (RFC 3261 §7, §8.1.1, §18, §20).

import SIPMessage
import SansIO

extension Rules {
    static let message: [Rule] = [
        Rule("malformed-message", .error, "RFC 3261 25.1", "a message keeps to the grammar", on: .form) { subject in
            guard let fault = subject.message.fault, !ownRules.contains(fault.reason), !isPastRange(fault) else { return nil }
            var text = OctetBuffer(capacity: 64)
            text.append(fault)
            return Fault(
                "\(subject.name.isEmpty ? "a message" : subject.name): \(String(octets: text.bytes))", "write it as the grammar has it")
        },
        Rule("header-missing", .error, "RFC 3261 8.1.1", "Via, From, To, Call-ID and CSeq are in every message", on: .form) { subject in
            guard subject.message.fault?.reason == .missing else { return nil }
            let missing = [HeaderName.via, .from, .to, .callID, .cseq].filter { !subject.message.has($0) }.map { "\($0.text)" }
            return missing.isEmpty
                ? nil : Fault("\(subject.name): no \(missing.joined(separator: ", "))", "every message has Via, From, To, Call-ID and CSeq")
        },
        Rule("header-repeated", .error, "RFC 3261 7.3.1", "a header field that has one value stands there once", on: .form) { subject in
            guard let name = singles.first(where: { subject.message.count(of: $0) > 1 }) else { return nil }
            return Fault("\(subject.name): \(subject.message.count(of: name)) \(name.text) fields", "write \(name.text) once")
        },
        Rule("cseq-method", .error, "RFC 3261 8.1.1.5", "the method in CSeq is the request's", on: .form) { subject in
            guard subject.message.fault?.reason == .methodMismatch, let value = subject.message.value(.cseq) else { return nil }
            return Fault("\(subject.name): CSeq is `\(value)`", "write CSeq with the method \(subject.message.method)")
        },
        Rule("cseq-range", .error, "RFC 3261 8.1.1.5", "the number in CSeq is below 2**31", on: .form) { subject in
            guard let fault = subject.message.fault, isPastRange(fault) else { return nil }
            return Fault("\(subject.name): CSeq is past 2**31 - 1", "begin with a number below 2**31 that leaves room to count")
        },
        Rule("content-length-missing", .error, "RFC 3261 20.14", "on a stream Content-Length tells where the body ends", on: .form) {
            subject in
            let message = subject.message
            guard message.isReliable, !message.observed.transport.isWebSocket, message.isSound, !message.has(.contentLength) else {
                return nil
            }
            return Fault("\(subject.name): no Content-Length on a stream", "write Content-Length: \(message.body.count)")
        },
        Rule("content-length-wrong", .error, "RFC 3261 18.3", "Content-Length is the length of the body", on: .form) { subject in
            let message = subject.message
            guard let value = message.value(.contentLength) else { return nil }
            if message.fault?.reason == .shortBody || message.fault?.reason == .contentLength {
                return Fault("\(subject.name): Content-Length is \(value), the body has \(message.body.count) octets", "write its length")
            }
            guard message.isSound, message.surplus > 0 else { return nil }
            return Fault("\(subject.name): \(message.surplus) octets follow the \(value) of Content-Length", "write the body's length")
        },
        Rule("via-branch-cookie", .error, "RFC 3261 8.1.1.7", "a branch begins with z9hG4bK", on: .request([])) { subject in
            guard let via = subject.message.via, !via.hasCookie else { return nil }
            let branch = via.branch.isEmpty ? "Via has no branch" : "the branch is `\(via.branch)`"
            return Fault("\(subject.name): \(branch)", "write one that begins with z9hG4bK and is new for each transaction")
        },
        Rule("from-tag-missing", .error, "RFC 3261 8.1.1.3", "From has a tag", on: .request([])) { subject in
            guard let from = subject.message.from, from.tag.isEmpty else { return nil }
            return Fault("\(subject.name): From has no tag", "add ;tag= with a random value")
        },
        Rule(
            "to-tag-outside-dialog", .error, "RFC 3261 8.1.1.2", "To has no tag where there is no dialog",
            on: .request(["REGISTER", "PUBLISH"])
        ) { subject in
            guard let to = subject.message.to, !to.tag.isEmpty else { return nil }
            return Fault("\(subject.name): To has the tag `\(to.tag)`", "leave the tag out: \(subject.name) makes no dialog")
        },
        Rule("max-forwards-missing", .error, "RFC 3261 8.1.1.6", "a request has Max-Forwards", on: .request([])) { subject in
            subject.message.has(.maxForwards) ? nil : Fault("\(subject.name): no Max-Forwards", "write Max-Forwards: 70")
        },
        Rule("max-forwards-initial", .warning, "RFC 3261 8.1.1.6", "Max-Forwards begins with 70", on: .request([])) { subject in
            guard subject.isFromUser, let value = subject.message.value(.maxForwards), value != "70" else { return nil }
            return Fault("\(subject.name): Max-Forwards is \(value)", "begin with 70")
        },
        Rule("content-type-missing", .error, "RFC 3261 20.15", "what has a body has a Content-Type", on: .form) { subject in
            guard subject.message.isSound, !subject.message.body.isEmpty, !subject.message.has(.contentType) else { return nil }
            return Fault("\(subject.name): a body of \(subject.message.body.count) octets and no Content-Type", "tell the body's type")
        },
        Rule("multipart-boundary", .error, "RFC 2046 5.1.1", "a multipart body has a boundary", on: .form) { subject in
            let message = subject.message
            guard message.mediaType.hasPrefix("multipart/"), let value = message.value(.contentType),
                !value.lowercased().contains("boundary")
            else { return nil }
            return Fault("\(subject.name): \(message.mediaType) without a boundary", "add ;boundary= with what stands between the parts")
        },
        Rule("contact-missing", .error, "RFC 3261 8.1.1.8", "what opens a dialog has one Contact", on: .request(["INVITE", "SUBSCRIBE"])) {
            subject in
            let count = subject.message.values(.contact).count
            guard count != 1 else { return nil }
            return Fault("\(subject.name): \(count == 0 ? "no" : "\(count)") Contact", "write the one URI where you can be reached")
        },
        Rule("instance-form", .error, "RFC 5626 4.1", "+sip.instance is a URN in brackets and quotes", on: .request([])) { subject in
            for contact in subject.message.addresses(.contact) {
                guard let value = contact.parameters["+sip.instance"], !(value.hasPrefix("\"<") && value.hasSuffix(">\"")) else { continue }
                return Fault("\(subject.name): +sip.instance is `\(value)`", "write +sip.instance=\"<urn:uuid:...>\"")
            }
            return nil
        },
        Rule("request-too-large", .warning, "RFC 3261 18.1.1", "a request over 1300 octets goes over a stream", on: .request([])) {
            subject in
            let message = subject.message
            guard !message.isReliable, message.method != "MESSAGE", message.observed.octets.count > 1300 else { return nil }
            return Fault(
                "\(subject.name): \(message.observed.octets.count) octets over UDP",
                "send it over TCP, unless the path is known to carry it")
        },
        Rule("date-form", .error, "RFC 3261 20.17", "Date is in GMT", on: .request([])) { subject in
            guard let value = subject.message.value(.date), !value.hasSuffix(" GMT") else { return nil }
            return Fault("\(subject.name): Date is `\(value)`", "write it in GMT, as Sat, 13 Nov 2010 23:29:00 GMT")
        },
        Rule("expires-form", .error, "RFC 3261 20.19", "Expires is a number of seconds below 2**32", on: .request([])) { subject in
            guard let value = subject.message.value(.expires), (UInt64(value) ?? .max) > 0xFFFF_FFFF else { return nil }
            return Fault("\(subject.name): Expires is `\(value)`", "write seconds in decimal")
        },
        Rule(
            "accept-contact-form", .error, "RFC 3841 9.2", "Accept-Contact and Reject-Contact values begin with an asterisk",
            on: .request([])
        ) { subject in
            for name in [HeaderName.acceptContact, .rejectContact] {
                guard let value = subject.message.values(name).first(where: { !$0.hasPrefix("*") }) else { continue }
                return Fault("\(subject.name): \(name.text) is `\(value)`", "write `*;` before the feature tags")
            }
            return nil
        },
    ]

    /// What has a rule of its own.
    private static let ownRules: Set<MessageFault.Reason> = [.missing, .repeated, .methodMismatch, .contentLength, .shortBody]

    /// Whether the number of a CSeq is too high.
    private static func isPastRange(_ fault: MessageFault) -> Bool { fault.header == .cseq && fault.reason == .outOfRange }

    private static let singles: [HeaderName] = [
        .from, .to, .callID, .cseq, .maxForwards, .contentLength, .contentType, .expires, .event, .subscriptionState, .sipETag, .minExpires,
        .date, .mimeVersion, .userAgent, .server,
    ]
}

extension ReadMessage {
    /// Whether its octets are a message.
    var isSound: Bool { fault == nil }
}
