// Who descends from whom, by the kernel's account in /proc (proc(5)).

import Glibc

/// The processes of one moment.
struct ProcessTree {
    struct Entry: Equatable {
        var pid: pid_t
        var parent: pid_t
        var group: pid_t
    }
    var entries: [Entry]

    static func snapshot() -> ProcessTree {
        guard let folder = opendir("/proc") else { return ProcessTree(entries: []) }
        defer { closedir(folder) }
        var entries: [Entry] = []
        while let item = readdir(folder) {
            guard let pid = pid_t(entryName(item)), let stat = wholeFile("/proc/\(pid)/stat"), let entry = Entry(pid: pid, stat: stat)
            else {
                continue
            }
            entries.append(entry)
        }
        return ProcessTree(entries: entries)
    }

    /// Children, their children and so on; parents come before their children. The dead that wait to be reaped are not
    /// among them.
    func descendants(of root: pid_t) -> [pid_t] {
        let children = Dictionary(grouping: entries, by: \.parent)
        var found: [pid_t] = []
        var next = [root]
        while let parent = next.popLast() {
            let below = (children[parent] ?? []).map(\.pid).filter { $0 != root }
            found += below
            next += below
        }
        return found
    }

    /// What is alive of a node: its process group, and every descendant of this process that has the node's mark in its
    /// environment.
    func members(ofNode name: String, leader: pid_t) -> [pid_t] {
        let mark = Array("\(GuardedNode.mark)=\(name)".utf8)
        let ours = Set(descendants(of: getpid()))
        return entries.filter { ours.contains($0.pid) && ($0.group == leader || ProcessTree.environment(of: $0.pid, has: mark)) }
            .map(\.pid)
    }

    private static func environment(of pid: pid_t, has mark: [UInt8]) -> Bool {
        guard let environment = wholeFile("/proc/\(pid)/environ") else { return false }
        return environment.split(separator: 0).contains { $0.elementsEqual(mark) }
    }
}

extension ProcessTree.Entry {
    /// Reads `/proc/PID/stat`: `pid (name) state ppid pgrp ...`, where the name may hold anything. nil for a zombie.
    init?(pid: pid_t, stat: [UInt8]) {
        guard let nameEnd = stat.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = stat[(nameEnd + 1)...].split(separator: UInt8(ascii: " ")).prefix(3)
            .map { String(decoding: $0, as: UTF8.self) }
        guard fields.count == 3, fields[0] != "Z", fields[0] != "X", let parent = pid_t(fields[1]), let group = pid_t(fields[2])
        else { return nil }
        self.init(pid: pid, parent: parent, group: group)
    }
}

/// A whole small file, or nil if it is gone.
private func wholeFile(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var content: [UInt8] = []
    while let bytes = readSome(descriptor), !bytes.isEmpty { content += bytes }
    return content
}
