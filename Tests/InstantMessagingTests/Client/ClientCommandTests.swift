import InstantMessaging
import SansIO
import Testing

@Suite struct ClientCommandTests {
    @Test(arguments: [
        ("register", ClientCommand.register(expires: nil)), ("  register   expires=60 ", .register(expires: 60)),
        ("unregister", .unregister),
        ("publish settings", .publishSettings([])),
        (
            "publish settings offline-delivery=off incoming-session-barring=on answer-mode=manual history-pager-large-mode=on",
            .publishSettings([
                .flag(.offlineDelivery, false), .flag(.incomingSessionBarring, true), .answerMode(.manual),
                .history("pager-large-mode", true),
            ])
        ),
        ("remove settings", .removeSettings),
        ("message sip:bob@home1.test \"a \\\"b\\\" \\\\ c\"", .message(to: "sip:bob@home1.test", text: "a \"b\" \\ c")),
        ("message bob hello there ", .message(to: "bob", text: "hello there")), ("message bob \"\"", .message(to: "bob", text: "")),
        ("wait 0.25", .wait(.milliseconds(250))), ("quit", .quit),
    ])
    func lines(line: String, command: ClientCommand) throws {
        #expect(try ClientCommand.parse(line) == command)
    }

    @Test(arguments: ["", "   ", "# a comment"])
    func emptyLines(line: String) throws {
        #expect(try ClientCommand.parse(line) == nil)
    }

    @Test(arguments: [
        "reggister", "register now", "register expires=0", "register expires=-1", "register expires=60 x", "publish", "publish setings",
        "publish settings offline", "publish settings offline-delivery=maybe", "publish settings answer-mode=on", "publish settings x=on",
        "remove", "remove settings now", "message", "message bob", "message bob \"open", "message bob \"a\" b", "wait", "wait long",
        "wait -1",
        "wait nan", "wait 1e9", "quit now",
    ])
    func faults(line: String) {
        #expect(throws: CommandFault.self) { try ClientCommand.parse(line) }
    }

    @Test func eventsAreJSONLines() {
        func line(_ kind: ClientEvent.Kind) -> String { ClientEvent(kind, at: WallTime(microseconds: 123)).jsonLine }
        let time = "\"time\":\"1970-01-01T00:00:00.000123Z\""
        #expect(
            line(.registered(expires: 60, publicIdentities: ["sip:a@b", "tel:+1"]))
                == "{\"event\":\"registered\",\(time),\"expires\":60,\"public_identities\":[\"sip:a@b\",\"tel:+1\"]}")
        #expect(line(.unregistered) == "{\"event\":\"unregistered\",\(time)}")
        #expect(line(.registrationLost(reason: "r")) == "{\"event\":\"registration_lost\",\(time),\"reason\":\"r\"}")
        #expect(
            line(.settingsAccepted(entityTag: "e", expires: 5)) == "{\"event\":\"settings_accepted\",\(time),\"etag\":\"e\",\"expires\":5}")
        #expect(
            line(.settingsRefused(status: 489, reason: "x")) == "{\"event\":\"settings_refused\",\(time),\"status\":489,\"reason\":\"x\"}")
        #expect(line(.settingsRemoved) == "{\"event\":\"settings_removed\",\(time)}")
        #expect(
            line(.messageRefused(to: "sip:b@c", status: 480, reason: "y"))
                == "{\"event\":\"message_refused\",\(time),\"to\":\"sip:b@c\",\"status\":480,\"reason\":\"y\"}")
        #expect(line(.error(text: "a\"\\\n\u{1}\u{2028}é")) == "{\"event\":\"error\",\(time),\"text\":\"a\\\"\\\\\\n\\u0001\\u2028é\"}")
    }
}
