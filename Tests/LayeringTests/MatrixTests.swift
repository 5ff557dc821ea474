// What the README says of the clauses of registration is shown by tests that are there.

import Foundation
import Testing

@Suite struct MatrixTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// A line of the tables: the clause, the tests that show it, and the files that they are in.
    private struct Line {
        var clause: String
        var tests: [String]
        var files: [String]
    }

    private static func lines() throws -> [Line] {
        let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
        let start = try #require(readme.firstRange(of: "### Registration, clause by clause"))
        var folder = "SCSCFTests"
        var lines: [Line] = []
        for line in readme[start.upperBound...].split(separator: "\n") {
            if line.hasPrefix("## ") { break }
            if line.hasPrefix("| §5.7.1.1") { folder = "InstantMessagingTests" }
            let cells = line.split(separator: "|").map(String.init)
            guard cells.count == 3, !line.hasPrefix("| §"), !line.hasPrefix("| ---") else { continue }
            let files = try names(in: cells[2]).map { try path(of: $0, in: "Tests/\(folder)") }
            lines.append(Line(clause: cells[0], tests: names(in: cells[1]), files: files))
        }
        return lines
    }

    /// Where in a folder a file is.
    private static func path(of name: String, in folder: String) throws -> String {
        let all = try FileManager.default.subpathsOfDirectory(atPath: root.appending(path: folder).path)
        return "\(folder)/" + (try #require(all.first { $0.split(separator: "/").last == "\(name).swift" }, "\(name) is not in \(folder)"))
    }

    /// What stands between backquotes.
    private static func names(in cell: String) -> [String] { cell.matches(of: /`(\w+)`/).map { String($0.output.1) } }

    @Test func `every clause of registration names tests that are there`() throws {
        let lines = try Self.lines()
        #expect(lines.count > 30)
        for line in lines {
            #expect(!line.tests.isEmpty && !line.files.isEmpty, "\(line.clause) has no test")
            let texts = try line.files.map { try String(contentsOf: Self.root.appending(path: $0), encoding: .utf8) }
            for test in line.tests {
                #expect(texts.contains { $0.contains("func \(test)(") }, "\(line.clause): \(test) is not in \(line.files)")
            }
        }
    }
}
