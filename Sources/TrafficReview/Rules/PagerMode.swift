// MESSAGE (RFC 3428).

import SIPMessage

extension Rules {
    static let pagerMode: [Rule] = [
        Rule("message-contact", .error, "RFC 3428 4", "MESSAGE has no Contact", on: .request(["MESSAGE"])) { subject in
            subject.message.has(.contact) ? Fault("MESSAGE: it has a Contact", "leave Contact out: MESSAGE makes no dialog") : nil
        },
        Rule("message-too-large", .error, "RFC 3428 8", "a MESSAGE over UDP has at most 1300 octets", on: .request(["MESSAGE"])) {
            subject in
            let count = subject.message.observed.octets.count
            guard !subject.message.isReliable, count > 1300 else { return nil }
            return Fault("MESSAGE: \(count) octets over UDP", "send up to 1300, or open a session for large content")
        },
        Rule("message-answer-contact", .error, "RFC 3428 7", "a 2xx to MESSAGE has no Contact", on: .response) { subject in
            guard subject.message.method == "MESSAGE", subject.message.isSuccess, subject.message.has(.contact) else { return nil }
            return Fault("\(subject.name): it has a Contact", "leave Contact out: MESSAGE makes no dialog")
        },
        Rule("message-answer-body", .error, "RFC 3428 7", "a 2xx to MESSAGE has no body", on: .response) { subject in
            guard subject.message.method == "MESSAGE", subject.message.isSuccess, !subject.message.body.isEmpty else { return nil }
            return Fault("\(subject.name): it has a body", "answer without; an answer in words is a MESSAGE of its own")
        },
    ]
}
