// Files and standard streams by their descriptors: nothing else is wanted of a file here than all of it.

import Glibc

/// What the system says about a file.
struct FileFailure: Error, Equatable {
    var code: Int32
    var reason: String { String(cString: strerror(code)) }
}

enum Descriptor {
    /// Everything that a file holds.
    static func contents(of path: String) throws(FileFailure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFailure(code: errno) }
        defer { close(descriptor) }
        var contents: [UInt8] = []
        while true {
            let piece = try some(from: descriptor)
            if piece.isEmpty { return contents }
            contents += piece
        }
    }

    /// The next octets there are, waiting for them; empty at the end.
    static func some(from descriptor: Int32, limit: Int = 65536) throws(FileFailure) -> [UInt8] {
        while true {
            var count = 0
            var code: Int32 = 0
            let piece = [UInt8](unsafeUninitializedCapacity: limit) { buffer, initialized in
                count = read(descriptor, buffer.baseAddress, limit)
                code = errno
                initialized = max(count, 0)
            }
            if count >= 0 { return piece }
            if code == EAGAIN {
                wait(for: POLLIN, on: descriptor)
            } else if code != EINTR {
                throw FileFailure(code: code)
            }
        }
    }

    /// Writes all of it, waiting where it must; false if nobody reads any more.
    @discardableResult
    static func write(_ octets: some Collection<UInt8>, to descriptor: Int32) -> Bool {
        let octets = Array(octets)
        var written = 0
        while written < octets.count {
            let (count, code) = octets[written...].withUnsafeBytes { (Glibc.write(descriptor, $0.baseAddress, $0.count), errno) }
            if count > 0 {
                written += count
            } else if code == EAGAIN {
                wait(for: POLLOUT, on: descriptor)
            } else if code != EINTR {
                return false
            }
        }
        return true
    }

    @discardableResult
    static func write(_ text: String, to descriptor: Int32) -> Bool { write(text.utf8, to: descriptor) }

    /// Puts a file in place of what was there in one move, so that nobody reads half of it.
    static func replace(_ path: String, with octets: some Collection<UInt8>) throws(FileFailure) {
        let draft = "\(path).\(getpid())"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileFailure(code: errno) }
        let isWritten = write(octets, to: descriptor)
        let code = errno
        close(descriptor)
        guard isWritten else {
            unlink(draft)
            throw FileFailure(code: code)
        }
        guard rename(draft, path) == 0 else {
            let failure = FileFailure(code: errno)
            unlink(draft)
            throw failure
        }
    }

    static func replace(_ path: String, with text: String) throws(FileFailure) { try replace(path, with: text.utf8) }

    private static func wait(for event: Int32, on descriptor: Int32) {
        var entry = pollfd(fd: descriptor, events: Int16(event), revents: 0)
        _ = poll(&entry, 1, -1)
    }
}
