// epoll, for the few descriptors of a shard.

import CNodeIO
import Glibc
import SansIO

/// The descriptors that a shard waits for, each under a number of the shard's own.
struct Poller: ~Copyable {
    /// A descriptor that became ready.
    struct Event {
        var number: Int
        var isReadable: Bool
        var isWritable: Bool
        /// An error waits, for a datagram socket in its error queue.
        var hasFailed: Bool
    }

    private static let capacity = 64
    private let descriptor: Int32
    private let events: UnsafeMutablePointer<epoll_event>

    init() throws(SystemFailure) {
        descriptor = try SystemFailure.check("epoll_create1", epoll_create1(Int32(NODE_IO_EPOLL_FLAGS)))
        events = .allocate(capacity: Poller.capacity)
    }

    deinit {
        close(descriptor)
        events.deallocate()
    }

    /// - Parameter isShared: whether other shards wait for the same descriptor: then one of them is woken, not all.
    func watch(_ descriptor: Int32, number: Int, isShared: Bool = false) throws(SystemFailure) {
        _ = try SystemFailure.check(
            "epoll_ctl", control(EPOLL_CTL_ADD, descriptor, number, readable: true, writable: false, isShared: isShared))
    }

    /// Changes what a descriptor that is watched is waited for; errors always are.
    func change(_ descriptor: Int32, number: Int, readable: Bool, writable: Bool, isShared: Bool = false) {
        var result: Int32 = 0
        if isShared {
            // What is waited for exclusively cannot be changed.
            var none = epoll_event()
            result = epoll_ctl(self.descriptor, EPOLL_CTL_DEL, descriptor, &none)
        }
        if result == 0 {
            result = control(
                isShared ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, number, readable: readable, writable: writable,
                isShared: isShared)
        }
        precondition(result == 0, "a descriptor that is not watched")
    }

    /// Waits for a descriptor no more.
    func forget(_ descriptor: Int32) {
        var none = epoll_event()
        _ = epoll_ctl(self.descriptor, EPOLL_CTL_DEL, descriptor, &none)
    }

    /// Waits until a descriptor is ready or the time is over, and says how many are ready.
    /// - Parameter span: how long; nil: without end. It is rounded up to milliseconds.
    func wait(for span: TimeSpan?) -> Int {
        var milliseconds: Int32 = -1
        if let span { milliseconds = Int32(clamping: (max(span.nanoseconds, 0) + 999_999) / 1_000_000) }
        // An interrupted wait is a short one: the caller looks at the clock again.
        return max(Int(epoll_wait(descriptor, events, Int32(Poller.capacity), milliseconds)), 0)
    }

    func event(_ index: Int) -> Event {
        let event = events[index]
        return Event(
            number: Int(event.data.u32), isReadable: event.events & UInt32(NODE_IO_READABLE) != 0,
            isWritable: event.events & UInt32(NODE_IO_WRITABLE) != 0, hasFailed: event.events & UInt32(NODE_IO_FAILED) != 0)
    }

    private func control(
        _ operation: Int32, _ watched: Int32, _ number: Int, readable: Bool, writable: Bool, isShared: Bool
    ) -> Int32 {
        var event = epoll_event()
        event.events = (readable ? UInt32(NODE_IO_READABLE) : 0) | (writable ? UInt32(NODE_IO_WRITABLE) : 0)
        if isShared { event.events |= UInt32(NODE_IO_EXCLUSIVE) }
        event.data.u32 = UInt32(number)
        return epoll_ctl(descriptor, operation, watched, &event)
    }
}
