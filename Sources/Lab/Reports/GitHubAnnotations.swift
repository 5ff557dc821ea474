// Failures as workflow commands of GitHub Actions, which shows them beside the lines of the file.

/// `::error file=lab.yaml,line=12,col=7,title=NAME::text`
enum GitHubAnnotations {
    /// One line for each failed scenario.
    static func lines(_ results: [ScenarioResult]) -> [String] { results.compactMap(line) }

    private static func line(_ result: ScenarioResult) -> String? {
        guard let failure = result.failure else { return nil }
        let title = "title=\(property("\(result.name) failed"))"
        guard let details = failure.details else { return "::error \(title)::\(data(failure.report))" }
        let text =
            (["awaited: \(details.awaited)", "came instead:"] + details.cameInstead.map { "  \($0)" } + (details.nearest?.lines ?? []))
            .joined(separator: "\n")
        return "::error file=\(property(details.file)),line=\(details.line),col=\(details.column),\(title)::\(data(text))"
    }

    private static func data(_ text: String) -> String {
        text.unicodeScalars.map { scalar in
            switch scalar {
            case "%": "%25"
            case "\r": "%0D"
            case "\n": "%0A"
            default: String(scalar)
            }
        }.joined()
    }

    private static func property(_ text: String) -> String {
        data(text).unicodeScalars.map { $0 == ":" ? "%3A" : $0 == "," ? "%2C" : String($0) }.joined()
    }
}
