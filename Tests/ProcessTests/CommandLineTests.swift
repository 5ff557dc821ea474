// What the command says to wrong usage, to --help and to a check, and with which status it ends.

import Glibc
import Testing

@Suite struct CommandLineTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func command(_ arguments: String...) async throws -> (status: Int32, child: Child) {
        try await run([sipcore] + arguments, named: "command", in: folder)
    }

    @Test(arguments: [
        ["lub"], ["lab"], ["lab", "a.yaml", "b.yaml"], ["lab", "a.yaml", "--junit", "report.xml"], ["lab", "--no-such-option", "a.yaml"],
        ["core"], ["core", "a.yaml", "--log-level", "loud"], ["check"], ["im-server"], ["im-client", "--core", "sip:127.0.0.1:5060"],
        ["im-server", "--core", "sip:127.0.0.1:5060", "--domain", "home1.test", "--delivery-timeout", "soon"],
        ["im-server", "--core", "sip:127.0.0.1:5060", "--domain", "home1.test", "--listen", "127.0.0.1:0"],
        ["im-server", "--core", "sip:127.0.0.1:5060", "--domain", "home1.test", "--listen", "udp://127.0.0.1:0", "--http", "0.0.0.0:0"],
        ["im-client", "--core", "127.0.0.1", "--public-identity", "sip:alice@home1.test"],
        ["im-client", "--core", "sip:127.0.0.1:5060", "--public-identity", "alice"],
        ["im-client", "--core", "sip:127.0.0.1:5060", "--public-identity", "tel:+15550100"],
        ["im-client", "--core", "sip:127.0.0.1:5060", "--public-identity", "sip:alice@home1.test", "--aka", "k=00"],
        ["im-client", "--core", "sip:127.0.0.1:5060", "--public-identity", "sip:alice@home1.test", "--aka", "key=00"],
        [
            "im-client", "--core", "sip:127.0.0.1:5060", "--public-identity", "sip:alice@home1.test", "--aka",
            "k=00112233445566778899aabbccddeeff",
        ],
    ])
    func `wrong usage is status 2 and one line`(arguments: [String]) async throws {
        let (status, command) = try await run([sipcore] + arguments, named: "command", in: folder)
        #expect(status == 2)
        #expect(command.errorLines.count == 1, "\(command.errors)")
        #expect(command.errors.hasPrefix("sipcore: "))
        #expect(command.output == "")
    }

    @Test func `nothing at all shows what there is, as wrong usage`() async throws {
        let (status, command) = try await command()
        #expect(status == 2)
        #expect(command.errors.contains("SUBCOMMANDS") && command.output == "")
    }

    @Test func `a command misspelt is suggested`() async throws {
        let (_, command) = try await command("chek")
        #expect(command.errors.contains("did you mean 'check'?"))
    }

    @Test(arguments: [[], ["lab"], ["core"], ["check"], ["schema"], ["im-server"], ["im-client"], ["load"], ["send"], ["trace"]])
    func `help and version are everywhere`(command: [String]) async throws {
        let (status, help) = try await run([sipcore] + command + ["--help"], named: "help", in: folder)
        #expect(status == 0)
        #expect(help.output.contains("USAGE: sipcore") && help.errors == "")
        let (versionStatus, version) = try await run([sipcore] + command + ["--version"], named: "version", in: folder)
        #expect(versionStatus == 0)
        #expect(version.output.contains(/^\d+\.\d+\.\d+\n$/) && version.errors == "")
    }

    @Test func `a check prints all faults of all files`() async throws {
        try folder.write("a.yaml", "domain: home1.test\ncore:\n  lisen: [udp://127.0.0.1:0]\n  trace: -1\n")
        try folder.write("b.yaml", "domain: home1.test\nsubscribers:\n  alice: {pasword: x}\n")
        let (status, check) = try await command("check", "a.yaml", "b.yaml")
        #expect(status == 1)
        let places = check.output.split(separator: "\n").compactMap { $0.firstMatch(of: /^([ab]\.yaml:\d+:\d+): error: .+; .+/)?.1 }
        #expect(places.contains("a.yaml:3:3") && places.contains("a.yaml:4:10") && places.contains("b.yaml:3:11"), "\(check.output)")
        #expect(check.errors == "")
    }

    @Test func `a warning fails a strict check alone`() async throws {
        try folder.write("dave.xml", Self.documentWithBrokenCriterion)
        let topology = "domain: home1.test\nsubscribers:\n  dave: {password: x, profile_xml: dave.xml}\n"
        try folder.write("lab.yaml", topology)
        let (status, lenient) = try await command("check", "lab.yaml")
        #expect(status == 0)
        #expect(lenient.output.contains(": warning: "), "\(lenient.output)")
        let (strictStatus, _) = try await command("check", "--strict", "lab.yaml")
        #expect(strictStatus == 1)
    }

    /// An expression that POSIX does not have.
    private static let documentWithBrokenCriterion = """
        <IMSSubscription><PrivateID>dave@home1.test</PrivateID><ServiceProfile>
        <PublicIdentity><Identity>sip:dave@home1.test</Identity></PublicIdentity>
        <InitialFilterCriteria><Priority>0</Priority><TriggerPoint><ConditionTypeCNF>1</ConditionTypeCNF>
        <SPT><ConditionNegated>0</ConditionNegated><Group>0</Group><SIPHeader><Header>Subject</Header><Content>(a</Content></SIPHeader></SPT>
        </TriggerPoint><ApplicationServer><ServerName>sip:127.0.0.1:5080</ServerName></ApplicationServer></InitialFilterCriteria>
        </ServiceProfile></IMSSubscription>
        """

    @Test func `a check of a file that is not there goes on with the others`() async throws {
        try folder.write("b.yaml", "domian: home1.test\n")
        let (status, check) = try await command("check", "missing.yaml", "b.yaml")
        #expect(status == 3)
        #expect(check.output.contains("b.yaml:1:1: error:"))
        #expect(check.errorLines.count == 1 && check.errors.contains("missing.yaml"))
    }

    @Test func `the schema is one JSON object`() async throws {
        let (status, schema) = try await command("schema")
        #expect(status == 0)
        #expect(schema.output.hasPrefix("{") && schema.output.contains("https://json-schema.org/draft/2020-12/schema"))
    }
}
