// The database of a node: tables of keys and values on SQLite, one file, one process. Changes are committed in groups:
// whatever arrives while a transaction runs is in the next one, so its cost is shared. A group is appended to a journal
// and later merged into the table of entries, because an append costs a tenth of what a change at a random place does.

import GRDB
public import SansIO
import Synchronization

/// A node's stored state. It is used from any thread; what it does, it does on a thread of its own, in the order asked.
public final class Store: Sendable {
    /// A key with its value.
    public struct Entry: Hashable, Sendable {
        public var key: [UInt8]
        public var value: [UInt8]

        public init(key: [UInt8], value: [UInt8]) {
            self.key = key
            self.value = value
        }
    }

    public enum Order: Sendable {
        /// Keys octet by octet.
        case key
        /// The entry that was changed longest ago comes first.
        case lastChange
    }

    /// Told on the store's thread that changes are committed, or lost.
    public typealias Completion = @Sendable (_ ticket: UInt64, _ succeeded: Bool) -> Void

    /// Whether opening made the file: no process has served from it before.
    public let isNew: Bool
    private let path: String
    private let log: @Sendable (String) -> Void
    private let queue: DatabaseQueue
    private let inbox = Mutex(Inbox())
    private let journal: Mutex<Journal>

    /// Opens a database file, or makes one; an older version of the schema is brought to the present one.
    ///
    /// Until it is closed no other process can open the file.
    /// - Parameters:
    ///   - role: what kind of node owns the file; another kind is refused.
    ///   - tables: the name of each table's number. A file in which a number has another name is refused.
    ///   - log: takes a line about each failure after the opening, on the store's thread.
    public static func open(
        _ path: String, role: String, tables: [UInt8: String], log: @escaping @Sendable (String) -> Void
    ) throws(StoreFailure) -> Store {
        try open(path, role: role, tables: tables, mergeSettings: MergeSettings(), log: log)
    }

    static func open(
        _ path: String, role: String, tables: [UInt8: String], mergeSettings: MergeSettings, log: @escaping @Sendable (String) -> Void
    ) throws(StoreFailure) -> Store {
        try StoreFailure.checkPlace(of: path)
        let file = DatabaseFile(path: path, role: role, tables: tables)
        do {
            let (queue, isNew) = try file.open()
            let journal = try queue.inDatabase { try Journal($0, settings: mergeSettings) }
            return Store(path, isNew: isNew, queue, journal, log)
        } catch {
            throw StoreFailure(opening: path, error)
        }
    }

    private init(
        _ path: String, isNew: Bool, _ queue: DatabaseQueue, _ journal: Journal, _ log: @escaping @Sendable (String) -> Void
    ) {
        self.path = path
        self.isNew = isNew
        self.queue = queue
        self.journal = Mutex(journal)
        self.log = log
    }

    /// The entries of a table as of the last commit; for the start of a node.
    public func load(_ table: UInt8, in order: Order = .key) throws(StoreFailure) -> [Entry] {
        guard !inbox.withLock({ $0.isClosed }) else { throw StoreFailure(.closed, "the database \(path) is closed") }
        do {
            return try queue.inDatabase { db in try journal.withLock { try $0.load(table, in: order, from: db) } }
        } catch {
            throw StoreFailure(using: path, error)
        }
    }

    /// Makes changes durable, in the order of the calls; they survive the death of the process once `completion` says so.
    ///
    /// If a commit fails, all that was handed in and not yet reported is dropped, and `completion` says so once. A caller
    /// may hand in more before it hears of that, built on what is lost; so each call tells of how many failures its
    /// caller has heard, and while that is not of all, it is dropped in silence. Later calls are committed again.
    /// - Parameters:
    ///   - changes: with rising tickets. If there are none, nothing happens.
    ///   - octets: the keys and values, to which the offsets of the changes refer.
    ///   - failuresKnown: how often `completion` has told the caller of a failure until these changes were made.
    ///   - completion: gets the last ticket of these changes, or after a failure the last of those dropped.
    public func commit(
        _ changes: [StoreChange], octets: [UInt8], failuresKnown: UInt64, completion: @escaping Completion
    ) {
        guard let last = changes.last else { return }
        let batch = Batch(changes: changes, octets: octets, failuresKnown: failuresKnown, lastTicket: last.ticket, completion: completion)
        if !enqueue(.commit(batch)) { completion(last.ticket, false) }
    }

    /// An entry that is written by itself.
    public struct Write: Sendable {
        public var table: UInt8
        public var key: [UInt8]
        /// nil removes the entry.
        public var value: [UInt8]?
        public init(table: UInt8, key: [UInt8], value: [UInt8]?) {
            self.table = table
            self.key = key
            self.value = value
        }
    }

    /// Makes entries durable, or removes them, all in one commit: in order with the commits of others but apart from them, so
    /// nothing else is lost if it fails, and a failure of others does not touch it.
    /// - Parameters:
    ///   - writes: one at least.
    ///   - completion: is told on the store's thread; nil: it succeeded.
    public func write(_ writes: [Write], completion: @escaping @Sendable (StoreFailure?) -> Void) {
        var lane = StoreLane()
        for write in writes {
            if let value = write.value {
                lane.put(table: write.table, key: write.key.span.bytes, value: value.span.bytes, ticket: 0)
            } else {
                lane.remove(table: write.table, key: write.key.span.bytes, ticket: 0)
            }
        }
        let batch = Batch(changes: lane.changes, octets: [UInt8](lane.bytes.bytes), failuresKnown: 0, lastTicket: 0) { _, _ in }
        if !enqueue(.write(batch, completion)) { completion(StoreFailure(.closed, "the database \(path) is closed")) }
    }

    /// Waits until all that was handed in before is committed or lost, and its makers have been told.
    public func settle() async {
        await withCheckedContinuation { continuation in
            if !enqueue(.settling { continuation.resume() }) { continuation.resume() }
        }
    }

    /// Removes the entries of tables, in order with the commits: those handed in before are gone, those after stay.
    /// - Parameters:
    ///   - kept: tables that stay as they are.
    ///   - completion: is told on the store's thread; nil: it succeeded.
    public func reset(keeping kept: Set<UInt8> = [], completion: @escaping @Sendable (StoreFailure?) -> Void) {
        if !enqueue(.reset(keeping: kept, completion)) { completion(StoreFailure(.closed, "the database \(path) is closed")) }
    }

    /// Commits what was handed in, brings all into the one file, and lets go of it. What is handed in afterwards fails.
    public func close() async throws(StoreFailure) {
        let isFirst = inbox.withLock { inbox in
            defer { inbox.isClosed = true }
            return !inbox.isClosed
        }
        guard isFirst else { return }
        let result: Result<Void, StoreFailure> = await withCheckedContinuation { continuation in
            queue.asyncWriteWithoutTransaction { db in
                // Work that was enqueued before has been done by now: the queue is serial.
                do {
                    try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)")
                    continuation.resume(returning: .success(()))
                } catch {
                    continuation.resume(returning: .failure(StoreFailure(using: self.path, error)))
                }
            }
        }
        do {
            try queue.close()
        } catch {
            throw StoreFailure(using: path, error)
        }
        try result.get()
    }

    /// Lets a test look into the database, or break it, between two groups.
    func inDatabase<T>(_ body: (Database) throws -> T) rethrows -> T { try queue.inDatabase(body) }

    /// The same from within a completion.
    func inRound<T>(_ body: (Database) throws -> T) rethrows -> T { try queue.unsafeReentrantWrite(body) }
}

// MARK: Groups

/// What waits for the store's thread.
private struct Inbox {
    var work: [Work] = []
    /// Whether the thread is at work, or has been asked to begin.
    var isDraining = false
    var isClosed = false
    /// Commits that failed so far.
    var failures: UInt64 = 0

    /// Takes out what waits. Changes made in ignorance of a failure are dropped: their maker has undone them, or will.
    mutating func take() -> [Work] {
        defer { work.removeAll(keepingCapacity: true) }
        return work.filter { work in
            guard case .commit(let batch) = work else { return true }
            return batch.failuresKnown >= failures
        }
    }
}

private enum Work: Sendable {
    case commit(Batch)
    case write(Batch, @Sendable (StoreFailure?) -> Void)
    case reset(keeping: Set<UInt8>, @Sendable (StoreFailure?) -> Void)
    case settling(@Sendable () -> Void)
}

struct Batch: Sendable {
    var changes: [StoreChange]
    var octets: [UInt8]
    var failuresKnown: UInt64
    var lastTicket: UInt64
    var completion: Store.Completion
}

extension Store {
    /// - Returns: false if the store is closed.
    private func enqueue(_ work: Work) -> Bool {
        enum Step { case refuse, wait, start }
        let step = inbox.withLock { inbox -> Step in
            guard !inbox.isClosed else { return .refuse }
            inbox.work.append(work)
            defer { inbox.isDraining = true }
            return inbox.isDraining ? .wait : .start
        }
        if step == .start { queue.asyncWriteWithoutTransaction { self.drain($0) } }
        return step != .refuse
    }

    /// Works until nothing waits. Merging goes on in small steps beside the commits, and when there are none.
    private func drain(_ db: Database) {
        while true {
            let (work, isClosed) = inbox.withLock { ($0.take(), $0.isClosed) }
            run(work, db)
            let hasMore = merge(db, besideCommits: !work.isEmpty, isClosed: isClosed)
            guard work.isEmpty, !hasMore else { continue }
            let isOver = inbox.withLock { inbox in
                inbox.isDraining = !inbox.work.isEmpty
                return !inbox.isDraining
            }
            if isOver { return }
        }
    }

    private func run(_ work: [Work], _ db: Database) {
        var group: [Batch] = []
        for piece in work {
            switch piece {
            case .commit(let batch):
                group.append(batch)
            case .write(let batch, let completion):
                commit(group, db)
                group.removeAll()
                write(batch, db, completion)
            case .reset(let kept, let completion):
                commit(group, db)
                group.removeAll()
                reset(keeping: kept, db, completion)
            case .settling(let completion):
                commit(group, db)
                group.removeAll()
                completion()
            }
        }
        commit(group, db)
    }

    private func commit(_ group: [Batch], _ db: Database) {
        // A failure earlier in this round was not known when the round was taken.
        let failures = inbox.withLock { $0.failures }
        let group = group.filter { $0.failuresKnown >= failures }
        guard let last = group.last else { return }
        do {
            try journal.withLock { try $0.append(group, to: db) }
            for batch in group { batch.completion(batch.lastTicket, true) }
        } catch {
            let dropped = inbox.withLock { inbox -> UInt64 in
                inbox.failures += 1
                return inbox.work.reduce(last.lastTicket) { ticket, work in
                    guard case .commit(let batch) = work else { return ticket }
                    return max(ticket, batch.lastTicket)
                }
            }
            log("changes were not stored: \(StoreFailure(using: path, error))")
            last.completion(dropped, false)
        }
    }

    private func write(_ batch: Batch, _ db: Database, _ completion: (StoreFailure?) -> Void) {
        do {
            try journal.withLock { try $0.append([batch], to: db) }
            completion(nil)
        } catch {
            let failure = StoreFailure(using: path, error)
            log("a change was not stored: \(failure)")
            completion(failure)
        }
    }

    private func reset(keeping kept: Set<UInt8>, _ db: Database, _ completion: (StoreFailure?) -> Void) {
        do {
            try journal.withLock { try $0.reset(keeping: kept, db) }
            completion(nil)
        } catch {
            let failure = StoreFailure(using: path, error)
            log("the database was not emptied: \(failure)")
            completion(failure)
        }
    }

    /// - Returns: whether there is more to merge now.
    private func merge(_ db: Database, besideCommits isBusy: Bool, isClosed: Bool) -> Bool {
        // What is not merged at the end is merged after the next start.
        guard !isClosed else { return false }
        do {
            return try journal.withLock { try $0.merge(db, besideCommits: isBusy) }
        } catch {
            log("the journal of the database was not merged, and will be later: \(StoreFailure(using: path, error))")
            return false
        }
    }
}
