// One subscriber in JSON, read with the rest of a topology around it.
import Testing

@testable import Topology

@Suite struct PutSubscriberTests {
    private static let topology = read(
        withBase(
            """
            service_profiles:
              p: {filter_criteria: [{priority: 0, application_server: other}]}

            """)
    ).topology

    private func put(_ name: String, _ json: String) throws -> Subscriber {
        try #require(Self.topology).subscriber(named: name, json: json, in: surroundings())
    }

    private func fault(of name: String = "carol", _ json: String) -> FieldFault? {
        do {
            _ = try put(name, json)
            return nil
        } catch {
            return error as? FieldFault
        }
    }

    @Test func itHasTheFieldsOfTheFile() throws {
        let json = """
            {
            \t"password": "pw-{name}", "public_identities": ["sip:{name}@home1.test", "tel:+15550103"],
              "private_identities": {"carol-tablet@home1.test": {"password": "x"}},
              "application_servers": ["im"], "service_profile": "p", "authentication": "digest"
            }
            """
        let carol = try put("carol", json)
        #expect(carol.name == NamePattern("carol"))
        #expect(carol.privateIdentities.map { $0.identity.filled(with: "carol") } == ["carol@home1.test", "carol-tablet@home1.test"])
        #expect(carol.privateIdentities.map { $0.password?.filled(with: "carol") } == ["pw-carol", "x"])
        #expect(carol.publicIdentities.map { $0.uri.filled(with: "carol") } == ["sip:carol@home1.test", "tel:+15550103"])
        #expect(carol.applicationServers == ["im"])
        #expect(carol.serviceProfile == "p")
        #expect(carol.filterCriteria.map(\.applicationServer) == ["other", "im", "im"])
        #expect(carol.authentication == .digest)
    }

    @Test func itIsWhatTheFileWouldMakeOfIt() throws {
        let inFile = read(withBase("").replacing("  bob: {p", with: "  carol: {password: x, application_servers: [im]}\n  bob: {p"))
        let expected = inFile.topology?.subscribers.first { $0.name.text == "carol" }
        #expect(expected != nil)
        #expect(try put("carol", #"{"password":"x","application_servers":["im"]}"#) == expected)
    }

    @Test(arguments: [
        (#"{"pasword":"x"}"#, "pasword", "unknown key 'pasword' in a subscriber; write 'password'"),
        (#"{"password":["x"]}"#, "password", "'password' is one value, not a list; write it without brackets and dashes"),
        (
            #"{"password":"x","public_identities":["sip:a@home1.test","b"]}"#, "public_identities[1]",
            "'b' is no public identity; write sip:b"
        ),
        (
            #"{"password":"x","private_identities":{"t@home1.test":{"password":"y","pass":"z"}}}"#, "private_identities.t@home1.test.pass",
            "unknown key 'pass' in a private identity; write one of password, aka"
        ),
        (
            #"{"password":"x","application_servers":["imm"]}"#, "application_servers[0]",
            "no application server is called 'imm'; write 'im'"
        ),
        (#"{"password":"x","service_profile":"q"}"#, "service_profile", "no service profile is called 'q'; write 'p'"),
        (
            #"{"password":"x","public_identities":["sip:a@home1.test","sip:a@home1.test"]}"#, "public_identities[1]",
            "the public identity 'sip:a@home1.test' is this subscriber's already (line 1); write each identity once"
        ),
        ("{}", "password", "the subscriber has no password to be challenged for"),
        (#"{"authentication":"aka"}"#, "aka", "the subscriber has no key for AKA"),
        (#"{"password":"x","password":"y"}"#, "password", "the key 'password' stands here already (line 1); write it once"),
        (
            #"{"profile_xml":"none.xml"}"#, "profile_xml",
            "cannot read /home/me/lab/none.xml: no such file; write the name of a readable file"
        ),
    ]) func aWrongFieldIsNamed(json: String, field: String, text: String) {
        let found = fault(json)
        #expect(found?.field == field)
        #expect(found?.text.hasPrefix(text.replacing("; write sip:b", with: "")) == true, "\(String(describing: found))")
    }

    @Test func whatIsWrongAsAWholeHasNoField() {
        for (json, text) in [
            ("", "the body is no JSON object"), ("[1]", "the body is no JSON object"), ("password: x", "the body is no JSON object"),
            (#"{"password": "x""#, "line 2, column 1: this is not JSON: "), ("{password: x}", "this is not JSON; "),
        ] {
            let found = fault(json)
            #expect(found != nil && found?.field == nil, "\(json)")
            #expect(found?.text.hasPrefix(text) == true, "\(json): \(String(describing: found))")
        }
    }

    @Test func aNameIsOfOne() {
        #expect(fault(of: "u{0..9}", #"{"password":"x"}"#)?.field == "name")
        #expect(
            fault(of: "a b", #"{"password":"x"}"#)?.text == "'a b' is no name of a subscriber; write letters, digits, '.', '_', '+' or '-'")
    }

    @Test func theEnvironmentIsNotRead() throws {
        let topology = try #require(Self.topology)
        #expect(throws: FieldFault.self) {
            try topology.subscriber(
                named: "carol", json: #"{"password":"${env:HOME}"}"#, in: surroundings(environment: ["HOME": "/root"]))
        }
    }

    /// JSON that YAML would read otherwise.
    @Test func escapesOfJSONAreKnown() throws {
        let json = #"{"password": "\ud83d\ude00\/\\ud83d\\/\"\u0041"}"#
        #expect(try put("carol", json).privateIdentities.first?.password?.pieces == ["\u{1F600}/\\ud83d\\/\"A"])
    }

    @Test func theOthersDoNotMatter() throws {
        // Whose identities they are is the core's question.
        let alice = try put("alice", #"{"password":"x","public_identities":["sip:bob@home1.test"]}"#)
        #expect(alice.publicIdentities.count == 1)
    }
}
