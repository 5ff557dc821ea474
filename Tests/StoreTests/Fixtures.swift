import Glibc
import SansIO
import Testing

@testable import Store

/// A folder that is gone with the last reference to it.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/sipcore-store-XXXXXX".utf8CString)
        path = try #require(template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!) }.map { String(cString: $0) })
    }

    deinit {
        for name in ["a.sqlite", "b.sqlite"] {
            for suffix in ["", "-wal", "-shm", "-journal"] { unlink("\(path)/\(name)\(suffix)") }
        }
        rmdir(path)
    }

    var file: String { "\(path)/a.sqlite" }
    var copy: String { "\(path)/b.sqlite" }

    /// Copies the database as a crash at this moment would leave it.
    func copyFiles() throws {
        for suffix in ["", "-wal"] {
            guard let source = fopen(file + suffix, "r") else { continue }
            defer { fclose(source) }
            let target = try #require(fopen(copy + suffix, "w"))
            defer { fclose(target) }
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let count = fread(&buffer, 1, buffer.count, source)
                if count == 0 { break }
                #expect(fwrite(buffer, 1, count, target) == count)
            }
        }
    }

    func write(_ octets: [UInt8]) throws {
        let target = try #require(fopen(file, "w"))
        defer { fclose(target) }
        #expect(fwrite(octets, 1, octets.count, target) == octets.count)
    }

    func open(
        _ path: String? = nil, role: String = "core", tables: [UInt8: String] = [1: "bindings", 2: "subscribers"],
        mergeSettings: MergeSettings = MergeSettings(), log: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> Store {
        try Store.open(path ?? file, role: role, tables: tables, mergeSettings: mergeSettings, log: log)
    }
}

/// Changes with the octets that they refer to.
enum Changes {
    enum Change {
        case put(UInt8, String, String)
        case remove(UInt8, String)
    }

    /// Changes with the tickets from this one on.
    static func make(_ changes: [Change], from ticket: UInt64) -> (changes: [StoreChange], octets: [UInt8]) {
        var lane = StoreLane()
        for (index, change) in changes.enumerated() {
            switch change {
            case .put(let table, let key, let value):
                let (key, value) = (Array(key.utf8), Array(value.utf8))
                lane.put(table: table, key: key.span.bytes, value: value.span.bytes, ticket: ticket + UInt64(index))
            case .remove(let table, let key):
                let key = Array(key.utf8)
                lane.remove(table: table, key: key.span.bytes, ticket: ticket + UInt64(index))
            }
        }
        return (lane.changes, [UInt8](lane.bytes.bytes))
    }
}

extension Store {
    /// Commits and waits for it.
    @discardableResult
    func commit(_ changes: Changes.Change..., from ticket: UInt64 = 1, failuresKnown: UInt64 = 0) async -> (ticket: UInt64, Bool) {
        await commit(changes, from: ticket, failuresKnown: failuresKnown)
    }

    @discardableResult
    func commit(_ changes: [Changes.Change], from ticket: UInt64, failuresKnown: UInt64 = 0) async -> (ticket: UInt64, Bool) {
        let made = Changes.make(changes, from: ticket)
        return await withCheckedContinuation { continuation in
            commit(made.changes, octets: made.octets, failuresKnown: failuresKnown) { continuation.resume(returning: ($0, $1)) }
        }
    }

    func reset(keeping kept: Set<UInt8> = []) async -> StoreFailure? {
        await withCheckedContinuation { continuation in reset(keeping: kept) { continuation.resume(returning: $0) } }
    }

    /// Writes one entry, or removes it.
    func write(_ table: UInt8, _ key: String, _ value: String?) async -> StoreFailure? {
        await write([Write(table: table, key: Array(key.utf8), value: value.map { Array($0.utf8) })])
    }

    /// Writes entries in one commit.
    func write(_ writes: [Write]) async -> StoreFailure? {
        await withCheckedContinuation { continuation in write(writes) { continuation.resume(returning: $0) } }
    }

    /// `key=value` of each entry.
    func texts(_ table: UInt8, in order: Order = .key) throws -> [String] {
        try load(table, in: order).map { "\(String(decoding: $0.key, as: UTF8.self))=\(String(decoding: $0.value, as: UTF8.self))" }
    }
}
