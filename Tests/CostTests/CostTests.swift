// What a transaction may cost in the core, in instructions and calls. Times of a run say little on a machine that others
// use as well; these say the same everywhere.

import Foundation
import Testing

/// The most that a transaction of one mode may cost.
struct Ceiling: Sendable, CustomTestStringConvertible {
    var mode: String
    var instructions: Int
    var allocations: Int
    var retains: Int
    var releases: Int
    var testDescription: String { mode }

    /// One line for each mode of `sipcore-bench`. The benchmark plays the peers too, and its share is in the figures: it
    /// copies each message it delivers (an allocation), and scans the requests that it answers.
    ///
    /// To lower a ceiling: run the test, take the figures that it prints, add a tenth, and put them here. A ceiling goes up
    /// only with a reason in the commit.
    static let all = [
        Ceiling(mode: "options", instructions: 14_100, allocations: 2, retains: 1, releases: 3),
        Ceiling(mode: "register", instructions: 30_400, allocations: 2, retains: 7, releases: 10),
        Ceiling(mode: "reregister", instructions: 30_300, allocations: 2, retains: 7, releases: 10),
        Ceiling(mode: "register-auth", instructions: 83_500, allocations: 12, retains: 7, releases: 15),
        Ceiling(mode: "publish", instructions: 52_400, allocations: 3, retains: 7, releases: 14),
        Ceiling(mode: "message", instructions: 53_500, allocations: 5, retains: 11, releases: 22),
        Ceiling(mode: "thirdreg", instructions: 61_700, allocations: 3, retains: 9, releases: 15),
    ]
}

@Suite(.serialized) struct CostTests {
    @Test(arguments: Ceiling.all)
    func `a transaction stays under its ceiling`(_ ceiling: Ceiling) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sipcore-cost-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let cost = try Callgrind(folder: folder).costOfTransaction(in: ceiling.mode)
        let calls = { cost.calls[$0] ?? 0 }
        print(
            "\(ceiling.mode): \(cost.instructions) instructions, \(calls("malloc")) allocations, \(calls("swift_retain")) retains, "
                + "\(calls("swift_release")) releases a transaction")
        #expect(cost.instructions <= ceiling.instructions)
        #expect(calls("malloc") <= ceiling.allocations)
        #expect(calls("swift_retain") <= ceiling.retains)
        #expect(calls("swift_release") <= ceiling.releases)
    }
}
