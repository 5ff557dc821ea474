import InstantMessaging
import Testing

/// The whole: clients and server, through a core.
@Suite struct MainJobTests {
    private func bodies(_ events: [ClientEvent.Kind]) -> [String] {
        events.compactMap { if case .messageReceived(_, let body, _) = $0 { body } else { nil } }
    }

    @Test(arguments: [false, true])
    func anOfflineMessageIsSeenOnce(hasSelfLoop: Bool) {
        let lab = MiniatureLab(clients: ["alice", "bob"], hasSelfLoop: hasSelfLoop)
        #expect(lab.perform("alice", "register").count == 1)
        #expect(lab.perform("bob", "register").count == 1)
        #expect(lab.perform("bob", "unregister") == [.unregistered])
        #expect(lab.perform("alice", "message bob \"see you at nine\"") == [.messageDeferred(to: "sip:bob@home1.test", status: 202)])
        #expect(lab.server.stored(to: "sip:bob@home1.test").map(\.body) == ["see you at nine"])
        lab.restartServer()
        #expect(bodies(lab.perform("bob", "register")) == ["see you at nine"])
        #expect(lab.server.stored().isEmpty)
        #expect(bodies(lab.perform("bob", "register")).isEmpty)
    }

    @Test func messagesToOneWhoIsThereAreDelivered() {
        let lab = MiniatureLab(clients: ["alice", "bob"])
        _ = lab.perform("alice", "register")
        _ = lab.perform("bob", "register")
        #expect(lab.perform("alice", "message bob hi") == [.messageDelivered(to: "sip:bob@home1.test", status: 200)])
        #expect(bodies(lab.clients["bob"]?.events() ?? []) == ["hi"])
        #expect(lab.server.stored().isEmpty)
    }

    @Test func manyMessagesArriveInOrder() {
        let lab = MiniatureLab(clients: ["alice", "bob"])
        _ = lab.perform("alice", "register")
        _ = lab.perform("bob", "register")
        _ = lab.perform("bob", "unregister")
        let texts = (1...20).map { "message \($0)" }
        for text in texts { #expect(lab.perform("alice", "message bob \(text)").count == 1) }
        #expect(bodies(lab.perform("bob", "register")) == texts)
    }

    @Test func settingsReachTheServerAndDecide() {
        let lab = MiniatureLab(clients: ["alice", "bob"])
        _ = lab.perform("alice", "register")
        _ = lab.perform("bob", "register")
        guard case .settingsAccepted(_, 3600) = lab.perform("bob", "publish settings offline-delivery=off").first else {
            Issue.record("the settings were not accepted: \(lab.log)")
            return
        }
        #expect(lab.server.settings(of: "sip:bob@home1.test")?.effective[.offlineDelivery] == false)
        _ = lab.perform("bob", "unregister")
        _ = lab.perform("alice", "message bob later")
        #expect(bodies(lab.perform("bob", "register")).isEmpty)
        #expect(lab.server.stored().count == 1)
        #expect(lab.perform("bob", "remove settings") == [.settingsRemoved])
        #expect(lab.server.settings(of: "sip:bob@home1.test")?.publications.isEmpty == true)
        #expect(bodies(lab.perform("bob", "register")) == ["later"])
    }

    @Test func aServerThatLostThePublicationIsGivenItAgain() {
        let lab = MiniatureLab(clients: ["alice"])
        _ = lab.perform("alice", "register")
        _ = lab.perform("alice", "publish settings")
        lab.restartServer()
        guard case .settingsAccepted = lab.perform("alice", "publish settings visible=off").first else {
            Issue.record("the settings were not accepted: \(lab.log)")
            return
        }
        #expect(lab.log.contains("im: SIP/2.0 412 Conditional Request Failed"))
        #expect(lab.server.settings(of: "sip:alice@home1.test")?.effective[.visible] == false)
    }
}
