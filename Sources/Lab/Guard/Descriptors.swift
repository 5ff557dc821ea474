// The few calls on file descriptors and processes that guard and lab share.

import CProcess
import Glibc

/// Both ends of a pipe; neither is inherited by a started program.
struct Pipe {
    let reading: Int32
    let writing: Int32

    init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        reading = ends[0]
        writing = ends[1]
    }
}

func setNonBlocking(_ descriptor: Int32) {
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
}

/// What there is to read: empty at the end (or after an error), nil if there is nothing now.
func readSome(_ descriptor: Int32, limit: Int = 65536) -> [UInt8]? {
    while true {
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, initialized in
            count = read(descriptor, buffer.baseAddress, limit)
            initialized = max(count, 0)
        }
        if count >= 0 { return bytes }
        if errno == EINTR { continue }
        return errno == EAGAIN ? nil : []
    }
}

/// Writes all of it, waiting where it must; false if nobody reads any more.
@discardableResult
func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var written = 0
    while written < bytes.count {
        let count = bytes[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count > 0 {
            written += count
        } else if errno == EAGAIN {
            var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            _ = poll(&entry, 1, -1)
        } else if errno != EINTR {
            return false
        }
    }
    return true
}

@discardableResult
func writeAll(_ text: String, to descriptor: Int32) -> Bool { writeAll(Array(text.utf8), to: descriptor) }

/// The name of an entry of a folder.
func entryName(_ entry: UnsafeMutablePointer<dirent>) -> String {
    withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

/// Removes a folder and the files in it.
func removeFolder(_ path: String) {
    guard let folder = opendir(path) else { return }
    while let item = readdir(folder) { unlink("\(path)/\(entryName(item))") }
    closedir(folder)
    rmdir(path)
}

/// Makes a folder, and those above it; why that cannot be, or nil.
func makeFolders(_ path: String) -> String? {
    if mkdir(path, 0o777) == 0 || errno == EEXIST { return nil }
    let code = errno
    guard code == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return String(cString: strerror(code)) }
    if let reason = makeFolders(String(path[..<slash])) { return reason }
    return mkdir(path, 0o777) == 0 || errno == EEXIST ? nil : String(cString: strerror(errno))
}

/// Writes a whole file in one move, so that nobody reads half of it; why that cannot be, or nil.
func replaceFile(_ path: String, with text: String) -> String? {
    let draft = "\(path).\(getpid())"
    let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    let isWritten = descriptor >= 0 && writeAll(text, to: descriptor)
    let code = errno
    if descriptor >= 0 { close(descriptor) }
    if isWritten, rename(draft, path) == 0 { return nil }
    let reason = String(cString: strerror(isWritten ? errno : code))
    unlink(draft)
    return "\(path): \(reason)"
}

func monotonicMilliseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
}

func ownEnvironment() -> [String: String] {
    var result: [String: String] = [:]
    guard var cursor = cprocess_environment() else { return result }
    while let entry = cursor.pointee {
        let pair = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        if pair.count == 2 { result[String(pair[0])] = String(pair[1]) }
        cursor += 1
    }
    return result
}

/// The process id, or the negative `errno`.
func spawn(
    _ arguments: [String], environment: [String: String], folder: String?, input: Int32, output: Int32, errors: Int32, flags: Int32
) -> pid_t {
    withCStrings(arguments) { argumentList in
        withCStrings(environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }) { environmentList in
            guard let folder else { return cprocess_spawn(argumentList, environmentList, nil, input, output, errors, flags) }
            return folder.withCString { cprocess_spawn(argumentList, environmentList, $0, input, output, errors, flags) }
        }
    }
}

private func withCStrings<Result>(_ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result) -> Result {
    var list = texts.map { strdup($0) }
    list.append(nil)
    defer { for text in list { free(text) } }
    return body(list)
}
