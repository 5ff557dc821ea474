// A failed scenario as one HTML file: what was awaited and what came, the ladder with all its messages, and the nodes' logs.

import SIPLadder
import SIPTrace
import SansIO

/// Writes a file for each failure.
enum HTMLReport {
    /// - Parameters:
    ///   - results: in the order of the file; a file's name begins with the number of its scenario.
    ///   - folder: made if it is missing.
    /// - Returns: what could not be written.
    static func write(_ results: [ScenarioResult], to folder: String) -> [String] {
        if let reason = makeFolders(folder) { return ["\(folder): \(reason)"] }
        return results.enumerated().compactMap { index, result in
            guard let page = page(result) else { return nil }
            return replaceFile("\(folder)/\(fileName(result.name, number: index + 1))", with: page)
        }
    }

    /// nil for a scenario that passed.
    static func page(_ result: ScenarioResult) -> String? {
        guard let failure = result.failure else { return nil }
        let details = failure.details
        var sections = [LadderPage.Section(heading: "Step", text: failure.step, isOpen: true)]
        if let details {
            sections.append(.init(heading: "Awaited", text: details.awaited, isOpen: true))
            sections.append(.init(heading: "Came instead", text: details.cameInstead.joined(separator: "\n"), isOpen: true))
            if let nearest = details.nearest {
                sections.append(.init(heading: "Nearest message", text: nearest.lines.joined(separator: "\n"), isOpen: true))
            }
            for log in details.logs where !log.lines.isEmpty {
                sections.append(.init(heading: "Log of \(log.node)", text: log.lines.joined(separator: "\n")))
            }
        } else {
            sections.append(.init(heading: "Report", text: failure.report, isOpen: true))
        }
        return LadderPage(title: "\(result.name) failed", model(details), nodes: details?.columns ?? [], sections: sections).html
    }

    private static func model(_ details: FailureDetails?) -> LadderModel {
        let messages = details?.messages ?? []
        let arrows = details?.arrows ?? []
        // After a restart of the core two messages may have one number: the later is meant.
        var ends: [UInt64: String] = [:]
        for (message, arrow) in zip(messages, arrows) {
            ends[UInt64(message.sequence)] = message.isInbound ? arrow.from : arrow.to
        }
        return LadderModel(messages.compactMap(\.traced), node: Whereabouts.core) { ends[$0.sequence] ?? $0.remote.text }
    }

    /// `02-settings-reach-the-im-server.html`
    static func fileName(_ scenario: String, number: Int) -> String {
        "\(number < 10 ? "0" : "")\(number)-\(plainName(scenario)).html"
    }

    /// A name that is one in any file system and any address.
    static func plainName(_ text: String) -> String {
        let words = text.lowercased().split { !($0.isASCII && ($0.isLetter || $0.isNumber)) }
        let name = words.joined(separator: "-").prefix(80)
        return name.isEmpty ? "scenario" : String(name)
    }
}
