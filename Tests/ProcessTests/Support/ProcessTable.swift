// The processes of the system, as /proc tells of them.

import Foundation
import Glibc

/// One process. A number may be given anew; with the time of the start it is never the same.
struct ProcessIdentity: Hashable {
    let pid: pid_t
    let start: UInt64

    var isAlive: Bool { ProcessTable.entry(pid).map { $0.identity == self && !$0.isZombie } ?? false }
}

enum ProcessTable {
    struct Entry {
        let identity: ProcessIdentity
        let parent: pid_t
        let isZombie: Bool
    }

    /// Nil: no such process.
    static func entry(_ pid: pid_t) -> Entry? {
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return nil }
        // The name stands in parentheses and may hold anything.
        let text = String(decoding: data, as: UTF8.self)
        guard let name = text.lastIndex(of: ")") else { return nil }
        let fields = text[name...].dropFirst(2).split(separator: " ")
        guard fields.count > 19, let parent = pid_t(fields[1]), let start = UInt64(fields[19]) else { return nil }
        return Entry(identity: ProcessIdentity(pid: pid, start: start), parent: parent, isZombie: "ZX".contains(fields[0]))
    }

    /// All processes below one.
    static func descendants(of pid: pid_t) -> Set<ProcessIdentity> {
        let pids = ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }
        let entries = pids.compactMap(entry)
        var found: Set<ProcessIdentity> = []
        var parents: Set<pid_t> = [pid]
        while !parents.isEmpty {
            let children = entries.filter { parents.contains($0.parent) && !found.contains($0.identity) }
            found.formUnion(children.map(\.identity))
            parents = Set(children.map(\.identity.pid))
        }
        return found
    }
}
