// Publications (RFC 3903): the publisher's side and the server's.

import SIPMessage
import SansIO

extension Rules {
    static let publication: [Rule] = [
        Rule("publish-event-missing", .error, "RFC 3903 4.1", "PUBLISH names one event package", on: publish) { subject in
            subject.message.package.isEmpty ? Fault("PUBLISH: no Event", "name the package, for IM settings Event: poc-settings") : nil
        },
        Rule("publish-body-missing", .error, "RFC 3903 4.2", "a first publication has a body", on: publish) { subject in
            let message = subject.message
            guard !message.has(.sipIfMatch), message.body.isEmpty, message.number(.expires) != 0 else { return nil }
            return Fault("PUBLISH: neither SIP-If-Match nor a body", "publish the document first; refresh it with SIP-If-Match and no body")
        },
        Rule("publish-tag-form", .error, "RFC 3903 11.3.2", "SIP-If-Match has one entity tag", on: publish) { subject in
            let values = subject.message.values(.sipIfMatch)
            guard subject.message.has(.sipIfMatch), values.count != 1 || values[0] == "*" else { return nil }
            return Fault("PUBLISH: SIP-If-Match is `\(values.joined(separator: ", "))`", "write the one SIP-ETag of the last 200")
        },
        Rule("publish-tag-stale", .error, "RFC 3903 4.3", "SIP-If-Match is the entity tag of the last 200", on: publish) { subject in
            guard let tag = subject.message.value(.sipIfMatch), let state = subject.ledger.publication(subject.message, tag: tag) else {
                return nil
            }
            switch state.end {
            case nil: return nil
            case .refused(let number): return Fault("PUBLISH: the tag that got a 412", "publish the whole document anew", with: [number])
            case .replaced(let number):
                return Fault("PUBLISH: a tag that was replaced", "take the SIP-ETag of the last 200", with: [number])
            }
        },
        Rule("publish-tag-missing", .note, "RFC 3903 4.3", "who has published refreshes or changes that by its entity tag", on: publish) {
            subject in
            let message = subject.message
            guard !message.has(.sipIfMatch), subject.isFromUser else { return nil }
            let live = subject.ledger.livePublications(message).first {
                $0.request.observed.remote == message.observed.remote && $0.request.from?.uri.identity == message.from?.uri.identity
            }
            guard let live else { return nil }
            return Fault(
                "PUBLISH: no SIP-If-Match, and an earlier publication lives", "write SIP-If-Match: \(live.tag), or there are two",
                with: [live.request.observed.sequence])
        },
        Rule("publish-overlapping", .error, "RFC 3903 4", "a PUBLISH waits for the answer to the one before", on: publish) { subject in
            guard let pending = subject.ledger.pendingPublication(subject.message) else { return nil }
            return Fault(
                "PUBLISH: sent while another is without an answer", "wait for the final answer, or for 32 s",
                with: [pending.request.observed.sequence])
        },
        Rule("publish-answer-fields", .error, "RFC 3903 6", "the 200 to PUBLISH has SIP-ETag and Expires", on: .response) { subject in
            guard subject.message.method == "PUBLISH", subject.message.isSuccess else { return nil }
            let missing = [subject.message.has(.sipETag) ? nil : "SIP-ETag", subject.message.has(.expires) ? nil : "Expires"].compactMap {
                $0
            }
            guard !missing.isEmpty else { return nil }
            return Fault("\(subject.name): no \(missing.joined(separator: " and no "))", "write SIP-ETag with a new tag, and Expires")
        },
        Rule("publish-answer-expires", .error, "RFC 3903 6", "a publication lasts no longer than was asked for", on: .response) { subject in
            guard subject.message.method == "PUBLISH", subject.message.isSuccess, let granted = subject.message.number(.expires),
                let asked = subject.request.number(.expires), granted > asked
            else { return nil }
            return Fault("\(subject.name): Expires is \(granted), asked was for \(asked)", "grant as much or less")
        },
        Rule("publish-answer-tag", .error, "RFC 3903 6", "each 200 to PUBLISH has a new entity tag", on: .response) { subject in
            guard subject.message.method == "PUBLISH", subject.message.isSuccess, subject.request.number(.expires) != 0,
                let tag = subject.message.value(.sipETag), tag == subject.request.value(.sipIfMatch)
            else { return nil }
            return Fault("\(subject.name): SIP-ETag is the old `\(tag)`", "make a new tag with each 200")
        },
    ]

    private static let publish = Rule.Occasion.request(["PUBLISH"])
}
