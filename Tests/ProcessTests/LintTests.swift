// `sipcore lint` and `GET /api/findings`: of faulty traffic, and of the built-in roles', which has no fault.

import Foundation
import Glibc
import Testing

@Suite struct LintTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    // MARK: The command

    private static func message(_ sequence: Int, _ raw: String) -> String {
        let text = raw.replacing("\n", with: "\\r\\n").replacing("\"", with: "\\\"")
        return #"{"sequence":\#(sequence),"time":"2026-11-23T12:00:0\#(sequence).000000Z","direction":"in","transport":"udp","#
            + #""peer":null,"local":"127.0.0.1:5060","remote":"127.0.0.1:5062","raw":"\#(text)"}"#
    }

    private static func publish(_ cseq: Int, _ more: String) -> String {
        """
        PUBLISH sip:alice@home1.test SIP/2.0
        Via: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bK\(cseq)
        Max-Forwards: 70
        From: <sip:alice@home1.test>;tag=a1
        To: <sip:alice@home1.test>
        Call-ID: p1
        CSeq: \(cseq) PUBLISH
        Event: poc-settings
        Expires: 3600
        P-Preferred-Identity: <sip:alice@home1.test>
        SIP-If-Match: e\(cseq)
        \(more)Content-Length: 0


        """
    }

    private static let wrong = message(1, publish(1, ""))
    private static let odd = message(2, publish(2, "Accept-Contact: *;+g.oma.sip-im\nUser-Agent: Mine/1.0\n"))
    private static let sound = message(3, publish(3, "Accept-Contact: *;+g.oma.sip-im\n"))
    private static let finding =
        "1 sip:alice@home1.test: error: PUBLISH: no Accept-Contact; write Accept-Contact: *;+g.oma.sip-im "
        + "[OMA IM 1.0 5.3 step 4, settings-accept-contact]\n"
    private static let remark =
        "2 sip:alice@home1.test: note: PUBLISH: User-Agent is `Mine/1.0`; write User-Agent: IM-client/OMA1.0 and your product "
        + "[OMA IM 1.0 release version, settings-product]\n"

    private func lint(_ arguments: [String]) async throws -> (status: Int32, child: Child) {
        try await run([sipcore, "lint"] + arguments, named: "lint", in: folder)
    }

    @Test func `a file of messages is reviewed, as lines or as a document`() async throws {
        let all = [Self.wrong, Self.odd, Self.sound]
        let lines = try folder.write("lines.jsonl", all.map { $0 + "\n" }.joined())
        let document = try folder.write("document.json", #"{"messages":[\#(all.joined(separator: ","))],"next":3}"#)
        for file in [lines, document] {
            let (status, child) = try await lint([file])
            #expect(status == 1)
            #expect(child.output == Self.finding + Self.remark)
            #expect(child.errors == "")
        }
        let (status, child) = try await lint([try folder.write("sound.jsonl", Self.sound)])
        #expect(status == 0 && child.output == "")
    }

    @Test func `findings are chosen by rule and by severity`() async throws {
        let file = try folder.write("lines.jsonl", Self.wrong + "\n" + Self.odd + "\n")
        let errors = try await lint([file, "--severity", "error"])
        #expect(errors.status == 1 && errors.child.output == Self.finding)
        let notes = try await lint([file, "--rule", "settings-product"])
        #expect(notes.status == 0 && notes.child.output == Self.remark)
        let json = try await lint([file, "--json", "--rule", "settings-product"])
        let finding = try JSONDecoder().decode(Findings.Finding.self, from: Data(json.child.output.utf8))
        #expect(finding.sequence == 2 && finding.rule == "settings-product" && finding.severity == "note")
    }

    @Test func `a warning fails a strict review`() async throws {
        let text = Self.publish(4, "Accept-Contact: *;+g.oma.sip-im\n").replacing(
            "P-Preferred-Identity: <sip:alice@home1.test>\n", with: "")
        let file = try folder.write("warning.jsonl", Self.message(4, text))
        let lenient = try await lint([file])
        #expect(lenient.status == 0 && lenient.child.output.contains("warning"))
        #expect(try await lint([file, "--strict"]).status == 1)
    }

    @Test func `the rules are listed`() async throws {
        let (status, child) = try await lint(["--rules"])
        #expect(status == 0)
        #expect(child.output.split(separator: "\n").count >= 45)
        #expect(child.output.contains("settings-accept-contact: error: Accept-Contact asks for +g.oma.sip-im [OMA IM 1.0 5.3 step 4]\n"))
    }

    @Test func `what cannot be read is told`() async throws {
        let absent = try await lint(["\(folder.path)/absent.jsonl"])
        #expect(absent.status == 3 && absent.child.errors.contains("absent.jsonl cannot be read: No such file or directory"))
        let broken = try await lint([try folder.write("broken.jsonl", Self.sound + "\n{\"sequence\":1}\n")])
        #expect(broken.status == 3 && broken.child.errors.contains("broken.jsonl: line 2 is no message of a trace; give those of"))
        let port = try freePorts(1)[0]
        #expect(try await lint(["http://127.0.0.1:\(port)"]).status == 3)
        for wrong in [["--rule", "nothing", "x"], ["--severity", "fatal", "x"], []] { #expect(try await lint(wrong).status == 2) }
    }

    @Test func `a running core's trace is reviewed`() async throws {
        let core = try await RunningCore(in: folder)
        let alice = try DatagramPeer(to: core.udp)
        _ = try await alice.answer(
            to: SIPRequest(method: "OPTIONS", uri: "sip:home1.test", from: "<sip:alice@home1.test>", port: alice.port))
        try await expectFindings(at: core)
        #expect(try await lint(["http://127.0.0.1:\(core.http)"]).status == 0)
        alice.send(Self.publish(1, "").replacing("5062", with: "\(alice.port)"))
        #expect(await eventually { alice.received() != nil })
        try await expectFindings(["settings-accept-contact": "it is left out", "unregistered": "the answer is 403"], at: core)
        let (status, child) = try await lint(["http://127.0.0.1:\(core.http)"])
        #expect(status == 1 && child.output.contains("no Accept-Contact"))
        for name in ["trace.jsonl", "trace.pcapng"] {
            let file = "\(folder.path)/\(name)"
            let export = try await run(
                [sipcore, "trace", "http://127.0.0.1:\(core.http)", "--export", file], named: "export", in: folder)
            #expect(export.status == 0, "\(export.child.errors)")
            let again = try await lint([file])
            #expect(again.status == 1 && again.child.output == child.output, "\(name): \(again.child.output)\(again.child.errors)")
        }
        let faulty = try folder.write("faulty.jsonl", Self.wrong.replacing(#""peer":null"#, with: #""peer":null,"fault":"altered""#))
        #expect(try await lint([faulty]).child.output.isEmpty)
        try await core.stop()
    }

    // MARK: The built-in roles

    /// Reads the trace of a lab while its scenarios run, since the core goes with them.
    @Test(arguments: [
        ["im-settings.yaml"], ["im-offline.yaml"], ["sim.yaml"], ["two-servers.yaml"], ["hss-profile.yaml", "hss-profile.xml"],
        ["two-networks.yaml", "two-networks-home2.yaml"],
    ])
    func `the built-in roles break no rule`(names: [String]) async throws {
        let texts = try names.map(shippedTopology)
        let written = Set(texts.flatMap { $0.matches(of: /127\.0\.0\.1:\d+/).map { String($0.output) } }).sorted()
        let ports = try freePorts(written.count)
        for (name, text) in zip(names, texts) {
            let changed = text.replacing(/127\.0\.0\.1:\d+/) { "127.0.0.1:\(ports[written.firstIndex(of: String($0.output))!])" }
            _ = try folder.write(name, changed)
        }
        let address = try #require(texts[0].firstMatch(of: /http: (127\.0\.0\.1:\d+)/)).output.1
        let port = ports[try #require(written.firstIndex(of: String(address)))]
        let lab = try Child([sipcore, "lab", "\(folder.path)/\(names[0])", "--scenarios"], named: "lab", in: folder)
        var pages: [String] = []
        var next = 0
        while lab.exitStatus == nil {
            // Before it is there and after it has gone nobody answers.
            guard let answer = try? await http("GET", "/api/messages?since=\(next)&wait=1s", port: port), answer.status == 200,
                let end = answer.body.firstMatch(of: /"next":(\d+)}$/).flatMap({ Int($0.output.1) }), end > next
            else {
                try await Task.sleep(for: .milliseconds(5))
                continue
            }
            pages.append(answer.body)
            next = end
        }
        #expect(try await lab.end() == 0, "\(lab.output)\n\(lab.errors)")
        // The last few go with the core.
        #expect(next > 10)
        let list = pages.map { $0.dropFirst(#"{"messages":["#.utf8.count) }.map { $0[..<($0.lastRange(of: "],\"next\"")!.lowerBound)] }
        let file = try folder.write("trace.json", #"{"messages":[\#(list.joined(separator: ","))]}"#)
        let (status, child) = try await lint([file])
        #expect(status == 0)
        #expect(child.output == "")
    }
}

extension StringProtocol {
    fileprivate func lastRange(of text: String) -> Range<Index>? { ranges(of: text).last }
}
