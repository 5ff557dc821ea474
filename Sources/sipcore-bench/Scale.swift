// `sipcore-bench scale`: whether a million is as quick as a thousand, and what it weighs. Time is virtual, so that an hour
// passes at once; pauses and costs are real, in time of the processor that the thread had.

import Glibc
import IMSProfile
import SCSCF
import SIPMessage
import SIPRegistrar
import SansIO

/// Measures registrations, lingering transactions and expiry waves.
struct Scale {
    /// - Parameter users: the number that stands for a million.
    static func run(_ users: Int) {
        let few = max(1, users / 1000)
        var large = ScaleRig()
        growth(&large, users)
        refresh(&large, few: few, many: users)
        wave(&large, users)
        lingering("answered by the core", users) { $0.options() }
        lingering("relayed, with its client transaction", users) { $0.message() }
    }

    private static func growth(_ rig: inout ScaleRig, _ users: Int) {
        let before = ResidentMemory.now
        var pauses = Pauses()
        for user in 0..<users { rig.register(user, &pauses) }
        let resident = ResidentMemory.now - before
        print("registrations: \(rig.registered), \(rig.memoryUse.registrations / users) B each")
        print("  the process grew by \(resident / users) B for each, transactions that linger and the flows' index with them")
        pauses.report("growth to \(users) registrations")
    }

    /// The same refreshes of few users and of many, in turns.
    private static func refresh(_ large: inout ScaleRig, few: Int, many: Int) {
        let rounds = 7
        let refreshes = min(many, 200_000)
        var small = ScaleRig()
        var unused = Pauses()
        for user in 0..<few { small.register(user, &unused) }
        // Both have as many lingering transactions before anything is measured.
        for _ in 0..<2 {
            _ = small.refresh(few, refreshes)
            _ = large.refresh(many, refreshes)
        }
        var costs: [(few: Double, many: Double)] = []
        for _ in 0..<rounds { costs.append((small.refresh(few, refreshes), large.refresh(many, refreshes))) }
        let cheap = costs.map(\.few).sorted()[rounds / 2]
        let dear = costs.map(\.many).sorted()[rounds / 2]
        let ratio = (dear / cheap * 100).rounded() / 100
        print(
            "refresh: \(Int(cheap)) ns with \(few) registrations, \(Int(dear)) ns with \(many): ratio \(ratio) (medians of \(rounds) turns)"
        )
    }

    /// Every registration falls due at once, while messages go on coming.
    private static func wave(_ rig: inout ScaleRig, _ users: Int) {
        var pauses = Pauses()
        rig.pass(.seconds(4 * 3600))
        let calls = rig.advanceWhileServing(&pauses)
        print("expiry: \(users) registrations fell due at once; \(rig.registered) are left after \(calls) calls")
        pauses.report("expiry wave, by call")
    }

    private static func lingering(_ what: String, _ count: Int, _ transact: (inout ScaleRig) -> Void) {
        var rig = ScaleRig()
        var unused = Pauses()
        rig.register(0, &unused)
        let before = rig.memoryUse
        for _ in 0..<count { transact(&rig) }
        let after = rig.memoryUse
        print(
            "lingering transaction, \(what): \((after.transactions - before.transactions) / count) B, "
                + "\((after.contexts - before.contexts) / count) B of contexts; \(rig.transactions) alive")
        var pauses = Pauses()
        rig.pass(.seconds(40))
        let calls = rig.advanceWhileServing(&pauses)
        pauses.report("the end of \(count) transactions at once, in \(calls) calls")
    }
}

/// A core, and a user's side and a server's that cost next to nothing.
private struct ScaleRig: ~Copyable {
    private static let batch = 64
    private var core: ServingCSCF
    private var effects = Effects()
    private var now = Now(monotonic: Instant(nanoseconds: 1_000_000_000), wall: WallTime(seconds: 1_800_000_000))
    private var text = OctetBuffer(capacity: 64 * 1024)
    private var starts: [Int] = []
    private var users: [Int] = []
    private var number: UInt64 = 0
    private var random = RandomSource(seed: 1)

    init() {
        var configuration = ServingCSCFConfiguration(
            domain: Array("ims.test".utf8), listeners: [Listener(transport: .udp, local: Endpoint(address: .loopback, port: 5070))])
        configuration.transactionLimit = 4_000_000
        var plan = SubscriberPlan(
            name: "u", publicIdentities: [IdentityTemplate(pieces: [Array("sip:".utf8), Array("@ims.test".utf8)])],
            privateIdentities: [IdentityTemplate(pieces: [[], Array("@ims.test".utf8)])], passwords: [nil], isAuthenticated: false,
            profile: nil)
        plan.range = 0...9_999_999
        plan.width = 7
        configuration.subscribers = [plan]
        core = ServingCSCF(configuration, at: now)
    }

    var memoryUse: MemoryUse { core.memoryUse }
    var registered: Int { core.registeredCount }
    var transactions: Int { core.transactionCount }

    mutating func pass(_ span: TimeSpan) { now.monotonic = now.monotonic + span }

    /// One first registration, 100 µs of virtual time after the one before.
    mutating func register(_ user: Int, _ pauses: inout Pauses) {
        begin()
        write(user)
        pass(TimeSpan(nanoseconds: 100_000))
        let start = ProcessorTime.now
        receive()
        core.advance(to: now, into: &effects)
        pauses.add(ProcessorTime.now - start)
        effects.removeAll()
    }

    /// Refreshes in random order, in batches as a shard has them.
    ///
    /// - Returns: nanoseconds a refresh.
    mutating func refresh(_ users: Int, _ count: Int) -> Double {
        var spent = 0
        for _ in 0..<(count / ScaleRig.batch) {
            begin()
            for _ in 0..<ScaleRig.batch { write(Int(truncatingIfNeeded: random.next() >> 1) % users) }
            pass(TimeSpan(nanoseconds: 100_000 * Int64(ScaleRig.batch)))
            let start = ProcessorTime.now
            receive()
            core.advance(to: now, into: &effects)
            spent += ProcessorTime.now - start
            effects.removeAll()
        }
        return Double(spent) / Double(count / ScaleRig.batch * ScaleRig.batch)
    }

    /// Lets timers fire until none is due, and takes in a batch between two calls.
    ///
    /// - Returns: how many calls that took; at most a million.
    mutating func advanceWhileServing(_ pauses: inout Pauses) -> Int {
        var calls = 0
        while calls < 1_000_000, let deadline = core.nextDeadline, deadline <= now.monotonic {
            begin()
            for _ in 0..<8 { writeOptions() }
            let start = ProcessorTime.now
            core.advance(to: now, into: &effects)
            pauses.add(ProcessorTime.now - start)
            receive()
            effects.removeAll()
            calls += 1
        }
        return calls
    }

    /// An OPTIONS that the core answers itself. No time passes.
    mutating func options() {
        begin()
        writeOptions()
        receive()
        effects.removeAll()
    }

    /// A MESSAGE to the contact of the first user, which answers.
    mutating func message() {
        begin()
        writeMessage()
        receive()
        answer()
        effects.removeAll()
    }

    // MARK: Messages

    private mutating func begin() {
        text.removeAll()
        starts.removeAll(keepingCapacity: true)
        users.removeAll(keepingCapacity: true)
    }

    private mutating func writeVia() {
        number += 1
        text.append("Via: SIP/2.0/UDP 127.0.0.1:15060;branch=z9hG4bKsc")
        text.appendHex(number, digits: 12)
        text.append(";rport\r\nMax-Forwards: 70\r\nCall-ID: ")
    }

    private mutating func write(_ user: Int) {
        starts.append(text.count)
        users.append(user)
        text.append("REGISTER sip:ims.test SIP/2.0\r\n")
        writeVia()
        text.append("reg-")
        text.appendDecimal(UInt64(user))
        text.append("@bench\r\nFrom: <")
        writeName(user)
        text.append(">;tag=1\r\nTo: <")
        writeName(user)
        text.append(">\r\nCSeq: ")
        text.appendDecimal(number)
        text.append(" REGISTER\r\nContact: <sip:u")
        text.appendDecimal(UInt64(user), digits: 7)
        text.append("@127.0.0.1:15061>;+g.oma.sip-im;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-00000")
        text.appendDecimal(UInt64(user), digits: 7)
        text.append(">\"\r\nExpires: 3600\r\nSupported: path\r\nUser-Agent: bench-ue/1\r\nContent-Length: 0\r\n\r\n")
    }

    private mutating func writeName(_ user: Int) {
        text.append("sip:u")
        text.appendDecimal(UInt64(user), digits: 7)
        text.append("@ims.test")
    }

    private mutating func writeOptions() {
        starts.append(text.count)
        users.append(0)
        text.append("OPTIONS sip:ims.test SIP/2.0\r\n")
        writeVia()
        text.appendDecimal(number)
        text.append("@bench\r\nFrom: <sip:u0000000@ims.test>;tag=1\r\nTo: <sip:ims.test>\r\nCSeq: 1 OPTIONS\r\n")
        text.append("User-Agent: bench-ue/1\r\nContent-Length: 0\r\n\r\n")
    }

    private mutating func writeMessage() {
        starts.append(text.count)
        users.append(0)
        text.append("MESSAGE sip:u0000000@ims.test SIP/2.0\r\n")
        writeVia()
        text.appendDecimal(number)
        text.append("@bench\r\nFrom: <sip:u0000000@ims.test>;tag=1\r\nTo: <sip:u0000000@ims.test>\r\nCSeq: 1 MESSAGE\r\n")
        text.append("User-Agent: bench-ue/1\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
    }

    // MARK: To the core and back

    /// Every user has an address of its own.
    private func flow(of user: Int) -> Flow {
        Flow(transport: .udp, listener: 0, remote: Endpoint(address: IPAddress(v4: 0x0A00_0000 + UInt32(user)), port: 15_060))
    }

    private mutating func receive() {
        starts.append(text.count)
        var texts = OctetBuffer(capacity: 0)
        swap(&texts, &text)
        for i in 0..<users.count {
            let octets = texts.bytes(from: starts[i], count: starts[i + 1] - starts[i])
            core.receive(octets, over: flow(of: users[i]), at: now, into: &effects)
        }
        swap(&texts, &text)
    }

    /// The contact answers the request that was sent to it.
    private mutating func answer() {
        var out = Effects()
        swap(&out, &effects)
        var response = OctetBuffer(capacity: 1024)
        for transmission in out.wire.transmissions where transmission.status == 0 {
            let octets = out.wire.bytes.bytes(from: transmission.start, count: transmission.count)
            var scanner = MessageScanner()
            _ = scanner.scan(octets)
            let request = scanner.message(octets)
            guard let essentials = try? request.essentials() else { continue }
            response.removeAll()
            response.appendResponse(200, to: request, essentials, from: Endpoint(address: .loopback, port: 5070), toTag: 1)
            response.appendEmptyBody()
            core.receive(response.bytes, over: transmission.flow, at: now, into: &effects)
        }
    }
}

/// How long calls took, by powers of two.
private struct Pauses {
    private var counts = [Int](repeating: 0, count: 40)
    private var longest = 0

    mutating func add(_ nanoseconds: Int) {
        longest = max(longest, nanoseconds)
        counts[min(39, Int.bitWidth - max(0, nanoseconds / 1000).leadingZeroBitCount)] += 1
    }

    func report(_ what: String) {
        print("pauses, \(what): longest \(Double(longest / 1000) / 1000) ms")
        for (power, count) in counts.enumerated() where count > 0 { print("  < \(1 << power) µs: \(count)") }
    }
}

/// The time that the thread had a processor, in nanoseconds: a pause is ours, not another process's.
private enum ProcessorTime {
    static var now: Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}

/// What the process has in memory, in octets.
private enum ResidentMemory {
    static var now: Int {
        guard let file = fopen("/proc/self/smaps_rollup", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, 256, file) != nil {
            let octets = line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            guard octets.starts(with: "Pss:".utf8) else { continue }
            return octets.filter { 48...57 ~= $0 }.reduce(0) { $0 * 10 + Int($1 - 48) } * 1024
        }
        return 0
    }
}
