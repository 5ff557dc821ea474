// Where the program under test and its peers are.

import Foundation

/// The executable that is built beside the tests, or the one that `SIPCORE_EXECUTABLE` names.
let sipcore: String = {
    if let path = ProcessInfo.processInfo.environment["SIPCORE_EXECUTABLE"] { return path }
    // Under `swift test` the tests are a bundle of the build folder, or are loaded by a helper that is told its name.
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    let candidates = ([own] + CommandLine.arguments).filter { $0.hasPrefix("/") }.map {
        URL(filePath: $0).deletingLastPathComponent().appending(path: "sipcore").path
    }
    return candidates.first { FileManager.default.isExecutableFile(atPath: $0) } ?? "sipcore"
}()

/// A program by others that the tests speak to.
enum Peer: String {
    case sipp, sipsak, tshark, dumpcap, sngrep, baresip, linphonec

    /// - Throws: if it is not installed: a test that cannot ask its peer has not passed.
    var path: String {
        get throws {
            let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
            guard let path = folders.map({ "\($0)/\(rawValue)" }).first(where: FileManager.default.isExecutableFile) else {
                throw Failure("\(rawValue) is not installed; run `make peers`")
            }
            return path
        }
    }
}

/// The Python of the folder that `make peers` fills with SIP libraries.
func peerPython() throws -> String {
    let path = tests.deletingLastPathComponent().deletingLastPathComponent().appending(path: ".build/peers/bin/python").path
    guard FileManager.default.isExecutableFile(atPath: path) else { throw Failure("\(path) is not there; run `make peers`") }
    return path
}

func peerPath(_ name: String) -> String { tests.appending(path: "Peers/\(name)").path }

/// What ends a test early.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

private let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()

/// The text of a file of the folder `topologies`.
func shippedTopology(_ name: String) throws -> String { try String(contentsOfFile: shippedTopologyPath(name), encoding: .utf8) }

func shippedTopologyPath(_ name: String) -> String {
    tests.deletingLastPathComponent().deletingLastPathComponent().appending(path: "topologies/\(name)").path
}

func readme() throws -> String {
    try String(contentsOf: tests.deletingLastPathComponent().deletingLastPathComponent().appending(path: "README.md"), encoding: .utf8)
}

/// The first block of a language that the README has after a heading.
func readmeBlock(after heading: String, _ language: String) throws -> String {
    let readme = try readme()
    guard let section = readme.firstRange(of: "\n\(heading)\n"),
        let start = readme[section.upperBound...].firstRange(of: "```\(language)\n"),
        let end = readme[start.upperBound...].firstRange(of: "```\n")
    else { throw Failure("the README has no block of \(language) after '\(heading)'") }
    return String(readme[start.upperBound..<end.lowerBound])
}

func scenarioText(_ name: String) throws -> String { try String(contentsOfFile: scenarioPath(name), encoding: .utf8) }

func scenarioPath(_ name: String) -> String { tests.appending(path: "Scenarios/\(name)").path }

/// Polls until it holds. The bound is for failures alone: no test passes for having waited.
func eventually(_ condition: () async throws -> Bool) async rethrows -> Bool {
    for _ in 0..<3000 {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return false
}
