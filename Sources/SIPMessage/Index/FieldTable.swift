// The table that a scan fills: the header fields in their order, and for each name a chain through those that have it, so
// that finding a header, or learning that it is the only one, is one look.

import SansIO

/// Memory for as many fields as a message may have, taken at the first scan and kept.
struct FieldTable: ~Copyable, @unchecked Sendable {
    private var entries: UnsafeMutablePointer<HeaderField>?
    /// By a name's number the first and, behind all of those, the last field that has it.
    private var ends: UnsafeMutablePointer<UInt16>?
    private(set) var count = 0

    deinit {
        entries?.deallocate()
        ends?.deallocate()
    }

    /// Takes the fields out: only the names that they had are touched.
    mutating func removeAll() {
        guard let entries, let ends else { return allocate() }
        for i in 0..<count { ends[Int(entries[i].name.rawValue)] = HeaderField.none }
        count = 0
    }

    private mutating func allocate() {
        entries = .allocate(capacity: MessageLimit.fields)
        ends = .allocate(capacity: 2 * HeaderName.tableCount)
        ends?.initialize(repeating: HeaderField.none, count: 2 * HeaderName.tableCount)
    }

    /// Adds a field; there is room for `MessageLimit.fields`.
    mutating func append(_ field: HeaderField) {
        guard let entries, let ends, count < MessageLimit.fields else { preconditionFailure("no room for a field") }
        let name = Int(field.name.rawValue)
        let number = UInt16(truncatingIfNeeded: count)
        (entries + count).initialize(to: field)
        if ends[name] == HeaderField.none {
            ends[name] = number
        } else {
            entries[Int(ends[HeaderName.tableCount + name])].next = number
        }
        ends[HeaderName.tableCount + name] = number
        count += 1
    }

    subscript(_ number: UInt16) -> HeaderField {
        guard let entries, Int(number) < count else { preconditionFailure("no such field") }
        return entries[Int(number)]
    }

    func firstIndex(of name: HeaderName) -> UInt16 { ends?[Int(name.rawValue)] ?? HeaderField.none }

    var fields: Span<HeaderField> {
        @_lifetime(borrow self)
        borrowing get {
            guard let entries else { preconditionFailure("nothing was scanned yet") }
            let span = Span(_unsafeStart: entries, count: count)
            return _overrideLifetime(span, borrowing: self)
        }
    }

    var firstOfName: Span<UInt16> {
        @_lifetime(borrow self)
        borrowing get {
            guard let ends else { preconditionFailure("nothing was scanned yet") }
            let span = Span(_unsafeStart: ends, count: HeaderName.tableCount)
            return _overrideLifetime(span, borrowing: self)
        }
    }
}
