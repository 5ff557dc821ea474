// `sipcore lab --watch`: the lab anew whenever one of the files that it came from has changed.

import Glibc
import Synchronization

/// Files and what they were when they were read.
public final class WatchedFiles: Sendable {
    /// What tells that a file is another than it was.
    private struct Stamp: Equatable {
        var inode: UInt
        var size: Int
        var seconds: Int
        var nanoseconds: Int

        /// nil: there is no such file.
        init?(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            inode = status.st_ino
            size = status.st_size
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
        }
    }

    private let stamps = Mutex<[String: Stamp?]>([:])

    public init() {}

    /// Has to be called before the file is read, so that no change is missed.
    public func add(_ path: String) {
        let stamp = Stamp(path)
        stamps.withLock { if $0[path] == nil { $0[path] = .some(stamp) } }
    }

    /// Those that are not what they were.
    var changed: [String] {
        stamps.withLock { $0 }.filter { Stamp($0.key) != $0.value }.map(\.key).sorted()
    }

    /// The same files as they are now.
    fileprivate func again() -> WatchedFiles {
        let next = WatchedFiles()
        for path in stamps.withLock({ $0.keys }) { next.add(path) }
        return next
    }
}

/// Runs labs one after the other, until it is interrupted.
public struct LabWatch: Sendable {
    private let load: @Sendable (WatchedFiles) -> LabOptions?
    private static let interval = Duration.milliseconds(300)

    /// - Parameter load: reads the files, each of which it adds before it reads it. nil: something is wrong with them, and it
    ///   has said so.
    public init(load: @escaping @Sendable (WatchedFiles) -> LabOptions?) { self.load = load }

    /// - Returns: 0, once SIGINT or SIGTERM has come.
    public func run() async -> Int32 {
        let interruption = Interruption()
        let signals = InterruptSignals { interruption.fire() }
        defer { signals.stop() }
        await run(until: interruption)
        return 0
    }

    func run(until interruption: Interruption) async {
        while !interruption.isFired {
            let files = WatchedFiles()
            let options = load(files)
            let end = Interruption()
            interruption.add { end.fire() }
            let lab = Task {
                if let options { _ = await LabRun(options).run(until: end) }
                if !end.isFired { LabConsole.standard.complain("waiting for a change; Ctrl-C ends") }
            }
            let changed = await change(of: files, until: interruption)
            end.fire()
            await lab.value
            if let first = changed.first { LabConsole.standard.complain("\(first) has changed") }
        }
    }

    /// Waits until files have changed and then stay as they are: an editor may write in several steps.
    private func change(of files: WatchedFiles, until interruption: Interruption) async -> [String] {
        while files.changed.isEmpty {
            if interruption.isFired { return [] }
            try? await Task.sleep(for: LabWatch.interval)
        }
        let changed = files.changed
        var now = files.again()
        while !interruption.isFired {
            try? await Task.sleep(for: LabWatch.interval)
            if now.changed.isEmpty { break }
            now = now.again()
        }
        return changed
    }
}
