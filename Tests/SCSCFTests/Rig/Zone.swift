import SansIO

/// What a name server knows, in words like those of a zone file (RFC 1035 §5.1), one record a line:
///
///     home4.test            NAPTR 10 50 s SIP+D2U _sip._udp.home4.test
///     _sip._udp.home4.test  SRV 0 1 5060 a.home4.test
///     a.home4.test          A 192.0.2.1
///     b.home4.test          A silent
///
/// `silent` is nobody's answer. What is not there is absent.
struct Zone {
    private var answers: [NameQuery: NameAnswer] = [:]
    private let lifetime: TimeSpan

    init(_ text: String, lifetime: TimeSpan = .seconds(60)) {
        self.lifetime = lifetime
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard words.count > 2 else { continue }
            let query = NameQuery(Array(words[0].utf8), Zone.type(words[1]))
            guard words[2] != "silent" else {
                answers[query] = .unanswered(for: .seconds(2))
                continue
            }
            answers[query, default: NameAnswer(records: [], lifetime: lifetime)].records.append(
                Zone.record(query.type, Array(words.dropFirst(2))))
        }
    }

    func answer(to query: NameQuery) -> NameAnswer { answers[query] ?? NameAnswer(records: [], lifetime: lifetime) }

    private static func type(_ word: String) -> NameRecordType {
        switch word {
        case "A": .a
        case "AAAA": .aaaa
        case "SRV": .srv
        case "NAPTR": .naptr
        default: preconditionFailure("no type of record: \(word)")
        }
    }

    private static func record(_ type: NameRecordType, _ words: [String]) -> NameRecord {
        func number(_ place: Int) -> UInt16 { UInt16(words[place]) ?? 0 }
        func name(_ place: Int) -> [UInt8] { words[place] == "." ? [] : Array(words[place].utf8) }
        switch type {
        case .a, .aaaa:
            guard let address = IPAddress(words[0]) else { preconditionFailure("no address: \(words[0])") }
            return .address(address)
        case .srv:
            return .server(priority: number(0), weight: number(1), port: number(2), target: name(3))
        case .naptr:
            return .pointer(
                order: number(0), preference: number(1), flags: name(2), service: name(3), replacement: name(4))
        }
    }
}
