// Why a database cannot be opened or used, in one line that says what would be right.

import GRDB
import Glibc

/// What is wrong with a database.
public struct StoreFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: Hashable, Sendable {
        /// There is no file name, or it names a folder.
        case notAFile
        /// The folder that should hold the file does not exist.
        case folderMissing
        /// The file or its folder cannot be read and written.
        case notPermitted
        /// The file holds something else.
        case notADatabase
        /// It is a database of another program.
        case foreign
        /// It belongs to another kind of node, or its tables are others.
        case otherRole
        /// A newer version of this program has written it.
        case newerVersion
        /// Another process has it open.
        case inUse
        case damaged
        /// The disk is full, or the file may not grow further.
        case full
        case closed
        /// Anything else that the system reports.
        case system
    }

    public var reason: Reason
    /// One line: what is wrong, and what would be right.
    public var description: String

    init(_ reason: Reason, _ description: String) {
        self.reason = reason
        self.description = description
    }

    /// Finds what is wrong with a file name before the file is touched: SQLite has one and the same error for all of it.
    static func checkPlace(of path: String) throws(StoreFailure) {
        guard !path.isEmpty else { throw StoreFailure(.notAFile, "the database has no file name; write one, such as lab.sqlite") }
        let folder = folder(of: path)
        guard let folderMode = mode(of: folder), folderMode & S_IFMT == S_IFDIR else {
            throw StoreFailure(
                .folderMissing, "cannot open the database \(path): the folder \(folder) does not exist; create it or name another file")
        }
        if let mode = mode(of: path) {
            guard mode & S_IFMT != S_IFDIR else {
                throw StoreFailure(.notAFile, "cannot open the database \(path): it is a folder; write the name of a file in it")
            }
            guard access(path, R_OK | W_OK) == 0 else {
                throw StoreFailure(
                    .notPermitted, "cannot open the database \(path): it cannot be written (\(systemError)); allow it or name another file")
            }
        }
        guard access(folder, W_OK | X_OK) == 0 else {
            throw StoreFailure(
                .notPermitted,
                "cannot open the database \(path): the folder \(folder) cannot be written (\(systemError)); allow it or name another file")
        }
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func mode(of path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode : nil
    }

    private static var systemError: String { String(cString: strerror(errno)) }
}

extension StoreFailure {
    init(opening path: String, _ error: any Error) {
        self.init("cannot open the database \(path)", error)
    }

    init(using path: String, _ error: any Error) {
        self.init("the database \(path) failed", error)
    }

    private init(_ beginning: String, _ error: any Error) {
        if let failure = error as? StoreFailure {
            self = failure
            return
        }
        guard let error = error as? DatabaseError else {
            self.init(.system, "\(beginning): \(error)")
            return
        }
        let text =
            error.message.map { "\($0) (SQLite \(error.extendedResultCode.rawValue))" } ?? "SQLite \(error.extendedResultCode.rawValue)"
        switch error.resultCode {
        case .SQLITE_NOTADB:
            self.init(.notADatabase, "\(beginning): it is not a database; remove it or name another file")
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            self.init(.inUse, "\(beginning): another process has it open; end that one or name another file")
        case .SQLITE_CORRUPT:
            self.init(.damaged, "\(beginning): it is damaged (\(text)); put a copy in its place or name another file")
        case .SQLITE_FULL:
            self.init(.full, "\(beginning): no space is left for it (\(text)); make room")
        case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_CANTOPEN:
            self.init(.notPermitted, "\(beginning): it cannot be written (\(text)); allow it or name another file")
        default:
            self.init(.system, "\(beginning): \(text)")
        }
    }
}
