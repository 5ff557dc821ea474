// The IMSSubscription document of TS 29.228 Annex E.
import Synchronization
import Testing
import Topology

@Suite struct ProfileDocumentTests {
    @Test func aWholeDocument() throws {
        let document = """
            <?xml version="1.0" encoding="UTF-8"?>
            <IMSSubscription>
              <PrivateID>dave_private@home1.test</PrivateID>
              <ServiceProfile>
                <PublicIdentity><Identity>sip:dave@home1.test</Identity><BarringIndication> true </BarringIndication></PublicIdentity>
                <PublicIdentity>
                  <BarringIndication>0</BarringIndication>
                  <Identity>tel:+15550103</Identity>
                  <Extension><IdentityType>0</IdentityType><Extension><DisplayName>Dave</DisplayName><AliasIdentityGroupID>g</AliasIdentityGroupID></Extension></Extension>
                </PublicIdentity>
                <InitialFilterCriteria>
                  <Priority> 5 </Priority>
                  <TriggerPoint>
                    <ConditionTypeCNF>1</ConditionTypeCNF>
                    <SPT><ConditionNegated>0</ConditionNegated><Group>0</Group><Method>PUBLISH</Method></SPT>
                    <SPT><ConditionNegated>1</ConditionNegated><Group>2</Group><SIPHeader><Header>User-Agent</Header><Content><![CDATA[IM-serv&co]]></Content></SIPHeader></SPT>
                    <SPT><Group>0</Group><Group>2</Group><Method>REGISTER</Method><Extension><RegistrationType>0</RegistrationType><RegistrationType>2</RegistrationType></Extension></SPT>
                    <SPT><Group>1</Group><SessionCase>4</SessionCase></SPT>
                    <SPT><Group>1</Group><SessionDescription><Line>m</Line><Content>audio &amp; video</Content></SessionDescription></SPT>
                    <SPT><Group>3</Group><RequestURI>home1\\.test</RequestURI></SPT>
                    <SPT><Group>3</Group><SIPHeader><Header>Accept-.*</Header></SIPHeader></SPT>
                    <SPT><Group>3</Group><Method>MESSAGE</Method><Extension><RegistrationType>0</RegistrationType></Extension></SPT>
                  </TriggerPoint>
                  <ApplicationServer>
                    <ServerName>sip:127.0.0.1:5080;lr</ServerName><DefaultHandling>1</DefaultHandling><ServiceInfo> some info </ServiceInfo>
                    <Extension><IncludeRegisterRequest/><IncludeRegisterResponse/></Extension>
                  </ApplicationServer>
                  <ProfilePartIndicator>1</ProfilePartIndicator>
                </InitialFilterCriteria>
                <InitialFilterCriteria>
                  <ApplicationServer><ServerName>sip:as.home1.test</ServerName></ApplicationServer><Priority>2</Priority>
                  <TriggerPoint><ConditionTypeCNF>false</ConditionTypeCNF><SPT><Group>0</Group><SessionCase>0</SessionCase></SPT></TriggerPoint>
                </InitialFilterCriteria>
                <InitialFilterCriteria><Priority>2</Priority><ApplicationServer><ServerName>sip:second.home1.test</ServerName></ApplicationServer></InitialFilterCriteria>
                <Extension><SharedIFCSetID>3</SharedIFCSetID></Extension>
                <other:Element xmlns:other="urn:other"><Priority>x</Priority></other:Element>
              </ServiceProfile>
              <ServiceProfile><PublicIdentity><Identity>sip:office@home1.test</Identity></PublicIdentity></ServiceProfile>
            </IMSSubscription>
            """
        let result = load(document, beside: ", application_servers: [im]")
        #expect(
            result.faults.map(\.description) == [
                "lab/t.yaml:5:68: warning: each REGISTER goes there by the criterion of priority 4 already, and would go there twice; "
                    + "leave 'im' out here, or say in that criterion which it does not take",
                "lab/dave.xml:34:5: warning: priority 2 is that of an earlier criterion too, and which comes first only the document says; "
                    + "write another number",
            ])
        let dave = try #require(result.topology?.subscribers.first)
        #expect(dave.privateIdentities.map { $0.identity.filled(with: "dave") } == ["dave_private@home1.test"])
        #expect(dave.privateIdentities[0].password == NameTemplate("y"))
        #expect(
            dave.publicIdentities.map { $0.uri.filled(with: "dave") } == ["sip:dave@home1.test", "tel:+15550103", "sip:office@home1.test"])
        #expect(dave.publicIdentities.map(\.isBarred) == [true, false, false])
        #expect(dave.publicIdentities[1].displayName == "Dave" && dave.publicIdentities[1].aliasGroup == "g")
        #expect(dave.publicIdentities[0].filterCriteria == nil)
        #expect(dave.publicIdentities[2].filterCriteria?.map(\.isShortForm) == [true, true])

        let criteria = dave.filterCriteria
        #expect(criteria.map(\.priority) == [2, 2, 4, 5, 6, 7] && criteria.map(\.isShortForm) == [false, false, false, false, true, true])
        #expect(
            criteria.map(\.serverURI).prefix(4) == [
                "sip:as.home1.test", "sip:second.home1.test", "sip:127.0.0.1:5080", "sip:127.0.0.1:5080;lr",
            ])
        #expect(criteria.map(\.applicationServer).prefix(4) == [nil, nil, "im", "im"])
        #expect(criteria[0].trigger == Trigger(isConjunctive: false, groups: [[Condition(.sessionCase(.originating))]]))
        #expect(criteria[1].trigger == nil && !criteria[1].sessionTerminatedOnFailure)
        let whole = criteria[3]
        #expect(whole.sessionTerminatedOnFailure && whole.serviceInfo == " some info " && whole.profilePart == .unregistered)
        #expect(whole.includeRegisterRequest && whole.includeRegisterResponse)
        let register = Condition(.method("REGISTER", registrationTypes: [.initial, .deregistration]))
        #expect(
            whole.trigger
                == Trigger(
                    isConjunctive: true,
                    groups: [
                        [Condition(.method("PUBLISH", registrationTypes: [])), register],
                        [Condition(.sessionCase(.originatingCDIV)), Condition(.sessionDescription(line: "m", content: "audio & video"))],
                        [Condition(.header(name: "User-Agent", content: "IM-serv&co"), isNegated: true), register],
                        [
                            Condition(.requestURI(#"home1\.test"#)), Condition(.header(name: "Accept-.*", content: nil)),
                            Condition(.method("MESSAGE", registrationTypes: [])),
                        ],
                    ]))
    }

    /// One criterion that cannot be used is skipped; the other one holds.
    @Test(arguments: [
        ("<Priority>0</Priority>", "", "Priority is missing in InitialFilterCriteria; write <Priority>", 1),
        ("<Priority>0</Priority>", "<Priority>x</Priority>", "Priority is 'x'; write a number from 0 to 2147483647", 24),
        ("<Priority>0</Priority>", "<Priority>-1</Priority>", "Priority is '-1'; write a number from 0 to 2147483647", 24),
        ("<ServerName>sip:127.0.0.1:5080</ServerName>", "", "ServerName is missing in ApplicationServer; write <ServerName>", 0),
        ("sip:127.0.0.1:5080", "tel:+1", "ServerName: 'tel:+1' is no SIP URI; write sip:tel:+1", 0),
        ("sip:127.0.0.1:5080", "sips:127.0.0.1;transport=udp", "sips asks for TLS, which UDP has not; write ;transport=tls", 0),
        (
            "<ConditionTypeCNF>1</ConditionTypeCNF>", "<ConditionTypeCNF>yes</ConditionTypeCNF>",
            "ConditionTypeCNF is 'yes'; write 0, 1, true or false", 0
        ),
        ("<ConditionTypeCNF>1</ConditionTypeCNF>", "", "ConditionTypeCNF is missing in TriggerPoint; write <ConditionTypeCNF>", 0),
        ("<SPT><Group>0</Group><Method>INVITE</Method></SPT>", "", "SPT is missing in TriggerPoint; write <SPT>", 0),
        ("<Group>0</Group>", "", "Group is missing in SPT; write <Group>", 0),
        ("<Group>0</Group>", "<Group>a</Group>", "Group is 'a'; write a number from 0 to 2147483647", 0),
        (
            "<Group>0</Group>", "<ConditionNegated>2</ConditionNegated><Group>0</Group>",
            "ConditionNegated is '2'; write 0, 1, true or false", 0
        ),
        ("<Method>INVITE</Method>", "", "SPT has no class; write one of RequestURI, Method, SIPHeader, SessionCase, SessionDescription", 0),
        (
            "<Method>INVITE</Method>", "<Method>INVITE</Method><SessionCase>0</SessionCase>",
            "SPT has more than one class; write one of RequestURI, Method, SIPHeader, SessionCase, SessionDescription", 0
        ),
        ("<Method>INVITE</Method>", "<Method>IN VITE</Method>", "Method is 'IN VITE'; write one such as MESSAGE", 0),
        ("<Method>INVITE</Method>", "<SessionCase>5</SessionCase>", "SessionCase is '5'; write a number from 0 to 4", 0),
        ("<Method>INVITE</Method>", "<SIPHeader><Content>x</Content></SIPHeader>", "Header is missing in SIPHeader; write <Header>", 0),
        (
            "<Method>INVITE</Method>", "<SIPHeader><Header>A</Header><Content>bad</Content></SIPHeader>", "Content: refused; write another",
            0
        ),
        (
            "<Method>INVITE</Method>", "<SIPHeader><Header>A</Header><Content>\\d</Content></SIPHeader>",
            "Content: '\\d' is not POSIX; write [0-9]", 0
        ),
        ("<Method>INVITE</Method>", "<RequestURI>bad</RequestURI>", "RequestURI: refused; write another", 0),
        (
            "<Method>INVITE</Method>", "<Method>REGISTER</Method><Extension><RegistrationType>3</RegistrationType></Extension>",
            "RegistrationType is '3'; write a number from 0 to 2", 0
        ),
        (
            "</InitialFilterCriteria>", "<ProfilePartIndicator>2</ProfilePartIndicator></InitialFilterCriteria>",
            "ProfilePartIndicator is '2'; write a number from 0 to 1", 0
        ),
    ]) func aBrokenCriterionIsSkippedWithAWarning(part: String, replacement: String, problem: String, column: Int) throws {
        let broken = criterion.replacing(part, with: replacement)
        let result = load(
            subscription(criteria: criterion.replacing(">0</Pri", with: ">9</Pri") + "\n" + broken),
            expressionFault: { $0 == "bad" ? "refused; write another" : nil })
        let fault = try #require(result.faults.first)
        #expect(result.faults.count == 1 && fault.severity == .warning && fault.file == "lab/dave.xml" && fault.line == 4)
        #expect(fault.text == "a criterion is skipped, for \(problem)")
        if column > 0 { #expect(fault.column == column) }
        #expect(result.topology?.subscribers.first?.filterCriteria.map(\.priority) == [9])
    }

    @Test(
        arguments: [
            ("<Priority>0</Priority>", "<Priority>0</Priority><Extension/>", nil),
            (
                "<ApplicationServer>", "<ApplicationServer><DefaultHandling>7</DefaultHandling>",
                "DefaultHandling is '7' and taken as 0; write 0 to continue the session or 1 to end it"
            ),
            (
                "<Method>INVITE</Method>", "<RequestURI>sip:im</RequestURI>",
                "RequestURI is searched in host and port, or in the number, so 'sip:im' never matches; leave the scheme out, or write core.request_uri_scope: full"
            ),
        ] as [(String, String, String?)]) func whatIsOddIsTakenWithAWarning(part: String, replacement: String, warning: String?)
    {
        let result = load(subscription(criteria: criterion.replacing(part, with: replacement)))
        #expect(result.faults.map(\.text) == (warning.map { [$0] } ?? []))
        #expect(result.topology?.subscribers.first?.filterCriteria.count == 1)
    }

    /// Criteria of a shared set are tried between the others, so they are held against those.
    @Test(arguments: [
        (4, 4, "priority 4 is that of an earlier criterion too, and which comes first only the document says; write another number"),
        (
            9, 3,
            "each request that this criterion takes has gone to 'im' by that of priority 4 already, and would go there twice; "
                + "leave one of them out, or say in it which requests the other does not take"
        ),
    ]) func aSharedSetIsHeldAgainstTheOthers(priority: Int, line: Int, warning: String) {
        let document = subscription(
            criteria: criterion.replacing(">0</Pri", with: ">\(priority)</Pri")
                + "\n<Extension><SharedIFCSetID>3</SharedIFCSetID></Extension>")
        let faults = load(document).faults
        #expect(faults.map(\.text) == [warning])
        #expect(faults.map(\.line) == [line])
    }

    /// Exports have identities that are nearly one.
    @Test(arguments: [
        (
            "tel:15550103", "tel:15550103",
            "'tel:15550103' is a local number without its context; write tel:+..., or ;phone-context= behind it; else it is taken as it stands"
        ),
        (
            "sip:+15550103@home1.test;user=phone", "sip:+15550103@home1.test",
            "a public identity has no parameters and no headers; write sip:+15550103@home1.test; else it is taken as sip:+15550103@home1.test"
        ),
        (
            "sip:dave@home1.test:5060", "sip:dave@home1.test",
            "an identity has no port; write sip:dave@home1.test; else it is taken as sip:dave@home1.test"
        ),
    ]) func whatIsNearlyAnIdentityIsTaken(written: String, taken: String, warning: String) {
        let result = load(subscription(criteria: "").replacing("sip:dave@home1.test", with: written))
        #expect(result.faults.map(\.text) == [warning])
        #expect(result.faults.map(\.severity) == [.warning])
        #expect(result.topology?.subscribers.first?.publicIdentities.map { $0.uri.filled(with: "dave") } == [taken])
    }

    @Test func anEmptyServiceInfoIsNone() {
        let document = subscription(criteria: criterion.replacing("</ServerName>", with: "</ServerName><ServiceInfo> </ServiceInfo>"))
        #expect(load(document).topology?.subscribers.first?.filterCriteria.map(\.serviceInfo) == [nil])
    }

    @Test func whatIsNotAppliedIsSaid() {
        let document = subscription(
            criteria: "<CoreNetworkServicesAuthorization/><Extension><SharedIFCSetID>9</SharedIFCSetID></Extension>")
        #expect(
            load(document).faults.map(\.description) == [
                "lab/dave.xml:3:1: warning: CoreNetworkServicesAuthorization is not applied; leave it out, or expect no effect",
                "lab/dave.xml:3:47: warning: no service profile is the shared set '9', so it is left out; write 'shared_ifc_set: 9' in one",
            ])
    }

    @Test(arguments: [
        (
            "<IMSSubscription>",
            "lab/dave.xml:1:18: error: the document ends before '</IMSSubscription>'; write an IMSSubscription document of TS 29.228 Annex E"
        ),
        (
            "<!DOCTYPE a><a/>",
            "lab/dave.xml:1:1: error: a document type declaration is not taken; write an IMSSubscription document of TS 29.228 Annex E"
        ),
        (
            "<User/>",
            "lab/dave.xml:1:1: error: the root is 'User'; write IMSSubscription (TS 29.228 Annex E), or an element with many of them"
        ),
        (
            "<IMSSubscription><ServiceProfile/></IMSSubscription>",
            "lab/dave.xml:1:1: error: PrivateID is missing in IMSSubscription; write <PrivateID>"
        ),
        (
            "<IMSSubscription><PrivateID>d</PrivateID></IMSSubscription>",
            "lab/dave.xml:1:1: error: ServiceProfile is missing in IMSSubscription; write <ServiceProfile>"
        ),
        (
            "<IMSSubscription><PrivateID>d</PrivateID><ServiceProfile/></IMSSubscription>",
            "lab/dave.xml:1:42: error: PublicIdentity is missing in ServiceProfile; write <PublicIdentity>"
        ),
        (
            "<IMSSubscription><PrivateID>d</PrivateID><ServiceProfile><PublicIdentity><Identity>dave</Identity></PublicIdentity></ServiceProfile></IMSSubscription>",
            "lab/dave.xml:1:74: error: 'dave' is no public identity; write sip:dave@home1.test"
        ),
        (
            "<IMSSubscription><PrivateID>d</PrivateID><ServiceProfile><PublicIdentity><Identity>sip:chat@home1.test</Identity><Extension><IdentityType>2</IdentityType></Extension></PublicIdentity></ServiceProfile></IMSSubscription>",
            "lab/dave.xml:1:74: error: 'sip:chat@home1.test' is no wildcard; write one with an expression between two exclamation marks, such as sip:chat!.*!@home1.test"
        ),
        (
            "<IMSSubscription><PrivateID>d</PrivateID><ServiceProfile><PublicIdentity><Identity>sip:chat!.*!home1.test</Identity><Extension><IdentityType>4</IdentityType></Extension></PublicIdentity></ServiceProfile></IMSSubscription>",
            "lab/dave.xml:1:74: error: 'sip:chat0home1.test' names no user; write sip:USER@DOMAIN"
        ),
        (
            "<IMSSubscription><PrivateID>d</PrivateID><ServiceProfile><PublicIdentity><Identity>sip:d@a.test</Identity><Extension><IdentityType>5</IdentityType></Extension></PublicIdentity></ServiceProfile></IMSSubscription>",
            "lab/dave.xml:1:118: error: IdentityType is '5'; write a number from 0 to 4"
        ),
        (
            "<IMSSubscription><PrivateID>d</PrivateID><ServiceProfile><PublicIdentity><Identity>sip:d@a.test</Identity><BarringIndication>x</BarringIndication></PublicIdentity></ServiceProfile></IMSSubscription>",
            "lab/dave.xml:1:107: error: BarringIndication is 'x'; write 0, 1, true or false"
        ),
    ]) func aWrongDocumentIsAnError(document: String, fault: String) {
        let result = load(document)
        #expect(result.faults.map(\.description) == [fault] && result.topology == nil)
    }

    @Test func identitiesAreOfAKind() throws {
        func identity(_ text: String, _ type: String) -> String {
            "<PublicIdentity><Identity>\(text)</Identity><Extension>\(type)</Extension></PublicIdentity>"
        }
        let identities = [
            identity("sip:d@home1.test", "<IdentityType>0</IdentityType>"),
            identity("sip:conference@home1.test", "<IdentityType>1</IdentityType>"),
            identity("sip:chat!.*!@home1.test", "<IdentityType>2</IdentityType>"),
            identity("sip:pbx-1@home1.test", "<IdentityType>3</IdentityType>"),
            identity("tel:+1555![0-9]{2}!", "<IdentityType>4</IdentityType>"),
            identity(
                "sip:list1@home1.test",
                "<IdentityType>2</IdentityType><Extension><WildcardedPSI>sip:list!.*!@home1.test</WildcardedPSI></Extension>"),
            identity(
                "sip:pbx-2@home1.test",
                "<IdentityType>3</IdentityType><Extension><Extension><WildcardedIMPU>sip:pbx-![2-9]!@home1.test</WildcardedIMPU></Extension></Extension>"
            ),
        ]
        let result = load(
            "<IMSSubscription><PrivateID>d</PrivateID><ServiceProfile>\(identities.joined())</ServiceProfile></IMSSubscription>")
        #expect(result.faults.map(\.description) == [])
        let read = try #require(result.topology?.subscribers.first?.publicIdentities)
        #expect(read.map(\.kind) == [.user, .service, .wildcardedService, .user, .wildcardedUser, .wildcardedService, .wildcardedUser])
        #expect(
            read.suffix(3).map { $0.uri.filled(with: "d") } == [
                "tel:+1555![0-9]{2}!", "sip:list!.*!@home1.test", "sip:pbx-![2-9]!@home1.test",
            ])
    }

    @Test func aDocumentInANamespaceIsTakenAtItsWord() {
        let document = subscription(criteria: criterion).replacing("<IMSSubscription>", with: "<IMSSubscription xmlns='urn:x'>")
        #expect(load(document).topology?.subscribers.first?.filterCriteria.count == 1)
    }

    @Test func theDocumentNamesTheIdentities() {
        let result = load(
            subscription(criteria: ""), beside: ", private_identity: d, public_identities: [sip:d@a.test], service_profile: p")
        #expect(
            result.faults.map(\.description) == [
                "lab/t.yaml:5:46: error: 'private_identity' is in the document that profile_xml names; leave it out here",
                "lab/t.yaml:5:67: error: 'public_identities' is in the document that profile_xml names; leave it out here",
                "lab/t.yaml:5:102: error: 'service_profile' is in the document that profile_xml names; leave it out here",
            ])
    }

    // MARK: Many in a file

    private func member(_ name: String, _ rest: String = "") -> String {
        """
        <IMSSubscription><PrivateID>\(name)@home1.test</PrivateID><ServiceProfile>
        <PublicIdentity><Identity>sip:\(name)@home1.test</Identity></PublicIdentity>\(rest)
        </ServiceProfile></IMSSubscription>

        """
    }

    private func loadMany(_ subscribers: String, _ document: String) -> (LoadResult, reads: Int) {
        let reads = Mutex(0)
        var surroundings = surroundings(files: ["/home/me/lab/all.xml": document])
        let readFile = surroundings.readFile
        surroundings.readFile = { path throws(UnreadableFile) in
            reads.withLock { $0 += 1 }
            return try readFile(path)
        }
        let text = "domain: home1.test\napplication_servers: {im: {uri: 'sip:127.0.0.1:5080'}}\nsubscribers:\n\(subscribers)"
        let result = Topology.load(file: "lab/t.yaml", text: text, in: surroundings)
        return (result, reads.withLock { $0 })
    }

    @Test func eachSubscriberHasItsOwnOfAFileOfMany() throws {
        let document =
            "<export>\n\(member("dave", criterion))\(member("erin", criterion.replacing("INVITE", with: "MESSAGE")))<other/></export>"
        let (result, reads) = loadMany(
            "  dave: {password: x, profile_xml: all.xml}\n  e: {password: y, profile_xml: all.xml, private_identity: erin}\n", document)
        #expect(result.faults.map(\.description) == [])
        #expect(reads == 1)
        let subscribers = try #require(result.topology?.subscribers)
        #expect(subscribers.map { $0.privateIdentities[0].identity.filled(with: "") } == ["dave@home1.test", "erin@home1.test"])
        #expect(subscribers.map { $0.publicIdentities[0].uri.filled(with: "") } == ["sip:dave@home1.test", "sip:erin@home1.test"])
        let methods = subscribers.map { subscriber -> String? in
            guard case .method(let name, _) = subscriber.filterCriteria.first?.trigger?.groups[0][0].kind else { return nil }
            return name
        }
        #expect(methods == ["INVITE", "MESSAGE"])
    }

    @Test func whoIsNotInTheFileIsSaid() {
        let document = "<export>\n\(member("dave"))\(member("erin"))\(member("dave"))</export>"
        let (result, _) = loadMany(
            "  davy: {password: x, profile_xml: all.xml}\n  z: {password: y, profile_xml: all.xml}\n", document)
        #expect(
            result.faults.map(\.description) == [
                "lab/t.yaml:4:36: error: no IMSSubscription of the file has the PrivateID 'davy@home1.test'; "
                    + "write private_identity: 'dave@home1.test'",
                "lab/t.yaml:5:33: error: no IMSSubscription of the file has the PrivateID 'z@home1.test'; "
                    + "write one of dave@home1.test, erin@home1.test",
                "lab/all.xml:8:1: error: the PrivateID 'dave@home1.test' is that of an earlier IMSSubscription (line 2); write each once",
            ])
    }

    @Test func aBrokenFileIsReportedOnce() {
        let (result, reads) = loadMany(
            "  dave: {password: x, profile_xml: all.xml}\n  erin: {password: y, profile_xml: all.xml}\n", "<export>")
        #expect(result.faults.count == 1)
        #expect(reads == 1)
    }

    private let criterion = """
        <InitialFilterCriteria><Priority>0</Priority><TriggerPoint><ConditionTypeCNF>1</ConditionTypeCNF>\
        <SPT><Group>0</Group><Method>INVITE</Method></SPT></TriggerPoint>\
        <ApplicationServer><ServerName>sip:127.0.0.1:5080</ServerName></ApplicationServer></InitialFilterCriteria>
        """

    /// The criteria begin in line 3.
    private func subscription(criteria: String) -> String {
        """
        <IMSSubscription><PrivateID>dave@home1.test</PrivateID>
        <ServiceProfile><PublicIdentity><Identity>sip:dave@home1.test</Identity></PublicIdentity>
        \(criteria)
        </ServiceProfile></IMSSubscription>
        """
    }

    private func load(
        _ document: String, beside keys: String = "", expressionFault: @escaping @Sendable (String) -> String? = { _ in nil }
    ) -> LoadResult {
        read(
            """
            domain: home1.test
            application_servers: {im: {uri: 'sip:127.0.0.1:5080', feature_tags: [+g.oma.sip-im]}}
            service_profiles: {p: {shared_ifc_set: 3, filter_criteria: [{priority: 4, application_server: im}]}}
            subscribers:
              dave: {password: y, profile_xml: dave.xml\(keys)}
            """,
            files: ["/home/me/lab/dave.xml": document], expressionFault: expressionFault)
    }
}
