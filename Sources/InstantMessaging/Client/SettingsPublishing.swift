// Service settings by PUBLISH (OMA IM 5.3; RFC 3903 §4): one procedure to set, to change, to refresh and to remove.

import SIPMessage
import SIPTransaction
import SansIO

extension IMClient {
    /// Takes the user's changes into the settings that are published.
    mutating func change(_ changes: [SettingsChange]) {
        var settings = desired ?? ServiceSettings().complete
        for change in changes {
            switch change {
            case .flag(let flag, let value): settings[given: flag] = value
            case .answerMode(let mode): settings.answerMode = mode
            case .history(let type, let isKept): settings.history[type] = isKept
            }
        }
        desired = settings
    }

    /// A first publication, or, where one lives, a new document in its place.
    mutating func publishSettings(isCommanded: Bool, at now: Now, into effects: inout Effects) {
        begin(.publication, publication(.publish, settingsExpires, isCommanded), at: now, into: &effects)
    }

    mutating func removeSettings(at now: Now, into effects: inout Effects) {
        begin(.publication, publication(.removeSettings, 0, true), at: now, into: &effects)
    }

    private mutating func publication(_ purpose: Exchange.Purpose, _ expires: UInt32, _ isCommanded: Bool) -> Exchange {
        Exchange(
            purpose: purpose, expires: expires, isCommanded: isCommanded, callID: newCallID(), fromTag: newTag(), sequence: 0)
    }

    /// The five steps' header fields, and the document where the publication is set or changed.
    func appendPublicationFields(_ exchange: Exchange, into bytes: inout OctetBuffer) {
        bytes.appendField(.event, text: settings.packageName)
        bytes.appendField(.expires, decimal: UInt64(exchange.expires))
        if !entityTag.isEmpty { bytes.appendField(.sipIfMatch, octets: entityTag) }
        appendServiceFields(into: &bytes)
        guard exchange.purpose == .publish, let desired else { return bytes.appendEmptyBody() }
        let document = SettingsDocument(entities: [SettingsDocument.Entity(id: instance, settings: desired)])
        bytes.appendField(.contentType, SettingsDocument.mediaType)
        let body = Array(document.text.utf8)
        bytes.appendBody(body.span.bytes)
    }

    // MARK: Answers

    mutating func publicationAccepted(_ response: Message, at now: Now, into effects: inout Effects) {
        guard let exchange = exchanges[Lane.publication.rawValue] else { return }
        if exchange.purpose == .removeSettings { return settingsRemoved(at: now, into: &effects) }
        guard let tag = response.value(.sipETag), !tag.isEmpty else {
            return publicationRefused(response.status, "the answer has no SIP-ETag", retryAfter: nil, at: now, into: &effects)
        }
        let granted = response.value(.expires).flatMap { response.bytes.decimal($0) }.map { UInt32($0) } ?? exchange.expires
        entityTag = [UInt8](response[tag])
        settingsExpires = max(settingsExpires, exchange.expires)
        wheel.cancel(settingsTimer)
        settingsTimer = granted > 0 ? schedule(.settingsRefresh, after: .refreshDelay(of: granted), now) : .none
        if !isSuperseded(.publication) {
            report(.settingsAccepted(entityTag: String(octets: response[tag]), expires: granted), at: now)
        }
        finish(.publication, .succeeded, at: now, into: &effects)
    }

    private mutating func settingsRemoved(at now: Now, into effects: inout Effects) {
        forgetPublication()
        desired = nil
        report(.settingsRemoved, at: now)
        finish(.publication, .succeeded, at: now, into: &effects)
    }

    private mutating func forgetPublication() {
        entityTag = []
        wheel.cancel(settingsTimer)
        settingsTimer = .none
    }

    /// 412: the server knows the publication no more, so it is begun anew, once (RFC 3903 §4.3).
    mutating func beginAnew(_ lane: Lane) -> Bool {
        guard lane == .publication, let exchange = exchanges[lane.rawValue], exchange.purpose != .removeSettings,
            !exchange.hasBegunAnew, !entityTag.isEmpty, desired != nil
        else { return false }
        forgetPublication()
        exchanges[lane.rawValue]?.hasBegunAnew = true
        exchanges[lane.rawValue]?.purpose = .publish
        return true
    }

    mutating func publicationRefused(
        _ status: UInt16, _ reason: String, retryAfter: UInt32?, at now: Now, into effects: inout Effects
    ) {
        guard let exchange = exchanges[Lane.publication.rawValue] else { return }
        // What the server knows no more needs no removal.
        if exchange.purpose == .removeSettings, status == 412 { return settingsRemoved(at: now, into: &effects) }
        if !exchange.isCommanded, status == 408 || status == 503 {
            wheel.cancel(settingsTimer)
            let pause = retryAfter.map { TimeSpan.seconds(max(1, Int($0))) } ?? IMClient.retryInterval
            settingsTimer = schedule(.settingsRefresh, after: pause, now)
        } else if status == 412 || !exchange.isCommanded {
            forgetPublication()
        }
        if !isSuperseded(.publication) { report(.settingsRefused(status: status, reason: reason), at: now) }
        finish(.publication, .failed, at: now, into: &effects)
    }

    // MARK: Time

    mutating func settingsRefreshDue(at now: Now, into effects: inout Effects) {
        settingsTimer = .none
        guard isRegistered, desired != nil, exchanges[Lane.publication.rawValue] == nil else { return }
        let purpose = entityTag.isEmpty ? Exchange.Purpose.publish : .refreshSettings
        begin(.publication, publication(purpose, settingsExpires, false), at: now, into: &effects)
    }
}
