// A database that commits in groups, one after another, as the real one does: what was not committed when its process dies is
// lost, and what was committed may die before anybody hears of it.

import SansIO

/// The database of a node.
struct VirtualStore {
    private struct Change {
        var cell: Int
        var table: UInt8
        var key: [UInt8]
        /// nil: it is removed.
        var value: [UInt8]?
        var ticket: UInt64
    }

    /// A group whose commit has ended, as each cell is told of it.
    struct Report {
        var succeeded: Bool
        /// The last ticket of each cell that the report is about.
        var tickets: [(cell: Int, ticket: UInt64)]
        /// How many changes were made until the last of the group.
        var upTo: UInt64
    }

    private var tables: [UInt8: [[UInt8]: [UInt8]]] = [:]
    /// Made and not yet in a group; then those of the group whose commit is under way.
    private var waiting: [Change] = []
    private var group: [Change] = []
    private var isGroupDurable = false
    /// How many changes were made so far.
    private(set) var made: UInt64 = 0
    private(set) var reported: UInt64 = 0

    var isCommitting: Bool { !group.isEmpty }
    var hasWaiting: Bool { !waiting.isEmpty }

    // MARK: Changes

    mutating func add(_ lane: borrowing StoreLane, of cell: Int) {
        for change in lane.changes {
            made += 1
            waiting.append(
                Change(
                    cell: cell, table: change.table, key: [UInt8](lane.bytes.bytes(from: change.keyStart, count: change.keyCount)),
                    value: change.isRemoval ? nil : [UInt8](lane.bytes.bytes(from: change.valueStart, count: change.valueCount)),
                    ticket: change.ticket))
        }
    }

    /// A change that is nobody's but the process's own; it is reported under the cell -1.
    mutating func add(table: UInt8, key: [UInt8], value: [UInt8]?, ticket: UInt64) {
        made += 1
        waiting.append(Change(cell: -1, table: table, key: key, value: value, ticket: ticket))
    }

    /// Begins the commit of all that waits.
    mutating func beginCommit() {
        group = waiting
        waiting = []
        isGroupDurable = false
    }

    /// From here on the group outlives its process.
    ///
    /// - Parameter forgets: a flaw: it only says so.
    mutating func becomeDurable(forgets: Bool = false) {
        isGroupDurable = true
        guard !forgets else { return }
        for change in group { tables[change.table, default: [:]][change.key] = change.value }
    }

    /// The commit has ended. If it failed, all changes not yet reported are lost with it.
    mutating func endCommit() -> Report {
        let succeeded = isGroupDurable
        if !succeeded {
            group += waiting
            waiting = []
        }
        var tickets: [(cell: Int, ticket: UInt64)] = []
        for change in group {
            if let place = tickets.firstIndex(where: { $0.cell == change.cell }) {
                tickets[place].ticket = change.ticket
            } else {
                tickets.append((change.cell, change.ticket))
            }
        }
        reported += UInt64(group.count)
        group = []
        return Report(succeeded: succeeded, tickets: tickets, upTo: reported)
    }

    /// The process dies: what is not durable is lost.
    mutating func crash() {
        reported = made
        waiting = []
        group = []
    }

    // MARK: Questions

    /// The records of a table in the order of their keys.
    func records(of table: UInt8) -> [(key: [UInt8], value: [UInt8])] {
        (tables[table] ?? [:]).sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ($0.key, $0.value) }
    }
}
