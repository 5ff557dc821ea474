// Topologies and ready files on disk.

import Glibc
import SansIO
import Testing
import Topology

@testable import SipcoreCommand

@Suite struct FileTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    @Test func aTopologyIsReadWithWhatStandsBesideIt() throws {
        try folder.write("lab.yaml", "domain: home1.test\ncore: {listen: [\"udp://127.0.0.1:0\"]}\n")
        let topology = try TopologyFile.load("\(folder.path)/lab.yaml", isLab: false)
        #expect(topology.domain == "home1.test")
        #expect(topology.folder == folder.path)
    }

    @Test func aFileThatCannotBeReadCannotStart() throws {
        for path in ["\(folder.path)/missing.yaml", folder.path] {
            let failure = try #require(throws: CommandFailure.self) { _ = try TopologyFile.read(path, isLab: false) }
            #expect(failure.status == 3)
            #expect(failure.text?.hasPrefix("cannot read \(path): ") == true)
        }
    }

    @Test func theFirstOctetThatIsNoCharacterIsPointedOut() throws {
        try folder.write("lab.yaml", Array("domain: home1.test\n# größe ".utf8) + [0xff, 0x0a])
        let (topology, faults) = try TopologyFile.read("\(folder.path)/lab.yaml", isLab: false)
        #expect(topology == nil)
        #expect(faults.map(\.line) == [2])
        #expect(faults.map(\.column) == [9])
        #expect(faults.first?.severity == .error)
    }

    @Test func expressionsAreJudgedByTheModuleThatMatches() throws {
        let profile = "[{priority: 0, application_server: im, trigger: [[{header: Subject, content: '(a'}]]}]"
        try folder.write(
            "lab.yaml",
            """
            domain: home1.test
            application_servers: {im: {uri: "sip:127.0.0.1:5080"}}
            service_profiles: {p: {filter_criteria: \(profile)}}

            """)
        let (topology, faults) = try TopologyFile.read("\(folder.path)/lab.yaml", isLab: false)
        #expect(topology == nil)
        #expect(faults.map(\.line) == [3], "\(faults)")
    }

    @Test func aPortThatTheLabChoosesIsRefusedWithoutOne() throws {
        try folder.write("lab.yaml", "domain: home1.test\napplication_servers: {im: {uri: \"sip:127.0.0.1:0\", run: im-server}}\n")
        #expect(try TopologyFile.read("\(folder.path)/lab.yaml", isLab: false).topology == nil)
        #expect(try TopologyFile.read("\(folder.path)/lab.yaml", isLab: true).topology != nil)
    }

    @Test func aFileIsReplacedWhole() throws {
        let path = "\(folder.path)/ready"
        try Descriptor.replace(path, with: String(repeating: "long", count: 1000))
        try Descriptor.replace(path, with: "short\n")
        #expect(try Descriptor.contents(of: path) == Array("short\n".utf8))
        #expect(folder.names == ["ready"])
    }

    @Test func aReadyFileThatCannotBeWrittenIsNamed() throws {
        let path = "\(folder.path)/missing/ready"
        let failure = try #require(throws: CommandFailure.self) {
            try ReadyLine.announce(role: "core", sip: [], http: nil, readyFile: path)
        }
        #expect(failure.status == 3)
        #expect(failure.text?.contains(path) == true)
    }
}

/// A folder that is removed with all that is in it.
private final class Folder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/sipcore-command-tests-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit {
        for name in names { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }

    func write(_ name: String, _ octets: [UInt8]) throws {
        let descriptor = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        try #require(descriptor >= 0)
        Descriptor.write(octets, to: descriptor)
        close(descriptor)
    }

    var names: [String] {
        guard let handle = opendir(path) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            names.append(withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names.filter { $0 != "." && $0 != ".." }.sorted()
    }
}
