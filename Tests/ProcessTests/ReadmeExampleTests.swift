// The example of the README, as it stands there.

import Foundation
import Testing

@Suite struct ReadmeExampleTests {
    @Test func `a test in Python drives a lab by HTTP alone`() async throws {
        let readme = try String(
            contentsOf: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../README.md"), encoding: .utf8)
        let start = try #require(readme.firstRange(of: "```python\n")).upperBound
        let end = try #require(readme[start...].firstRange(of: "```\n")).lowerBound
        let folder = try TemporaryFolder()
        let file = try folder.write("lab_test.py", String(readme[start..<end]))
        let script = try Child(["/bin/sh", "-c", "cd \(folder.path) && exec python3 \(file) \(sipcore)"], named: "python", in: folder)
        #expect(try await script.end() == 0, "\(script.errors)")
        #expect(script.output.contains("passed"), "\(script.errors)")
    }
}
