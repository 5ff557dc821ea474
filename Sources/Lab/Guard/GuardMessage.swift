// What the lab and its guard say to each other over two pipes. A frame is its length (4 bytes), its kind (1 byte) and
// its fields; numbers are little-endian, a text is its length and its UTF-8.

/// What the lab asks of its guard. Closing the pipe asks for the end of everything.
enum GuardCommand: Sendable, Equatable {
    case start(ProcessSpec)
    /// SIGTERM, and SIGKILL for what is left of the node after the grace period.
    case stop(node: String, graceMilliseconds: Int32)
    /// Bytes for the node's standard input.
    case write(node: String, bytes: [UInt8])
}

/// What the guard tells the lab.
enum GuardEvent: Sendable, Equatable {
    case started(node: String, pid: Int32)
    /// The program could not be started; `code` is an `errno`.
    case startFailed(node: String, code: Int32)
    case output(node: String, stream: OutputStream, bytes: [UInt8])
    /// The node's process has ended, and so has everything that it had started.
    case ended(node: String, cause: EndCause)
}

enum OutputStream: UInt8, Sendable {
    case standard = 1
    case error = 2
}

/// How a process ended.
enum EndCause: Sendable, Equatable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    var description: String {
        switch self {
        case .exited(let status): "ended with status \(status)"
        case .signalled(let number): "ended by signal \(number)"
        }
    }
}

/// A program to run as a node.
struct ProcessSpec: Sendable, Equatable {
    var node: String
    /// The program comes first; without a slash it is looked for in PATH.
    var arguments: [String]
    /// Beside the lab's own environment, and before it.
    var environment: [String: String] = [:]
    /// Absolute path of the working folder.
    var folder: String
    /// Whether its standard input stays open, for lines to it; else it is at its end.
    var takesInput = true
}

/// Why a pipe between the lab and its guard cannot be read on.
struct MalformedFrame: Error {}

extension GuardCommand {
    var frame: [UInt8] {
        var writer = FrameWriter()
        switch self {
        case .start(let spec):
            writer.kind(1)
            writer.text(spec.node)
            writer.text(spec.folder)
            writer.texts(spec.arguments)
            writer.texts(spec.environment.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] })
            writer.kind(spec.takesInput ? 1 : 0)
        case .stop(let node, let grace):
            writer.kind(2)
            writer.text(node)
            writer.number(grace)
        case .write(let node, let bytes):
            writer.kind(3)
            writer.text(node)
            writer.bytes(bytes)
        }
        return writer.frame
    }

    init(_ payload: [UInt8]) throws(MalformedFrame) {
        var reader = FrameReader(payload)
        switch try reader.kind() {
        case 1:
            var spec = ProcessSpec(node: try reader.text(), arguments: [], folder: try reader.text())
            spec.arguments = try reader.texts()
            let pairs = try reader.texts()
            guard !spec.arguments.isEmpty, pairs.count.isMultiple(of: 2) else { throw MalformedFrame() }
            for index in stride(from: 0, to: pairs.count, by: 2) { spec.environment[pairs[index]] = pairs[index + 1] }
            spec.takesInput = try reader.kind() == 1
            self = .start(spec)
        case 2: self = .stop(node: try reader.text(), graceMilliseconds: try reader.number())
        case 3: self = .write(node: try reader.text(), bytes: try reader.bytes())
        default: throw MalformedFrame()
        }
    }
}

extension GuardEvent {
    var frame: [UInt8] {
        var writer = FrameWriter()
        switch self {
        case .started(let node, let pid):
            writer.kind(1)
            writer.text(node)
            writer.number(pid)
        case .startFailed(let node, let code):
            writer.kind(2)
            writer.text(node)
            writer.number(code)
        case .output(let node, let stream, let bytes):
            writer.kind(3)
            writer.text(node)
            writer.kind(stream.rawValue)
            writer.bytes(bytes)
        case .ended(let node, let cause):
            writer.kind(4)
            writer.text(node)
            switch cause {
            case .exited(let status):
                writer.kind(0)
                writer.number(status)
            case .signalled(let number):
                writer.kind(1)
                writer.number(number)
            }
        }
        return writer.frame
    }

    init(_ payload: [UInt8]) throws(MalformedFrame) {
        var reader = FrameReader(payload)
        switch try reader.kind() {
        case 1: self = .started(node: try reader.text(), pid: try reader.number())
        case 2: self = .startFailed(node: try reader.text(), code: try reader.number())
        case 3:
            let node = try reader.text()
            guard let stream = OutputStream(rawValue: try reader.kind()) else { throw MalformedFrame() }
            self = .output(node: node, stream: stream, bytes: try reader.bytes())
        case 4:
            let node = try reader.text()
            let isSignal = try reader.kind() == 1
            let number = try reader.number()
            self = .ended(node: node, cause: isSignal ? .signalled(number) : .exited(number))
        default: throw MalformedFrame()
        }
    }
}

/// Cuts a stream of bytes into the payloads of its frames.
struct FrameSplitter {
    private var pending: [UInt8] = []
    /// Nothing that is sent comes near it: a command line is at most 2 MiB, an output at most 64 KiB.
    static let largestPayload = 16 << 20

    mutating func append(_ bytes: some Sequence<UInt8>) { pending.append(contentsOf: bytes) }

    mutating func next() throws(MalformedFrame) -> [UInt8]? {
        guard pending.count >= 4 else { return nil }
        let length = pending[..<4].reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= FrameSplitter.largestPayload else { throw MalformedFrame() }
        guard pending.count >= 4 + length else { return nil }
        let payload = Array(pending[4..<(4 + length)])
        pending.removeFirst(4 + length)
        return payload
    }
}

private struct FrameWriter {
    private var content: [UInt8] = [0, 0, 0, 0]

    mutating func kind(_ value: UInt8) { content.append(value) }
    mutating func number(_ value: Int32) {
        let bits = UInt32(bitPattern: value)
        for shift in stride(from: UInt32(0), to: 32, by: 8) { content.append(UInt8(truncatingIfNeeded: bits >> shift)) }
    }
    mutating func bytes(_ value: [UInt8]) {
        number(Int32(value.count))
        content.append(contentsOf: value)
    }
    mutating func text(_ value: String) { bytes(Array(value.utf8)) }
    mutating func texts(_ values: [String]) {
        number(Int32(values.count))
        for value in values { text(value) }
    }

    var frame: [UInt8] {
        var result = content
        let length = UInt32(content.count - 4)
        for index in 0..<4 { result[index] = UInt8(truncatingIfNeeded: length >> UInt32(8 * index)) }
        return result
    }
}

private struct FrameReader {
    private var rest: ArraySlice<UInt8>
    init(_ payload: [UInt8]) { rest = payload[...] }

    mutating func kind() throws(MalformedFrame) -> UInt8 {
        guard let value = rest.popFirst() else { throw MalformedFrame() }
        return value
    }
    mutating func number() throws(MalformedFrame) -> Int32 {
        guard rest.count >= 4 else { throw MalformedFrame() }
        let value = rest.prefix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        rest = rest.dropFirst(4)
        return Int32(bitPattern: value)
    }
    mutating func bytes() throws(MalformedFrame) -> [UInt8] {
        let count = Int(try number())
        guard count >= 0, count <= rest.count else { throw MalformedFrame() }
        let value = Array(rest.prefix(count))
        rest = rest.dropFirst(count)
        return value
    }
    mutating func text() throws(MalformedFrame) -> String { String(decoding: try bytes(), as: UTF8.self) }
    mutating func texts() throws(MalformedFrame) -> [String] {
        let count = try number()
        guard count >= 0, Int(count) <= rest.count / 4 else { throw MalformedFrame() }
        var values: [String] = []
        for _ in 0..<count { values.append(try text()) }
        return values
    }
}
