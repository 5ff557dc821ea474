// The report that build servers read: one suite for the topology, one case for each scenario.

/// Writes results in the XML that JUnit made common.
enum JUnitReport {
    static func text(suite: String, results: [ScenarioResult]) -> String {
        let failures = results.count { $0.failure != nil }
        let time = seconds(results.reduce(0) { $0 + $1.time })
        let counts = "tests=\"\(results.count)\" failures=\"\(failures)\" errors=\"0\" skipped=\"0\" time=\"\(time)\""
        var lines = ["<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "<testsuites \(counts)>"]
        lines.append("  <testsuite name=\"\(escaped(suite))\" \(counts)>")
        for result in results {
            let head = "    <testcase name=\"\(escaped(result.name))\" classname=\"\(escaped(suite))\" time=\"\(seconds(result.time))\""
            guard let failure = result.failure else {
                lines.append(head + "/>")
                continue
            }
            lines.append(head + ">")
            lines.append("      <failure message=\"\(escaped(failure.step))\">\(escaped(failure.report, inAttribute: false))</failure>")
            lines.append("    </testcase>")
        }
        lines += ["  </testsuite>", "</testsuites>", ""]
        return lines.joined(separator: "\n")
    }

    private static func seconds(_ time: Double) -> String {
        let milliseconds = Int((time * 1000).rounded())
        let fraction = String(milliseconds % 1000)
        return "\(milliseconds / 1000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)"
    }

    /// Characters that XML 1.0 cannot hold at all become U+FFFD.
    private static func escaped(_ text: String, inAttribute: Bool = true) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\n": result += inAttribute ? "&#10;" : "\n"
            case "\t": result += "&#9;"
            case "\u{0}"..."\u{1f}", "\u{7f}", "\u{fffe}", "\u{ffff}": result += "\u{fffd}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
