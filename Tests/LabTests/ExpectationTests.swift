import JSONText
import Testing
import Topology

@testable import Lab

@Suite struct ExpectationTests {
    private func expectation(_ change: (inout Awaited) -> Void) -> Awaited {
        var expectation = Awaited(node: "im")
        change(&expectation)
        return expectation
    }

    @Test func aRequestIsComparedByMethodHeadersAndBody() throws {
        let publish = try message(
            1, "out", "127.0.0.1:5080", "PUBLISH sip:alice@home1.test SIP/2.0", method: "PUBLISH",
            headers: [("To", "<sip:alice@home1.test>"), ("Accept-Contact", "*; +g.oma.sip-im"), ("accept-contact", "*;audio")],
            body: "see you\r\n")
        #expect(expectation { $0.request = "PUBLISH" }.mismatch(with: publish) == nil)
        #expect(expectation { $0.request = "MESSAGE" }.mismatch(with: publish) == "is no MESSAGE request")
        #expect(expectation { $0.headers = [.init(name: "ACCEPT-CONTACT", value: "*;+g.oma.sip-im")] }.mismatch(with: publish) == nil)
        #expect(expectation { $0.headers = [.init(name: "Accept-Contact", value: "*;audio")] }.mismatch(with: publish) == nil)
        #expect(
            expectation { $0.headers = [.init(name: "To", value: "sip:alice@home1.test")] }.mismatch(with: publish)
                == "To is <sip:alice@home1.test>")
        #expect(expectation { $0.headers = [.init(name: "Date", value: "x")] }.mismatch(with: publish) == "has no Date")
        #expect(expectation { $0.body = .text(.value("see you")) }.mismatch(with: publish) == nil)
        #expect(expectation { $0.body = .text(.value("see")) }.mismatch(with: publish) == "body is \"see you\r\n\"")
        #expect(expectation { $0.response = 200 }.mismatch(with: publish) == "is no response")
    }

    @Test func aResponseIsComparedByStatusAndTheMethodItAnswers() throws {
        let answer = try message(1, "out", "127.0.0.1:4000", "SIP/2.0 200 OK", method: "PUBLISH", status: 200)
        #expect(
            expectation {
                $0.response = 200
                $0.responseTo = "PUBLISH"
            }.mismatch(with: answer) == nil)
        #expect(
            expectation {
                $0.response = 200
                $0.responseTo = "REGISTER"
            }.mismatch(with: answer) == "answers PUBLISH, not REGISTER")
        #expect(expectation { $0.response = 403 }.mismatch(with: answer) == "is 200, not 403")
        #expect(expectation { $0.request = "PUBLISH" }.mismatch(with: answer) == "is no PUBLISH request")
    }

    @Test(arguments: [
        (" a  b ", "a b"), ("*; +g.oma.sip-im ;require", "*;+g.oma.sip-im;require"), ("a = \"x ; y\" , b", "a=\"x ; y\",b"),
        ("\"q \\\" ; r\" <sip:a>", "\"q \\\" ; r\" <sip:a>"), ("", ""),
    ])
    func whiteSpaceIsNormalised(text: String, normalised: String) { #expect(HeaderText.normalised(text) == normalised) }

    @Test func eachMessageSatisfiesOneStepInAnyOrder() throws {
        let log = [
            try message(1, "out", "127.0.0.1:5080", "MESSAGE sip:b SIP/2.0", method: "MESSAGE", body: "one"),
            try message(2, "out", "127.0.0.1:5080", "MESSAGE sip:b SIP/2.0", method: "MESSAGE", body: "two"),
        ]
        var block = ExpectationBlock()
        let any = expectation { $0.request = "MESSAGE" }
        let one = expectation { $0.body = .text(.value("one")) }
        // The first takes a message that the second needs, and gives it up for another.
        #expect(block.satisfy(any, arrived: [0, 1]) { log[$0] })
        #expect(block.satisfy(one, arrived: [0, 1]) { log[$0] })
        #expect(!block.satisfy(any, arrived: [0, 1]) { log[$0] })
        #expect(block.holds(0) && block.holds(1))
    }

    @Test func inOrderMeansAfterThoseBefore() throws {
        let log = try ["one", "two", "three"].enumerated().map { index, body in
            try message(index + 1, "out", "127.0.0.1:5080", "MESSAGE sip:b SIP/2.0", method: "MESSAGE", body: body)
        }
        func step(_ body: String) -> Awaited {
            expectation {
                $0.body = .text(.value(body))
                $0.inOrder = true
            }
        }
        var block = ExpectationBlock()
        #expect(block.satisfy(step("two"), arrived: [0, 1, 2]) { log[$0] })
        #expect(!block.satisfy(step("one"), arrived: [0, 1, 2]) { log[$0] })
        #expect(block.satisfy(step("three"), arrived: [0, 1, 2]) { log[$0] })
    }

    @Test func expectationsAreToldInASentence() {
        let all = expectation {
            $0.request = "PUBLISH"
            $0.headers = [.init(name: "To", value: "x")]
            $0.withinMilliseconds = 700
        }
        #expect(all.sentence == "a PUBLISH with To: x at im within 700 ms")
        #expect(expectation { $0.stored = 1 }.sentence == "1 stored at im within 2 s")
        #expect(
            expectation {
                $0.response = 200
                $0.responseTo = "PUBLISH"
            }.sentence == "a response 200 to PUBLISH at im within 2 s")
    }
}

@Suite struct WhereaboutsTests {
    private func whereabouts() throws -> Whereabouts {
        var topology = smallTopology()
        topology.applicationServers = [ApplicationServer(name: "im", uri: "sip:127.0.0.1:5080")]
        topology.networks = [Network(domain: "home2.test", uri: "sip:127.0.0.1:6060", isTrusted: true)]
        topology.clients = [Client(name: "alice", launch: .builtIn("im-client"))]
        return Whereabouts(try ResolvedTopology(topology))
    }

    private func registered(_ user: String, from remote: String, contact: String, sequence: Int = 1) throws -> RecordedMessage {
        try message(
            sequence, "out", remote, "SIP/2.0 200 OK", method: "REGISTER", status: 200,
            headers: [("To", "<sip:\(user)@home1.test>;tag=1"), ("Contact", contact)])
    }

    @Test func serversAndNetworksAreFoundByTheirURI() throws {
        let places = try whereabouts()
        let toIM = try message(1, "out", "127.0.0.1:5080", "PUBLISH sip:a SIP/2.0", method: "PUBLISH")
        #expect(places.arrived(toIM, at: "im"))
        #expect(!places.arrived(toIM, at: "home2.test"))
        #expect(!places.arrived(toIM, at: "core"))
        let fromIM = try message(2, "in", "127.0.0.1:5080", "SIP/2.0 200 OK", method: "PUBLISH", status: 200)
        #expect(!places.arrived(fromIM, at: "im"))
        #expect(places.arrived(fromIM, at: "core"))
        let byName = try message(3, "out", "127.0.0.1:33333", "MESSAGE sip:a SIP/2.0", method: "MESSAGE", peer: "im")
        #expect(places.arrived(byName, at: "im"))
        #expect(places.arrived(try message(4, "out", "udp://127.0.0.1:6060", "OPTIONS sip:x SIP/2.0", method: "OPTIONS"), at: "home2.test"))
    }

    @Test func clientsAreFoundByTheirReadyLine() throws {
        var places = try whereabouts()
        let answer = try message(1, "out", "127.0.0.1:4000", "SIP/2.0 200 OK", method: "PUBLISH", status: 200)
        #expect(!places.arrived(answer, at: "alice"))
        places.learn(listeners: ["alice": [HostAndPort(host: "127.0.0.1", port: 4000)]])
        #expect(places.arrived(answer, at: "alice"))
        #expect(!places.arrived(answer, at: "bob"))
    }

    @Test func answersToREGISTERBelongToTheSubscriberInTo() throws {
        let places = try whereabouts()
        let challenge = try message(
            1, "out", "127.0.0.1:4000", "SIP/2.0 401 Unauthorized", method: "REGISTER", status: 401,
            headers: [("To", "\"Bob\" <sip:bob@HOME1.test>;tag=1")])
        #expect(places.arrived(challenge, at: "bob"))
        #expect(!places.arrived(challenge, at: "alice"))
        let thirdParty = try message(
            2, "out", "127.0.0.1:5080", "REGISTER sip:127.0.0.1:5080 SIP/2.0", method: "REGISTER", headers: [("To", "<sip:bob@home1.test>")]
        )
        #expect(!places.arrived(thirdParty, at: "bob"))
        #expect(places.arrived(thirdParty, at: "im"))
    }

    @Test func otherMessagesFollowFlowsAndContacts() throws {
        var places = try whereabouts()
        places.learn(from: try registered("bob", from: "127.0.0.1:4000", contact: "<sip:bob@127.0.0.1:4002>;expires=60"))
        for remote in ["127.0.0.1:4000", "127.0.0.1:4002"] {
            let request = try message(2, "out", remote, "MESSAGE sip:bob@127.0.0.1:4002 SIP/2.0", method: "MESSAGE")
            #expect(places.arrived(request, at: "bob"))
            #expect(places.otherEnd(of: request) == "bob")
        }
        let elsewhere = try message(3, "out", "127.0.0.1:4003", "MESSAGE sip:x SIP/2.0", method: "MESSAGE")
        #expect(places.otherEnd(of: elsewhere) == "127.0.0.1:4003")
    }

    @Test func severalUsersOfOneFlowAreToldApart() throws {
        var places = try whereabouts()
        places.learn(from: try registered("alice", from: "127.0.0.1:4000", contact: "<sip:alice@127.0.0.1:4000>"))
        places.learn(from: try registered("bob", from: "127.0.0.1:4000", contact: "<sip:bob@127.0.0.1:4000>"))
        let request = try message(
            3, "out", "127.0.0.1:4000", "MESSAGE sip:bob@127.0.0.1:4000 SIP/2.0", method: "MESSAGE",
            headers: [("To", "<sip:bob@home1.test>")])
        #expect(places.arrived(request, at: "bob"))
        #expect(!places.arrived(request, at: "alice"))
        let answer = try message(
            4, "out", "127.0.0.1:4000", "SIP/2.0 202 Accepted", method: "MESSAGE", status: 202,
            headers: [("From", "<sip:alice@home1.test>;tag=2"), ("To", "<sip:bob@home1.test>")])
        #expect(places.arrived(answer, at: "alice"))
        #expect(!places.arrived(answer, at: "bob"))
    }

    @Test func earlierRegistrationsAreTakenOver() throws {
        var places = try whereabouts()
        let json =
            #"{"registrations":[{"public_identity":"sip:bob@home1.test","contacts":[{"uri":"sip:bob@127.0.0.1:4002","flow":"udp 127.0.0.1:5060 127.0.0.1:4001"}]}]}"#
        places.learn(registrations: try #require(JSON(json.utf8)))
        for remote in ["127.0.0.1:4001", "127.0.0.1:4002"] {
            #expect(places.arrived(try message(1, "out", remote, "MESSAGE sip:bob SIP/2.0", method: "MESSAGE"), at: "bob"))
        }
    }
}

@Suite struct RecordedMessageTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", Int64(0)), ("2026-01-01T00:00:00.000001Z", 1_767_225_600_000_001),
        ("2024-02-29T23:59:59.5Z", 1_709_251_199_500_000), ("2000-03-01T00:00:00.0000009Z", 951_868_800_000_000),
    ])
    func timesAreRead(text: String, time: Int64) { #expect(microseconds(rfc3339: text) == time) }

    @Test(arguments: ["", "2026-01-01", "2026-01-01T00:00:00", "T", "2026-13-01T00:00:00Z", "a-b-cTd:e:fZ", "2026-01-01T00:00:00.xZ"])
    func otherTextsAreNoTimes(text: String) { #expect(microseconds(rfc3339: text) == nil) }

    @Test func labelsAndDetailsAreForPeople() throws {
        let request = try message(
            1, "in", "127.0.0.1:4000", "MESSAGE sip:bob@home1.test SIP/2.0", method: "MESSAGE",
            headers: [("To", "<sip:bob@home1.test>"), ("Content-Type", "text/plain")], body: "hi")
        #expect(request.label == "MESSAGE")
        #expect(request.detail == "sip:bob@home1.test \"hi\"")
        let answer = try message(2, "out", "127.0.0.1:4000", "SIP/2.0 401 Unauthorized", method: "REGISTER", status: 401)
        #expect(answer.label == "401 Unauthorized")
        #expect(answer.detail == "to REGISTER")
    }
}
