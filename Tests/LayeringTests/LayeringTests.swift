// The layers stay what they are: a pure target imports only the modules above it and libraries that compute, and shells do
// not know one another.

import Foundation
import Testing

@Suite struct LayeringTests {
    /// The pure targets in the order of the layers, each with what it may import beside those above it.
    private static let pure: [(name: String, allowed: Set<String>)] = [
        ("SansIO", []),
        ("SIPMessage", ["SansIO"]),
        ("SIPTransaction", ["SansIO", "SIPMessage"]),
        ("SIPProxy", ["SansIO", "SIPMessage", "SIPTransaction"]),
        ("SIPRegistrar", ["SansIO", "SIPMessage", "Crypto", "CryptoExtras"]),
        ("IMSProfile", ["SansIO", "SIPMessage"]),
        ("SCSCF", ["SansIO", "SIPMessage", "SIPTransaction", "SIPProxy", "SIPRegistrar", "IMSProfile"]),
        ("JSONText", []),
        ("XMLTree", []),
        ("InstantMessaging", ["JSONText", "SansIO", "SIPMessage", "SIPTransaction", "SIPRegistrar", "XMLTree"]),
        ("SIPTrace", ["SansIO"]),
        ("FaultRules", ["SansIO", "SIPMessage", "SIPTrace"]),
        ("SIPLadder", ["SansIO", "SIPMessage", "SIPTrace"]),
        ("LoadGenerator", ["SansIO", "SIPMessage", "SIPRegistrar"]),
        ("TrafficReview", ["SansIO", "SIPMessage", "SIPTrace", "InstantMessaging"]),
        (
            "Simulation",
            ["SansIO", "SIPMessage", "SIPTransaction", "SIPRegistrar", "IMSProfile", "SCSCF", "InstantMessaging", "SIPLadder", "SIPTrace"]
        ),
    ]
    private static let shells = ["Topology", "Store", "NodeRuntime", "ControlHTTP", "Lab", "LoadDriver"]

    private static let sources = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources")

    @Test(arguments: pure.map(\.name))
    func `a pure target imports only what is above it`(name: String) throws {
        let allowed = try #require(Self.pure.first { $0.name == name }).allowed
        for (file, module) in try Self.imports(of: name) {
            #expect(allowed.contains(module), "\(file) imports \(module)")
        }
    }

    @Test(arguments: shells)
    func `shells do not import one another`(name: String) throws {
        // The lab runs a topology: its plan is plain values.
        let others = Set(Self.shells).subtracting([name]).subtracting(name == "Lab" ? ["Topology"] : [])
        for (file, module) in try Self.imports(of: name) {
            #expect(!others.contains(module) && module != "SCSCF" && module != "InstantMessaging", "\(file) imports \(module)")
        }
    }

    @Test func `every target is either pure, a shell, C or the command`() throws {
        let known = Set(
            Self.pure.map(\.name) + Self.shells + [
                "CNameService", "CNodeIO", "CPage", "CProcess", "SipcoreCommand", "sipcore", "sipcore-bench",
            ])
        for folder in try FileManager.default.contentsOfDirectory(atPath: Self.sources.path) {
            #expect(known.contains(folder), "\(folder) has no place in the layers")
        }
    }

    @Test func `all targets share the settings`() throws {
        let package = try String(contentsOf: Self.sources.deletingLastPathComponent().appending(path: "Package.swift"), encoding: .utf8)
        for feature in ["ExistentialAny", "MemberImportVisibility", "InternalImportsByDefault", "swiftLanguageMode(.v6)"] {
            #expect(package.contains(feature))
        }
        #expect(!package.contains("-Ounchecked"))
    }

    /// Each import of a target's sources: the file and the module.
    private static func imports(of target: String) throws -> [(file: String, module: String)] {
        let root = sources.appending(path: target)
        let files = try #require(FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil))
        var found: [(file: String, module: String)] = []
        for case let file as URL in files where file.pathExtension == "swift" {
            for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
                let words = line.split(separator: " ")
                guard let index = words.firstIndex(of: "import"), index < 3, index + 1 < words.count, !line.hasPrefix("//"),
                    words[..<index].allSatisfy({
                        $0.hasPrefix("@") || ["public", "internal", "package", "private", "fileprivate"].contains($0)
                    })
                else { continue }
                found.append((file.lastPathComponent, String(words[index + 1].prefix { $0 != "." })))
            }
        }
        #expect(!found.isEmpty || ["SansIO", "JSONText", "XMLTree"].contains(target), "\(target) imports nothing: was it read?")
        return found
    }
}
