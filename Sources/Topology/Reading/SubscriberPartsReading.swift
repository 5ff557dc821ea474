// A topology whose many subscribers were cut into parts: they are read side by side. Nothing is said of faults here: where
// there is one, the file is read as a whole.

import Dispatch
import Synchronization

extension Reader {
    /// The topology of a file that was cut; nil: something is wrong with it, or the cut was, and it has to be read as a whole.
    static func topology(from parts: SubscriberParts, file: String, in surroundings: Surroundings) -> Topology? {
        var reader = Reader(file: file, surroundings: surroundings)
        // Where the key is not the root's, the cut went through something else, such as a text in quotes.
        guard let root = reader.document(parts.rest, of: RootKeys.shape, orElse: "write it"),
            let section = root.entry(RootKeys.subscribers.name), section.position == Position(line: parts.line, column: 1),
            section.value.isEmpty
        else { return nil }
        var isRead = false
        reader.readTopology(root) { reader in isRead = reader.readSubscribers(of: parts.parts) }
        return isRead && reader.sortedFaults.isEmpty ? reader.topology : nil
    }

    /// - Returns: false if one is at fault, stands for a range, or claims what another may have claimed.
    private mutating func readSubscribers(of parts: [SubscriberParts.Part]) -> Bool {
        guard sortedFaults.isEmpty else { return false }
        let own = self
        let read = Mutex(ReadParts(count: parts.count))
        DispatchQueue.concurrentPerform(iterations: parts.count) { i in
            guard read.withLock({ $0.isFaultless }) else { return }
            let part = own.read(parts[i])
            read.withLock { $0.set(part, at: i) }
        }
        guard let subscribers = read.withLock({ $0.joined }) else { return false }
        topology.subscribers = subscribers
        return true
    }

    private func read(_ part: SubscriberParts.Part) -> ReadPart? {
        let document = YAMLDocument(text: part.text, environment: surroundings.environment, firstLine: part.firstLine)
        // The name of a value holds from one part into the next, and past the section.
        guard document.faults.isEmpty, !document.hasAnchors, let root = document.root else { return nil }
        var reader = self
        reader.validate(root, RootKeys.subscribers.codec.shape, as: RootKeys.subscribers.name)
        var claims: [Int] = []
        claims.reserveCapacity(4 * root.entries.count)
        var hasRanges = false
        reader.readSubscribers(root.entries) { _, subscriber, _, _ in
            hasRanges = hasRanges || subscriber.name.range != nil
            subscriber.appendClaims(to: &claims)
        }
        // A range may overlap what looks different.
        guard !hasRanges, reader.sortedFaults.isEmpty else { return nil }
        return ReadPart(subscribers: reader.topology.subscribers, claims: claims)
    }
}

/// What came of a part: its subscribers, and hashes of all that they claim.
private struct ReadPart {
    var subscribers: [Subscriber]
    var claims: [Int]
}

private struct ReadParts {
    private var parts: [ReadPart?]
    private(set) var isFaultless = true

    init(count: Int) { parts = Array(repeating: nil, count: count) }

    mutating func set(_ part: ReadPart?, at index: Int) {
        parts[index] = part
        if part == nil { isFaultless = false }
    }

    /// All subscribers in the order of the file; nil: a part is at fault, or two claims have one hash. That they are then the
    /// same is as good as certain, and if they are not, all that it costs is time.
    var joined: [Subscriber]? {
        guard isFaultless else { return nil }
        var subscribers: [Subscriber] = []
        subscribers.reserveCapacity(parts.reduce(0) { $0 + ($1?.subscribers.count ?? 0) })
        var claims: Set<Int> = []
        claims.reserveCapacity(parts.reduce(0) { $0 + ($1?.claims.count ?? 0) })
        for case let part? in parts {
            subscribers += part.subscribers
            for claim in part.claims where !claims.insert(claim).inserted { return nil }
        }
        return subscribers
    }
}

extension Subscriber {
    /// Hashes of the name, the private and the public identities, as `ClaimedIdentities` compares them.
    fileprivate func appendClaims(to hashes: inout [Int]) {
        func append(_ space: Int, _ octets: [UInt8]?) {
            guard let octets else { return }
            var hasher = Hasher()
            hasher.combine(space)
            octets.withUnsafeBytes { hasher.combine(bytes: $0) }
            hashes.append(hasher.finalize())
        }
        append(0, IdentityPattern(name).literal)
        for identity in privateIdentities { append(1, IdentityPattern(identity.identity, of: name)?.literal) }
        for identity in publicIdentities { append(2, IdentityPattern(identity.uri, of: name)?.literal) }
    }
}
