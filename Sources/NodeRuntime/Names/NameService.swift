// The Domain Name System for the shards of a process: questions are put to glibc's stub resolver, which blocks, so that is
// done on a few threads of their own, never on a shard's. A thread begins when there is a question for it and ends when
// there is none left.
//
// Everything has a bound: threads, questions that wait, those who wait for one of them, answers kept and for how long.

import CNameService
public import SansIO
import Synchronization

/// Asks name servers, and remembers what they said.
public final class NameService: Sendable {
    /// What is asked, and how much of everything there may be.
    public struct Settings: Sendable {
        /// The name server; nil: those that the system is set up to ask, and its file of hosts.
        public var server: Endpoint?
        /// How long a name server is waited for, and how often it is asked.
        public var seconds: Int32 = 2
        public var attempts: Int32 = 2
        /// Questions that are under way at once, and those that wait for their turn.
        public var threads = 4
        public var queueLimit = 256
        /// How many wait for the answer to one question.
        public var waiterLimit = 1024
        /// Answers that are kept.
        public var cacheLimit = 4096

        public init(server: Endpoint? = nil) { self.server = server }
    }

    /// Called with the answer, on any thread; it must only pass it on.
    public typealias Delivery = @Sendable (NameAnswer) -> Void

    /// For how long an answer holds at least and at most, and how long that nobody answered.
    static let shortest = TimeSpan.seconds(1)
    static let longest = TimeSpan.seconds(3600)
    static let unansweredLifetime = TimeSpan.seconds(2)

    private struct Kept {
        var answer: NameAnswer
        var expires: Instant
    }

    private struct Contents {
        var kept: [NameQuery: Kept] = [:]
        /// The questions kept, the oldest first.
        var order: [NameQuery] = []
        /// Who waits for each question that is asked or waits for its turn: each is asked once.
        var waiting: [NameQuery: [Delivery]] = [:]
        var queue: [NameQuery] = []
        var threads = 0
    }

    private let settings: Settings
    private let contents = Mutex(Contents())

    public init(_ settings: Settings = Settings()) { self.settings = settings }

    /// Asks a question. What is known already is delivered before this returns.
    public func ask(_ query: NameQuery, deliver: @escaping Delivery) {
        let now = SystemClock.now.monotonic
        var answer: NameAnswer?
        var startsThread = false
        contents.withLock { contents in
            if let kept = contents.kept[query], kept.expires > now {
                answer = kept.answer
                answer?.lifetime = kept.expires - now
            } else if let count = contents.waiting[query]?.count {
                if count < settings.waiterLimit {
                    contents.waiting[query]?.append(deliver)
                } else {
                    answer = .unanswered(for: NameService.unansweredLifetime)
                }
            } else if contents.queue.count < settings.queueLimit {
                contents.waiting[query] = [deliver]
                contents.queue.append(query)
                startsThread = contents.threads < settings.threads
                if startsThread { contents.threads += 1 }
            } else {
                answer = .unanswered(for: NameService.unansweredLifetime)
            }
        }
        if let answer { return deliver(answer) }
        if startsThread { startThread() }
    }

    // MARK: Threads

    private func startThread() {
        do throws(SystemFailure) {
            try ShardThread.start(name: "names") { self.work() }
        } catch {
            // Without a thread nobody would ever answer, unless others run.
            let unheard = contents.withLock { contents in
                contents.threads -= 1
                guard contents.threads == 0 else { return [Delivery]() }
                let unheard = contents.queue.flatMap { contents.waiting.removeValue(forKey: $0) ?? [] }
                contents.queue = []
                return unheard
            }
            for deliver in unheard { deliver(.unanswered(for: NameService.unansweredLifetime)) }
        }
    }

    private func work() {
        while let query = next() { finish(query, resolve(query)) }
    }

    private func next() -> NameQuery? {
        contents.withLock { contents in
            guard !contents.queue.isEmpty else {
                contents.threads -= 1
                return nil
            }
            return contents.queue.removeFirst()
        }
    }

    private func finish(_ query: NameQuery, _ answer: NameAnswer) {
        let now = SystemClock.now.monotonic
        let waiting = contents.withLock { contents in
            let kept = Kept(answer: answer, expires: now + answer.lifetime)
            if contents.kept.updateValue(kept, forKey: query) != nil { contents.order.removeAll { $0 == query } }
            contents.order.append(query)
            if contents.order.count > settings.cacheLimit { contents.kept[contents.order.removeFirst()] = nil }
            return contents.waiting.removeValue(forKey: query) ?? []
        }
        for deliver in waiting { deliver(answer) }
    }

    // MARK: The resolver

    private func resolve(_ query: NameQuery) -> NameAnswer {
        let memory = UnsafeMutablePointer<name_service_answer>.allocate(capacity: 1)
        defer { memory.deallocate() }
        let name = String(decoding: query.name, as: UTF8.self)
        let outcome: Int32
        if settings.server == nil, query.type == .a || query.type == .aaaa {
            outcome = name_service_addresses(name, query.type == .aaaa ? 1 : 0, memory)
        } else {
            var server = name_service_server(settings.server)
            outcome = name_service_query(&server, name, query.type.rawValue, settings.seconds, settings.attempts, memory)
        }
        guard outcome != Int32(NAME_SERVICE_UNANSWERED) else { return .unanswered(for: NameService.unansweredLifetime) }
        let lifetime = min(max(.seconds(Int(memory.pointee.lifetime)), NameService.shortest), NameService.longest)
        return NameAnswer(records: NameRecord.records(in: memory, of: query.type), lifetime: lifetime)
    }
}

extension name_service_server {
    fileprivate init(_ endpoint: Endpoint?) {
        self.init()
        guard let endpoint else { return }
        port = endpoint.port
        let octets = endpoint.address.octets
        length = UInt8(octets.count)
        withUnsafeMutableBytes(of: &address) { $0.copyBytes(from: octets) }
    }
}

extension NameRecord {
    /// The records of an answer that can be read as ones of the type.
    fileprivate static func records(in answer: UnsafeMutablePointer<name_service_answer>, of type: NameRecordType) -> [NameRecord] {
        let count = min(Int(answer.pointee.count), NAME_SERVICE_RECORDS)
        return withUnsafeBytes(of: &answer.pointee.records) { octets in
            let all = octets.bindMemory(to: name_service_record.self)
            return (0..<count).compactMap { NameRecord(all[$0], type) }
        }
    }

    private init?(_ record: name_service_record, _ type: NameRecordType) {
        switch type {
        case .a, .aaaa:
            let octets = withUnsafeBytes(of: record.address) { Array($0.prefix(Int(record.length))) }
            guard let address = IPAddress(octets: octets) else { return nil }
            self = .address(address)
        case .srv:
            self = .server(
                priority: record.first, weight: record.second, port: record.port, target: NameRecord.name(record.name))
        case .naptr:
            self = .pointer(
                order: record.first, preference: record.second, flags: NameRecord.text(record.flags),
                service: NameRecord.text(record.service), replacement: NameRecord.name(record.name))
        }
    }

    /// The octets before the first 0 of a C array.
    private static func text<Characters>(_ characters: Characters) -> [UInt8] {
        withUnsafeBytes(of: characters) { Array($0.prefix { $0 != 0 }) }
    }

    private static func name<Characters>(_ characters: Characters) -> [UInt8] {
        var name = text(characters).map(\.asciiLowercased)
        if name.last == 0x2E { name.removeLast() }
        return name
    }
}
