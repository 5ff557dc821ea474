import InstantMessaging
import SansIO
import Testing

@Suite struct SettingsDocumentTests {
    private func read(_ text: String) throws -> SettingsDocument {
        let octets = Array(text.utf8)
        return try SettingsDocument(octets.span.bytes)
    }

    @Test func whatIsWrittenIsReadAgain() throws {
        var settings = ServiceSettings().complete
        settings[given: .offlineDelivery] = false
        settings.answerMode = .manual
        settings.history = ["session-mode": true, "pager-large-mode": false]
        let document = SettingsDocument(entities: [.init(id: "a & \"b\"", settings: settings), .init(id: "c", settings: ServiceSettings())])
        #expect(try read(document.text) == document)
    }

    @Test(arguments: [
        "active=\"true\"/>", "active=\"1\"/>", ">true</im:offline-delivery>", "> 1 </im:offline-delivery>", "active=\"TRUE\"/>",
    ])
    func aValueIsAnAttributeOrText(end: String) throws {
        let start = end.hasPrefix(">") ? "<im:offline-delivery" : "<im:offline-delivery "
        let document = try read(settingsDocument("d", "<im:deferred-settings>\(start)\(end)</im:deferred-settings>"))
        #expect(document.entities[0].settings[given: .offlineDelivery] == true)
        #expect(document.entities[0].settings[given: .messageDeferral] == nil)
    }

    @Test func whatIsNotKnownIsPassedOver() throws {
        let document = try read(settingsDocument("d", "<ext-app xmlns=\"urn:x\"><offline-delivery active=\"?\"/></ext-app>"))
        #expect(document.entities[0].settings == ServiceSettings())
    }

    @Test func defaultsHoldWhereNothingIsSaid() {
        let settings = ServiceSettings()
        #expect(settings[.offlineDelivery] && settings[.messageDeferral] && settings[.visible] && settings[.simultaneousSessions])
        #expect(!settings[.incomingSessionBarring] && !settings[.incomingPersonalAlertBarring])
    }

    @Test(arguments: [
        "<!DOCTYPE x><poc-settings/>", "", "<a", settingsDocument("", ""),
        settingsDocument("d", "<am-settings><answer-mode>never</answer-mode></am-settings>"),
    ])
    func faults(text: String) {
        #expect(throws: SettingsFault.self) { try read(text) }
    }
}
