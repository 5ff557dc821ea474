// The servers that a name stands for, and the order in which they are tried (RFC 3263 §4.2, RFC 2782).

import SansIO

/// One SRV record, or what stands for it where there is none.
struct LocatedServer: Hashable {
    /// Which choice of a transport it belongs to, the best first: a later one is tried when all of an earlier one failed.
    var choice: UInt16 = 0
    var priority: UInt16 = 0
    var weight: UInt16 = 0
    /// The addresses of its name.
    var destinations: [Destination]
}

/// What a name stands for, as long as that holds.
struct ServerSet: Hashable {
    /// By choice and priority, those without weight first among equals.
    let servers: [LocatedServer]
    /// Whether all who were asked have answered.
    let isConclusive: Bool
    let lifetime: TimeSpan

    init(_ servers: [LocatedServer], isConclusive: Bool, lifetime: TimeSpan) {
        let order = servers.enumerated().sorted { a, b in
            let (one, other) = (a.element, b.element)
            return (one.choice, one.priority, one.weight == 0 ? 0 : 1, a.offset)
                < (other.choice, other.priority, other.weight == 0 ? 0 : 1, b.offset)
        }
        self.servers = order.map(\.element)
        self.isConclusive = isConclusive
        self.lifetime = lifetime
    }

    /// The destinations in the order in which one transaction tries them: drawn anew for each, so that many of them are
    /// shared out by weight, and kept for it (RFC 3263 §4.2).
    func ordered(using random: inout RandomSource) -> [Destination] {
        if servers.count == 1 { return servers[0].destinations }
        var destinations: [Destination] = []
        var start = 0
        while start < servers.count {
            var end = start + 1
            while end < servers.count, servers[end].choice == servers[start].choice, servers[end].priority == servers[start].priority {
                end += 1
            }
            var group = Array(servers[start..<end])
            while !group.isEmpty {
                destinations += group.remove(at: ServerSet.selection(from: group, using: &random)).destinations
            }
            start = end
        }
        return destinations
    }

    /// RFC 2782, page 4: the first whose running sum of weights is not less than a number drawn from 0 to their sum.
    private static func selection(from group: [LocatedServer], using random: inout RandomSource) -> Int {
        guard group.count > 1 else { return 0 }
        let sum = group.reduce(0) { $0 + Int($1.weight) }
        let drawn = Int.random(in: 0...sum, using: &random)
        var running = 0
        for (place, server) in group.enumerated() {
            running += Int(server.weight)
            if running >= drawn { return place }
        }
        return group.count - 1
    }
}
