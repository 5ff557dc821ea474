// How other threads reach a shard: letters in a list under a lock, and an eventfd that ends its sleep.

import CNodeIO
import Glibc
import Synchronization

/// Letters to a thread, read in the order of their posting.
final class Mailbox<Letter: Sendable>: Sendable {
    private struct Contents {
        var letters: [Letter] = []
        var isClosed = false
    }

    /// Readable while letters wait.
    let descriptor: Int32
    private let contents = Mutex(Contents())

    init() throws(SystemFailure) {
        descriptor = try SystemFailure.check("eventfd", eventfd(0, Int32(NODE_IO_EVENTFD_FLAGS)))
    }

    deinit { Glibc.close(descriptor) }

    /// Posts a letter; false if the reader has left, and the letter will not be read.
    @discardableResult
    func post(_ letter: Letter) -> Bool {
        let (isPosted, isFirst) = contents.withLock { contents in
            guard !contents.isClosed else { return (false, false) }
            contents.letters.append(letter)
            return (true, contents.letters.count == 1)
        }
        if isFirst { wake() }
        return isPosted
    }

    /// Ends the reader's sleep.
    func wake() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Takes all letters that wait, into an array that is empty: the two change places, so both keep their memory.
    func takeAll(into letters: inout [Letter]) {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
        contents.withLock { swap(&$0.letters, &letters) }
    }

    /// Takes the last letters and accepts no more.
    func close() -> [Letter] {
        contents.withLock { contents in
            contents.isClosed = true
            defer { contents.letters = [] }
            return contents.letters
        }
    }
}
