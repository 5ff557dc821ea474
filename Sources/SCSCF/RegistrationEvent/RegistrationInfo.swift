// The document of registration state, application/reginfo+xml (RFC 3680 §5): a registration for each identity of the set that
// is not barred, and in it the user's contacts. Times are those of the moment at which it is written.
//
// A wildcard of the set is a registration too. Its address-of-record stands for all that match, and the wildcard itself is an
// element of 3GPP's behind the contacts (TS 24.229 §5.4.2.1.2).

import IMSProfile
import SIPMessage
import SIPRegistrar
import SansIO

extension ServingCSCF {
    /// The most octets of a document; contacts that do not fit are left out. What is kept for retransmission and what UDP can
    /// carry ends not far above.
    private static let documentLimit = 60_000

    /// Writes what a watcher is to be told.
    ///
    /// - Parameter isLast: whether the subscription ends with it, so that all is told.
    /// - Returns: how many contacts did not fit.
    func appendRegistrationInfo(of subscription: Subscription, isLast: Bool, at now: Now, into body: inout OctetBuffer) -> Int {
        let subscriber = subscription.watched.subscriber
        guard let watch = subscriptions.watches[subscriber] else { return 0 }
        var isFull = !configuration.registrationEvents.tellsChangesOnly
        if isLast { isFull = true }
        if subscription.mustTellAll { isFull = true }
        body.append("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\"")
        body.append(" xmlns:gr=\"urn:ietf:params:xml:ns:gruuinfo\"")
        let wildcards = directory.wildcardedUsers(of: subscriber)
        if !wildcards.isEmpty { body.append(" xmlns:ere=\"urn:3gpp:ns:extRegExp:1.0\"") }
        body.append(" version=\"")
        body.appendDecimal(UInt64(subscription.version))
        body.append(isFull ? "\" state=\"full\">\n" : "\" state=\"partial\">\n")
        var leftOut = 0
        let own = (0..<directory.identityCount(of: subscriber)).map { IdentityReference(subscriber: subscriber, identity: UInt16($0)) }
        for identity in own + wildcards where !directory.isBarred(identity) {
            appendRegistrationStart(identity, into: &body)
            for contact in watch.contacts {
                // One that is gone is told of once (§4.7.1).
                var isTold = contact.serial > subscription.told
                if isFull, contact.isActive { isTold = true }
                guard isTold else { continue }
                let start = body.count
                appendContact(contact, of: identity, at: now, into: &body)
                if body.count > ServingCSCF.documentLimit {
                    body.truncate(to: start)
                    leftOut += 1
                }
            }
            if identity.isSpecial { body.appendElement("ere:wildcardedIdentity", directory.specials[identity].text.span.bytes) }
            body.append("</registration>\n")
        }
        body.append("</reginfo>\n")
        return leftOut
    }

    /// The id of a registration is that of the identity in its set, the same in every document.
    private func appendRegistrationStart(_ identity: IdentityReference, into body: inout OctetBuffer) {
        var aor = OctetBuffer(capacity: 128)
        if identity.isSpecial {
            aor.append("sip:wildcardimpu@wildcard")
        } else {
            directory.appendPublicIdentity(identity, into: &aor)
        }
        body.append("<registration aor=\"")
        body.appendEscaped(aor.bytes)
        body.append("\" id=\"r")
        body.appendDecimal(UInt64(identity.identity))
        body.append(registrar.isRegistered(identity.subscriber) ? "\" state=\"active\">\n" : "\" state=\"terminated\">\n")
    }

    private func appendContact(_ contact: WatchedContact, of identity: IdentityReference, at now: Now, into body: inout OctetBuffer) {
        body.append("<contact id=\"c")
        body.appendHex(contact.key)
        body.append("-")
        body.appendDecimal(UInt64(identity.identity))
        body.append(contact.isActive ? "\" state=\"active\" event=\"" : "\" state=\"terminated\" event=\"")
        body.append(contact.event(of: identity).text)
        body.append("\"")
        if contact.isActive {
            body.appendAttribute(" expires=\"", UInt64(max((contact.expiry - now.monotonic).wholeSeconds, 0)))
            if let since = contact.since {
                body.appendAttribute(" duration-registered=\"", UInt64(max((now.monotonic - since).nanoseconds, 0) / 1_000_000_000))
            }
        }
        if let retryAfter = contact.retryAfter { body.appendAttribute(" retry-after=\"", UInt64(retryAfter)) }
        guard contact.isActive, let view = registrar.binding(contact.binding) else {
            body.appendRequest(contact.callID.span.bytes, contact.sequence)
            body.append(">\n")
            body.appendElement("uri", contact.uri.span.bytes)
            return body.append("</contact>\n")
        }
        body.appendPreference(in: view.parameters)
        body.appendRequest(view.callID, view.sequence)
        body.append(">\n")
        appendContactChildren(view, of: identity, into: &body)
        body.append("</contact>\n")
    }

    /// What stands in the element of a contact that is active, in the order of the schema (RFC 3680 §5.2, RFC 5628 §5).
    private func appendContactChildren(_ view: BindingView, of identity: IdentityReference, into body: inout OctetBuffer) {
        body.appendElement("uri", view.uri)
        body.appendUnknownParameters(in: view.parameters)
        guard !identity.isSpecial, let gruu = publicGRUU(of: identity, view.instance) else { return }
        let octets = Array(gruu.utf8)
        body.append("<gr:pub-gruu uri=\"")
        body.appendEscaped(octets.span.bytes)
        body.append("\"/>\n")
        guard let temporary = temporaryGRUU(of: identity, view) else { return }
        body.append("<gr:temp-gruu uri=\"")
        body.appendEscaped(temporary.span.bytes)
        body.append("\"")
        body.appendAttribute(" first-cseq=\"", UInt64(view.firstSequence))
        body.append("/>\n")
    }
}

extension WatchedContact {
    /// The event under an identity: the one that was registered by is `registered`, the others of its set are `created`
    /// (TS 24.229 §5.4.2.1.2).
    fileprivate func event(of identity: IdentityReference) -> ContactEvent {
        event == .registered && named != identity.identity ? .created : event
    }
}

extension OctetBuffer {
    fileprivate mutating func appendAttribute(_ start: StaticString, _ value: UInt64) {
        append(start)
        appendDecimal(value)
        append("\"")
    }

    /// `callid` and `cseq` of the last REGISTER.
    fileprivate mutating func appendRequest(_ callID: RawSpan, _ sequence: UInt32) {
        append(" callid=\"")
        appendEscaped(callID)
        append("\"")
        appendAttribute(" cseq=\"", UInt64(sequence))
    }

    fileprivate mutating func appendElement(_ name: StaticString, _ text: RawSpan) {
        append("<")
        append(name)
        append(">")
        appendEscaped(text)
        append("</")
        append(name)
        append(">\n")
    }

    /// `q` as the contact gave it, if it did.
    fileprivate mutating func appendPreference(in parameters: RawSpan) {
        guard let value = parameters.parameter("q", in: Slice(0, parameters.byteCount)) else { return }
        append(" q=\"")
        appendEscaped(parameters[value])
        append("\"")
    }

    /// Each contact parameter but those of RFC 3261, its value as it stands, quotes included (RFC 3680 §5.3.2).
    fileprivate mutating func appendUnknownParameters(in parameters: RawSpan) {
        var rest = Slice(0, parameters.byteCount)
        while let (name, value) = parameters.nextParameter(&rest) {
            guard !name.isEmpty, !parameters[name].equalsIgnoringCase("q"), !parameters[name].equalsIgnoringCase("expires")
            else { continue }
            append("<unknown-param name=\"")
            appendEscaped(parameters[name])
            guard !value.isEmpty else {
                append("\"/>\n")
                continue
            }
            append("\">")
            appendEscaped(parameters[value])
            append("</unknown-param>\n")
        }
    }

    /// Text as it may stand in an element or between the quotes of an attribute. What XML cannot carry, and what is no UTF-8,
    /// becomes U+FFFD.
    mutating func appendEscaped(_ text: RawSpan) {
        for scalar in String(octets: text).unicodeScalars {
            switch scalar {
            case "&": append("&amp;")
            case "<": append("&lt;")
            case ">": append("&gt;")
            case "\"": append("&quot;")
            case "\t": append("&#9;")
            case "\n": append("&#10;")
            case "\r": append("&#13;")
            default: append(scalar: scalar.isXMLCharacter ? scalar : "\u{FFFD}")
            }
        }
    }

    private mutating func append(scalar: Unicode.Scalar) {
        for unit in UTF8.encode(scalar)! { append(byte: unit) }
    }
}

extension Unicode.Scalar {
    /// The production Char of XML 1.0 §2.2, beside the white space.
    fileprivate var isXMLCharacter: Bool {
        switch value {
        case 0x20...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFF: true
        default: false
        }
    }
}
