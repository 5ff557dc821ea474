// From a subscriber's number to its first binding, in pages, so that nothing is ever moved to make room.

/// Numbers by subscriber; `.max` is none.
struct SubscriberTable: ~Copyable, @unchecked Sendable {
    private static let pageSize = 4096
    private var pages: ContiguousArray<UnsafeMutablePointer<UInt32>?> = []

    init() {}

    deinit {
        for page in pages { page?.deallocate() }
    }

    var bytesAllocated: Int {
        var made = 0
        for page in pages where page != nil { made += 1 }
        return made * SubscriberTable.pageSize * MemoryLayout<UInt32>.stride + pages.count * MemoryLayout<UInt>.stride
    }

    subscript(_ subscriber: UInt32) -> UInt32 {
        get {
            let page = Int(subscriber) / SubscriberTable.pageSize
            guard page < pages.count, let entries = pages[page] else { return .max }
            return entries[Int(subscriber) % SubscriberTable.pageSize]
        }
        set {
            let page = Int(subscriber) / SubscriberTable.pageSize
            if page >= pages.count {
                guard newValue != .max else { return }
                pages.append(contentsOf: repeatElement(nil, count: page + 1 - pages.count))
            }
            if pages[page] == nil {
                guard newValue != .max else { return }
                let entries = UnsafeMutablePointer<UInt32>.allocate(capacity: SubscriberTable.pageSize)
                entries.initialize(repeating: .max, count: SubscriberTable.pageSize)
                pages[page] = entries
            }
            pages[page]![Int(subscriber) % SubscriberTable.pageSize] = newValue
        }
    }
}
