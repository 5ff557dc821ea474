import Glibc
import JSONText
import Synchronization
import Testing
import Topology

@testable import Lab

/// The executable that is built beside the tests; it is the guard of the labs in them.
let sipcoreExecutable: String = {
    var path = [CChar](repeating: 0, count: 4096)
    let count = max(readlink("/proc/self/exe", &path, path.count - 1), 0)
    let test = String(decoding: path.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    // Under `swift test` the tests are a bundle of the build folder, or are loaded by a helper that names it.
    let candidates = ([test] + CommandLine.arguments).map { $0.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/sipcore" }
    return candidates.first { access($0, X_OK) == 0 } ?? "sipcore"
}()

/// A folder that is removed with what is in it.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/sipcore-lab-tests-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { TemporaryFolder.remove(path) }

    private static func remove(_ path: String) {
        guard let folder = opendir(path) else { return }
        while let item = readdir(folder) {
            let name = entryName(item)
            if name == "." || name == ".." { continue }
            // What is no file is a folder.
            if unlink("\(path)/\(name)") != 0 { remove("\(path)/\(name)") }
        }
        closedir(folder)
        rmdir(path)
    }

    func write(_ name: String, _ text: String, isExecutable: Bool = false) throws -> String {
        let file = "\(path)/\(name)"
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, isExecutable ? 0o755 : 0o644)
        try #require(descriptor >= 0)
        #expect(writeAll(text, to: descriptor))
        close(descriptor)
        return file
    }

    func read(_ name: String) -> String? {
        let descriptor = open("\(path)/\(name)", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var content: [UInt8] = []
        while let bytes = readSome(descriptor), !bytes.isEmpty { content += bytes }
        return String(decoding: content, as: UTF8.self)
    }
}

/// Polls until it holds; the bound is generous, and no test passes for having waited.
func eventually(_ condition: () async -> Bool) async -> Bool {
    for _ in 0..<1000 {
        if await condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return false
}

func isAlive(_ pid: pid_t) -> Bool {
    guard let stat = fileContent("/proc/\(pid)/stat") else { return false }
    return ProcessTree.Entry(pid: pid, stat: stat) != nil
}

private func fileContent(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return readSome(descriptor)
}

func shell(_ script: String, node: String = "node", environment: [String: String] = [:]) -> ProcessSpec {
    ProcessSpec(node: node, arguments: ["/bin/sh", "-c", script], environment: environment, folder: "/tmp")
}

func smallTopology(folder: String = "/tmp") -> Topology {
    var core = CoreSettings()
    core.listen = [ListenAddress(transport: .udp, host: "127.0.0.1", port: 0), ListenAddress(transport: .tcp, host: "127.0.0.1", port: 0)]
    var topology = Topology(file: "lab.yaml", folder: folder, domain: "home1.test", core: core)
    for (name, password) in [("alice", "wonderland"), ("bob", "builder")] {
        topology.subscribers.append(
            Subscriber(
                name: NamePattern(name),
                privateIdentities: [PrivateIdentity(identity: NameTemplate("{name}@home1.test"), password: NameTemplate(password))],
                publicIdentities: [PublicIdentity(uri: NameTemplate("sip:{name}@home1.test"))]))
    }
    return topology
}

/// A message as the core's HTTP interface tells it.
func messageJSON(
    _ sequence: Int, _ direction: String, _ remote: String, _ startLine: String, method: String, status: Int? = nil,
    peer: String? = nil, headers: [(String, String)] = [], body: String = ""
) -> JSON {
    .members([
        "sequence": .integer(Int64(sequence)), "time": .text("2026-01-01T00:00:00.00000\(sequence % 10)Z"),
        "direction": .text(direction), "transport": .text("udp"), "peer": peer.map(JSON.text) ?? .null,
        "remote": .text(remote), "start_line": .text(startLine), "method": .text(method),
        "status": status.map { .integer(Int64($0)) }, "call_id": .text("c1"),
        "headers": .list(headers.map { .list([.text($0.0), .text($0.1)]) }), "body": .text(body),
    ])
}

func message(
    _ sequence: Int, _ direction: String, _ remote: String, _ startLine: String, method: String, status: Int? = nil,
    peer: String? = nil, headers: [(String, String)] = [], body: String = ""
) throws -> RecordedMessage {
    try #require(
        RecordedMessage(
            messageJSON(
                sequence, direction, remote, startLine, method: method, status: status, peer: peer, headers: headers, body: body)))
}

/// An HTTP server of a few lines that plays the core: what is put into it comes out under `/api/messages`, and it keeps what
/// it is asked to do.
final class FakeCore: Sendable {
    let address: HostAndPort
    private let listener: Int32
    private let messages = Mutex<[JSON]>([])
    private let calls = Mutex<[String]>([])
    private let clockIsReal: Bool

    init(clockIsReal: Bool = false) throws {
        self.clockIsReal = clockIsReal
        let bound = try #require(boundSocket(to: HostAndPort(host: "127.0.0.1", port: 0), type: SOCK_STREAM))
        listener = bound.descriptor
        address = HostAndPort(host: "127.0.0.1", port: bound.port)
        try #require(listen(listener, 64) == 0)
        let descriptor = listener
        Thread.start { [weak self] in
            while case let connection = accept(descriptor, nil, nil), connection >= 0 {
                self?.answer(connection)
                close(connection)
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    func record(_ message: JSON) { messages.withLock { $0.append(message) } }

    /// What was asked beside messages and registrations: method, path and body.
    var orders: [String] { calls.withLock { $0 } }

    private func answer(_ connection: Int32) {
        guard let request = readSome(connection) else { return }
        let text = String(decoding: request, as: UTF8.self)
        guard let line = text.split(separator: "\r\n").first else { return }
        let words = line.split(separator: " ").map(String.init)
        guard words.count == 3 else { return }
        let body = text.firstRange(of: "\r\n\r\n").map { String(text[$0.upperBound...]) } ?? ""
        let (status, answer) = answer(words[0], words[1], body)
        let content = answer?.description ?? ""
        writeAll(
            "HTTP/1.1 \(status) X\r\nContent-Type: application/json\r\nX-Kind: fake\r\nContent-Length: \(content.utf8.count)\r\n\r\n\(content)",
            to: connection)
    }

    private func answer(_ method: String, _ path: String, _ body: String) -> (status: Int, body: JSON?) {
        if path.hasPrefix("/api/messages") {
            let since = path.firstRange(of: "since=").flatMap { Int(path[$0.upperBound...].prefix { $0.isNumber }) } ?? 0
            let recorded = messages.withLock { all in all.filter { ($0["sequence"]?.integer ?? 0) > since } }
            return (200, .members(["messages": .list(recorded), "next": .integer(0)]))
        }
        if path.hasPrefix("/api/registrations") { return (200, .members(["registrations": .list([])])) }
        calls.withLock { $0.append("\(method) \(path)" + (body.isEmpty ? "" : " \(body)")) }
        switch (method, path) {
        case ("POST", "/api/clock/advance"):
            return clockIsReal ? (409, .members(["error": .text("the clock is real; write clock: virtual")])) : (200, .object([]))
        case ("POST", "/api/faults"): return (201, .members(["id": .integer(7)]))
        case ("GET", "/api/faults"):
            return (200, .members(["faults": .list([.members(["id": .integer(7), "hits": .integer(2)])])]))
        case ("POST", "/api/reset"):
            messages.withLock { $0 = [] }
            return (204, nil)
        case ("DELETE", _): return (204, nil)
        case (_, "/echo"): return (201, .members(["said": JSON(body.utf8) ?? .text(body), "list": .list([.integer(1), .boolean(true)])]))
        default: return (404, .members(["error": .text("nothing here")]))
        }
    }
}

private enum Thread {
    static func start(_ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Box(body))
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { context in
                if let context { Unmanaged<Box>.fromOpaque(context).takeRetainedValue().body() }
                return nil
            }, box.toOpaque())
        pthread_detach(thread)
    }

    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}

/// Counts calls.
final class Counter: Sendable {
    private let number = Mutex(0)
    var count: Int { number.withLock { $0 } }
    func add() { number.withLock { $0 += 1 } }
}
