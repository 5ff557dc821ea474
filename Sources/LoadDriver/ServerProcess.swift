// What a server costs: processor time and memory of a process and of all below it, as /proc and the system's clocks tell.

import CNodeIO
import Glibc
public import SansIO

/// A process of this machine and its descendants.
public struct ServerProcess: Hashable, Sendable {
    public let pid: Int32
    public init(pid: Int32) { self.pid = pid }

    /// Whether it is there, a zombie included.
    public var exists: Bool { kill(pid, 0) == 0 || errno == EPERM }

    /// User and system time of the processes alive, since each was started; those that ended are no longer counted.
    public var processorTime: TimeSpan {
        var sum: Int64 = 0
        for pid in tree {
            var clock: clockid_t = 0
            var time = timespec()
            guard clock_getcpuclockid(pid, &clock) == 0, clock_gettime(clock, &time) == 0 else { continue }
            sum += Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        }
        return TimeSpan(nanoseconds: sum)
    }

    /// The most memory that one process of them has had resident, in KiB.
    public var peakResidentKiB: Int { tree.map { ServerProcess.field("VmHWM:", of: "/proc/\($0)/status") }.max() ?? 0 }

    /// The memory that they have resident together, in KiB: pages that several share are counted once.
    public var residentKiB: Int { tree.reduce(0) { $0 + ServerProcess.field("Pss:", of: "/proc/\($1)/smaps_rollup") } }

    /// The process and all below it.
    public var tree: [Int32] {
        var found = [pid]
        var next = 0
        while next < found.count {
            for thread in ServerProcess.names(in: "/proc/\(found[next])/task") {
                let children = ServerProcess.text(of: "/proc/\(found[next])/task/\(thread)/children") ?? ""
                found += children.split(separator: " ").compactMap { Int32($0) }.filter { !found.contains($0) }
            }
            next += 1
        }
        return found
    }

    private static func field(_ name: String, of path: String) -> Int {
        for line in (text(of: path) ?? "").split(separator: "\n") where line.hasPrefix(name) {
            return line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        }
        return 0
    }

    private static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    private static func text(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var octets: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = read(descriptor, &piece, piece.count)
            guard count > 0 else { return String(decoding: octets, as: UTF8.self) }
            octets += piece[..<count]
        }
    }
}
