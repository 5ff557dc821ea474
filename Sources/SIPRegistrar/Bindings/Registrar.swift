// The registrar (RFC 3261 §10.3; TS 24.229 §5.4.1.2.2 and §5.4.1.4; RFC 3327; RFC 5626 §6): which contacts each
// subscriber has, and until when. Who may register is another's question; a subscriber and its private identities are
// numbers here.
//
//   REGISTER → register → .changed → appendContacts … confirm | undo
//   advance  → expired bindings
//   encode   → restore, after a restart
//
// Bindings are in a slab, a subscriber's as a list; their text is in a pool and stays there as long as refreshes say the
// same. Each binding has a timer that is set anew only when it fires too early, so a refresh does not touch it.

public import SansIO

public struct Registrar: ~Copyable {
    public let settings: RegistrarSettings
    /// Whether changes are kept until they are confirmed, so that they can be undone.
    public let keepsUndo: Bool

    var bindings = Slab<Binding>()
    var pool = PacketPool()
    var first = SubscriberTable()
    var flows: FlowIndex
    var undo = UndoLog()
    var request = RegistrationRequest()
    /// Contact fields of what the last REGISTER that changed something asked to be gone, if answers are to list them.
    var removedContacts = OctetBuffer(capacity: 0)
    private var wheel: TimerWheel
    private var due: [UInt64] = []
    /// Subscribers with at least one binding.
    public private(set) var registeredCount = 0

    /// - Parameters:
    ///   - keepsUndo: whether each change must be confirmed or undone; without it changes are final and their tokens `.none`.
    ///   - secret: keys the index of flows, whose addresses come from the network.
    ///   - start: the present.
    public init(settings: RegistrarSettings = RegistrarSettings(), keepsUndo: Bool = false, secret: HashSecret, start: Instant) {
        self.settings = settings
        self.keepsUndo = keepsUndo
        flows = FlowIndex(secret: secret)
        wheel = TimerWheel(start: start)
    }

    // MARK: Questions

    /// Bindings of all subscribers.
    public var bindingCount: Int { bindings.count }
    /// Octets of text kept for them.
    public var bytesKept: Int { pool.bytesInUse }
    /// Octets of memory that the registrar holds, at work or kept for it.
    public var bytesAllocated: Int {
        bindings.bytesAllocated + pool.bytesAllocated + first.bytesAllocated + flows.bytesAllocated + undo.bytesAllocated
            + wheel.bytesAllocated
    }

    public func isRegistered(_ subscriber: UInt32) -> Bool { first[subscriber] != .max }

    /// Whether the subscriber has a contact that was registered over this flow.
    public func hasBinding(of subscriber: UInt32, on flow: Flow) -> Bool {
        var index = first[subscriber]
        while index != .max {
            if bindings[index].flow.isSame(as: flow) { return true }
            index = bindings[index].next
        }
        return false
    }

    /// Whether a subscriber has a contact of this device.
    public func hasBinding(of subscriber: UInt32, device: UInt16) -> Bool {
        var index = first[subscriber]
        while index != .max {
            if bindings[index].device == device { return true }
            index = bindings[index].next
        }
        return false
    }

    /// Whether a subscriber has a contact of this device that was registered over this flow.
    public func hasBinding(of subscriber: UInt32, device: UInt16, on flow: Flow) -> Bool {
        var index = first[subscriber]
        while index != .max {
            if bindings[index].device == device, bindings[index].flow.isSame(as: flow) { return true }
            index = bindings[index].next
        }
        return false
    }

    /// How many subscribers have a contact that was registered over this flow.
    public func subscriberCount(on flow: Flow) -> Int { Int(flows.use(of: flow).subscribers) }

    /// The one subscriber of this flow; nil: none, or several.
    public func soleSubscriber(on flow: Flow) -> UInt32? {
        let use = flows.use(of: flow)
        return use.subscribers == 1 ? use.combined : nil
    }

    /// Whether the flow is one subscriber's who has to keep it alive: each contact on it is a flow of RFC 5626, and no proxy
    /// stands in between.
    public func isKeptAliveByUser(_ flow: Flow) -> Bool {
        guard let subscriber = soleSubscriber(on: flow) else { return false }
        var index = first[subscriber]
        while index != .max {
            let binding = bindings[index]
            if binding.flow.isSame(as: flow), binding.text.regID == 0 || binding.text.path > 0 { return false }
            index = binding.next
        }
        return true
    }

    /// Calls `body` with each binding of a subscriber, in the order in which they were first made.
    public func forEachBinding(of subscriber: UInt32, _ body: (BindingView) -> Void) {
        var index = first[subscriber]
        while index != .max {
            body(view(index))
            index = bindings[index].next
        }
    }

    public func contains(_ binding: BindingID) -> Bool { bindings.contains(binding.slot) }

    /// The binding with this number, or nil if it is gone.
    @_lifetime(borrow self)
    public borrowing func binding(_ id: BindingID) -> BindingView? {
        guard bindings.contains(id.slot) else { return nil }
        let binding = bindings[id.slot.index]
        return BindingView(id: id, binding: binding, octets: pool.bytes(binding.octets))
    }

    @_lifetime(borrow self)
    borrowing func view(_ index: UInt32) -> BindingView {
        let binding = bindings[index]
        return BindingView(id: BindingID(bindings.id(of: index)), binding: binding, octets: pool.bytes(binding.octets))
    }

    /// The seconds left to the subscriber's contact that lasts longest; 0: it has none.
    public func longestExpires(of subscriber: UInt32, at now: Instant) -> UInt32 {
        var longest: UInt32 = 0
        var index = first[subscriber]
        while index != .max {
            longest = max(longest, bindings[index].expires(at: now))
            index = bindings[index].next
        }
        return longest
    }

    // MARK: Answers

    /// Writes a Contact field for each binding that lives, with the seconds it has left (RFC 3261 §10.3 step 8).
    public func appendContacts(of subscriber: UInt32, at now: Instant, into buffer: inout OctetBuffer) {
        forEachBinding(of: subscriber) { binding in
            let expires = binding.expires(at: now)
            guard expires > 0 else { return }
            buffer.appendContact(binding, expires: expires)
            buffer.append("\r\n")
        }
    }

    /// The same with the GRUUs of each contact that tells its instance (RFC 5627 §5.3).
    ///
    /// - Parameters:
    ///   - addressOfRecord: a SIP URI in its canonical form.
    ///   - identity: the number by which `factory` is to name the address-of-record, beside the subscriber's.
    public func appendContacts(
        of subscriber: UInt32, at now: Instant, withGRUUsOf addressOfRecord: RawSpan, identity: UInt16, by factory: GRUUFactory,
        into buffer: inout OctetBuffer
    ) {
        forEachBinding(of: subscriber) { binding in
            let expires = binding.expires(at: now)
            guard expires > 0 else { return }
            buffer.appendContact(binding, expires: expires)
            if (1...Registrar.longestInstance).contains(binding.instance.byteCount) {
                buffer.append(";pub-gruu=\"")
                buffer.appendPublicGRUU(of: addressOfRecord, instance: binding.instance)
                buffer.append("\";temp-gruu=\"")
                buffer.appendTemporaryGRUU(of: addressOfRecord, identity: identity, binding, by: factory)
                buffer.append("\"")
            }
            buffer.append("\r\n")
        }
    }

    /// Writes a Contact field with `expires=0` for each live contact that the last REGISTER which changed something asked to be
    /// gone: nothing if the settings do not want that.
    public func appendRemovedContacts(into buffer: inout OctetBuffer) { buffer.append(removedContacts.bytes) }

    /// Octets of an instance identifier that GRUUs are made of; a URN is far shorter.
    private static let longestInstance = 256

    // MARK: The end of bindings

    /// When `advance` should be called next.
    public var nextDeadline: Instant? { wheel.nextDeadline }

    /// Timers that one call of `advance` looks after at most: messages are served in between.
    private static let timersPerAdvance = 1024

    /// Takes out bindings whose time is over, in the order of their expiry, up to a thousand: while some are left
    /// `nextDeadline` is not after `now`.
    public mutating func advance(to now: Instant, into expired: inout [ExpiredBinding]) {
        wheel.expire(upTo: now, into: &due, atMost: Registrar.timersPerAdvance)
        for payload in due {
            let id = SlotID(rawValue: payload)
            guard bindings.contains(id) else { continue }
            let binding = bindings[id.index]
            if binding.expiry > now {
                bindings[id.index].timer = wheel.schedule(at: binding.expiry, payload: payload)
                continue
            }
            bindings[id.index].timer = .none
            expired.append(end(id.index))
        }
        due.removeAll(keepingCapacity: true)
    }

    /// Takes out a binding whose time is over.
    mutating func end(_ index: UInt32) -> ExpiredBinding {
        let binding = bindings[index]
        remove(index)
        return ExpiredBinding(subscriber: binding.subscriber, device: binding.device, isLast: !isRegistered(binding.subscriber))
    }

    /// Removes one binding, as after 430 Flow Failed (RFC 5626 §5.3) or by the network's will (TS 24.229 §5.4.1.5).
    ///
    /// - Returns: what to confirm or undo; nil: the binding is gone already.
    public mutating func remove(_ id: BindingID) -> ChangeToken? {
        guard bindings.contains(id.slot) else { return nil }
        let subscriber = bindings[id.slot.index].subscriber
        let token = beginChange(of: subscriber)
        remove(id.slot.index)
        return token
    }

    /// Removes all bindings of a subscriber.
    ///
    /// - Returns: what to confirm or undo; nil: there was none.
    public mutating func removeAll(of subscriber: UInt32) -> ChangeToken? {
        guard isRegistered(subscriber) else { return nil }
        let token = beginChange(of: subscriber)
        removeList(of: subscriber)
        return token
    }

    /// Forgets every binding and every change that is not yet confirmed; nothing is reported.
    public mutating func reset(at now: Instant) {
        bindings = Slab()
        pool = PacketPool()
        first = SubscriberTable()
        flows.removeAll()
        undo = UndoLog()
        wheel = TimerWheel(start: now)
        registeredCount = 0
    }

    // MARK: Storage

    func lastBinding(of subscriber: UInt32) -> UInt32 {
        var last = first[subscriber]
        guard last != .max else { return .max }
        while bindings[last].next != .max { last = bindings[last].next }
        return last
    }

    /// Adds a binding at the end of its subscriber's list.
    mutating func insert(_ binding: Binding) {
        let subscriber = binding.subscriber
        if !hasBinding(of: subscriber, on: binding.flow) { flows.insert(subscriber, on: binding.flow) }
        let last = lastBinding(of: subscriber)
        let id = bindings.insert(binding)
        bindings[id.index].next = .max
        bindings[id.index].timer = wheel.schedule(at: binding.expiry, payload: id.rawValue)
        if last == .max {
            first[subscriber] = id.index
            registeredCount += 1
        } else {
            bindings[last].next = id.index
        }
    }

    /// Takes a binding out.
    mutating func remove(_ index: UInt32) {
        let binding = bindings[index]
        var previous = first[binding.subscriber]
        if previous == index {
            first[binding.subscriber] = binding.next
            if binding.next == .max { registeredCount -= 1 }
        } else {
            while bindings[previous].next != index { previous = bindings[previous].next }
            bindings[previous].next = binding.next
        }
        wheel.cancel(binding.timer)
        bindings.remove(index)
        pool.release(binding.octets)
        if !hasBinding(of: binding.subscriber, on: binding.flow) { flows.remove(binding.subscriber, from: binding.flow) }
    }

    mutating func removeList(of subscriber: UInt32) {
        while isRegistered(subscriber) { remove(first[subscriber]) }
    }

    /// Moves a binding to another flow.
    mutating func setFlow(of index: UInt32, to flow: Flow) {
        let subscriber = bindings[index].subscriber
        let old = bindings[index].flow
        if old.isSame(as: flow) {
            bindings[index].flow = flow
            return
        }
        let isNew = !hasBinding(of: subscriber, on: flow)
        bindings[index].flow = flow
        if isNew { flows.insert(subscriber, on: flow) }
        if !hasBinding(of: subscriber, on: old) { flows.remove(subscriber, from: old) }
    }

    /// Gives a binding another end. Its timer may fire too early, never too late.
    mutating func setExpiry(of index: UInt32, to expiry: Instant) {
        let isEarlier = expiry < bindings[index].expiry
        bindings[index].expiry = expiry
        guard isEarlier else { return }
        wheel.cancel(bindings[index].timer)
        bindings[index].timer = wheel.schedule(at: expiry, payload: bindings.id(of: index).rawValue)
    }
}

extension OctetBuffer {
    /// A Contact field without its line end.
    mutating func appendContact(_ binding: borrowing BindingView, expires: UInt32) {
        append("Contact: <")
        append(binding.uri)
        append(">")
        append(binding.parameters)
        append(";expires=")
        appendDecimal(UInt64(expires))
    }
}

/// A binding whose time was over.
public struct ExpiredBinding: BitwiseCopyable, Hashable, Sendable {
    public var subscriber: UInt32
    /// The number of the private identity that had registered it.
    public var device: UInt16
    /// Whether the subscriber has no other binding now.
    public var isLast: Bool

    public init(subscriber: UInt32, device: UInt16, isLast: Bool) {
        self.subscriber = subscriber
        self.device = device
        self.isLast = isLast
    }
}
