// `sipcore lint SOURCE`: what clients and servers did against the standards, by a recorded trace.

import ArgumentParser
import Glibc
import JSONText
import Lab
import SIPTrace
import SansIO
import TrafficReview

struct LintCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lint",
        abstract: "Review recorded traffic: what clients and servers do against OMA IM 1.0, TS 24.229 and the RFCs.",
        discussion: """
            One line for each finding: SEQUENCE NODE: SEVERITY: what is wrong; what would be right [clause, rule]. Only what \
            the core received is judged, not what it sent. Exit status: 0 if there is no error, 1 if there is one, with \
            --strict a warning too; 2 wrong usage; 3 if the source cannot be read.
            """)

    @Argument(
        help: ArgumentHelp(
            "A file of recorded messages (JSON Lines, pcapng, or an answer to GET /api/messages), or a core's HTTP address.",
            valueName: "source"),
        completion: .file())
    var source: String?

    @Flag(help: "One JSON object on each line instead.")
    var json = false

    @Option(help: ArgumentHelp("Only findings of this rule; may be given more than once.", valueName: "id"))
    var rule: [String] = []

    @Option(
        help: ArgumentHelp("Only findings of this severity and worse: note, warning or error.", valueName: "severity"),
        transform: LintCommand.severity)
    var severity = Severity.note

    @Flag(help: "A warning is as bad as an error.")
    var strict = false

    @Flag(help: "List all rules instead.")
    var rules = false

    @Option(help: ArgumentHelp("The bearer token of the core's interface.", valueName: "token"))
    var token: String?

    func validate() throws {
        guard rules || source != nil else { throw ValidationError("name a file of messages or a core's HTTP address, or ask for --rules") }
        let known = Rules.all.map(\.id)
        guard let wrong = rule.first(where: { !known.contains($0) }) else { return }
        let advice = known.first { $0.contains(wrong) }.map { "did you mean \($0)?" } ?? "--rules lists them"
        throw ValidationError("there is no rule \(wrong); \(advice)")
    }

    func run() async throws {
        if rules {
            Descriptor.write(Rules.all.map(line).joined(), to: STDOUT_FILENO)
            return
        }
        let review = Review()
        // Read first: what comes meanwhile is no silence.
        let time = try await time()
        for message in try await messages() { review.add(ObservedMessage(message)) }
        if let time { review.advance(to: time) }
        let findings = review.findings.filter { $0.severity >= severity && (rule.isEmpty || rule.contains($0.rule)) }
            .sorted { $0.sequence < $1.sequence }
        Descriptor.write(findings.map(line).joined(), to: STDOUT_FILENO)
        if findings.contains(where: { $0.severity >= (strict ? .warning : .error) }) { throw CommandFailure(status: 1, text: nil) }
    }

    private static func severity(_ text: String) throws -> Severity {
        guard let severity = Severity(rawValue: text) else { throw ValidationError("\(text) is no severity; write note, warning or error") }
        return severity
    }

    // MARK: Reading

    /// What time it is at a core, by its clock; nil: the source is a file, which ends with its last message.
    private func time() async throws(CommandFailure) -> WallTime? {
        guard let source, source.hasPrefix("http://") else { return nil }
        do throws(HTTPCall.Failure) {
            return try await TraceView(base: source, token: token).time()
        } catch {
            throw CommandFailure(status: 3, text: error.description)
        }
    }

    private func messages() async throws(CommandFailure) -> [TracedMessage] {
        guard let source else { return [] }
        guard source.hasPrefix("http://") else { return try messages(inFile: source) }
        do throws(HTTPCall.Failure) {
            return try await TraceView(base: source, token: token).messages()
        } catch {
            throw CommandFailure(status: 3, text: error.description)
        }
    }

    private func messages(inFile path: String) throws(CommandFailure) -> [TracedMessage] {
        let text: [UInt8]
        do throws(FileFailure) {
            text = try Descriptor.contents(of: path == "-" ? "/dev/stdin" : path)
        } catch {
            throw CommandFailure(status: 3, text: "\(path) cannot be read: \(error.reason)")
        }
        do throws(TraceFileFailure) {
            return try TraceFile.messages(in: text)
        } catch {
            let fault = error.place.map {
                "\($0) is no message of a trace; give those of GET /api/messages, which have sequence, time, direction, remote and raw"
            }
            throw CommandFailure(status: 3, text: "\(path): \(fault ?? error.description)")
        }
    }

    // MARK: Writing

    private func line(_ rule: Rule) -> String {
        guard json else { return "\(rule.id): \(rule.severity.rawValue): \(rule.demand) [\(rule.clause)]\n" }
        return JSON.object([
            .init("rule", .text(rule.id)), .init("severity", .text(rule.severity.rawValue)), .init("clause", .text(rule.clause)),
            .init("demand", .text(rule.demand)),
        ]).written + "\n"
    }

    private func line(_ finding: Finding) -> String {
        guard json else {
            return "\(finding.sequence) \(finding.node): \(finding.severity.rawValue): \(finding.text); \(finding.advice) "
                + "[\(finding.clause), \(finding.rule)]\n"
        }
        return JSON.object([
            .init("sequence", .integer(Int64(clamping: finding.sequence))),
            .init("sequences", .list(finding.sequences.map { .integer(Int64(clamping: $0)) })), .init("node", .text(finding.node)),
            .init("severity", .text(finding.severity.rawValue)), .init("rule", .text(finding.rule)),
            .init("clause", .text(finding.clause)), .init("text", .text(finding.text)), .init("advice", .text(finding.advice)),
        ]).written + "\n"
    }
}
