// `sipcore-bench profile`: what a filter criterion costs a request that it does not take, and what it costs to choose among
// contacts by the caller's preferences.

import IMSProfile
import SIPMessage
import SansIO

enum ProfileBench {
    private static let request = """
        MESSAGE sip:u0000001@ims.test SIP/2.0\r
        Via: SIP/2.0/UDP 127.0.0.1:15060;branch=z9hG4bKlg7;rport\r
        Max-Forwards: 70\r
        From: <sip:caller@ims.test>;tag=1\r
        To: <sip:u0000001@ims.test>\r
        Call-ID: 1@bench\r
        CSeq: 1 MESSAGE\r
        Accept-Contact: *;+g.oma.sip-im;methods="MESSAGE";require\r
        Reject-Contact: *;automata\r
        User-Agent: bench-ue/1\r
        Content-Type: text/plain\r
        Content-Length: 5\r
        \r
        hello
        """

    static func run() {
        let octets = Array(request.utf8)
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        for count in [10, 100, 1000] {
            let profile = criteria(count)
            let context = EvaluationContext(sessionCase: .originating, isRegistered: true)
            var taken = 0
            let cost = median(rounds: 2_000_000 / count) { rounds in
                for _ in 0..<rounds where profile.firstMatch(from: 0, scanner.message(octets.span.bytes), context) != nil { taken += 1 }
            }
            precondition(taken == 0, "a criterion takes the request")
            print("\(count) criteria: \(tenths(cost / Double(count))) ns a criterion, \(Int(cost)) ns a request")
        }
        for count in [1, 5, 50] {
            let contacts = (0..<count).map { contact($0) }
            var kept = 0
            let cost = median(rounds: 200_000 / count) { rounds in
                for _ in 0..<rounds { kept += selection(of: contacts, for: scanner.message(octets.span.bytes)) }
            }
            precondition(kept > 0, "no contact fits")
            print("\(count) contacts: \(Int(cost)) ns a selection, \(tenths(cost / Double(count))) ns a contact")
        }
    }

    /// Of three kinds in turn: another method, a tag that the request does not ask for, a header that does not match.
    private static func criteria(_ count: Int) -> ServiceProfile {
        let criteria = (0..<count).map { number in
            let conditions: [ServicePointTrigger.Condition] =
                switch number % 3 {
                case 0: [.method("PUBLISH"), .sessionCase(.originating), .header("Accept-Contact", content: #"\+g\.oma\.sip-im([;,]|$)"#)]
                case 1: [.method("MESSAGE"), .featureTag("+g.bench.tag\(number)")]
                default: [.method("MESSAGE"), .sessionCase(.originating), .header("User-Agent", content: "^bench-ue/\(number + 2)$")]
                }
            return InitialFilterCriterion(
                priority: number, trigger: TriggerPoint(isConjunctive: true, groups: conditions.map { [ServicePointTrigger($0)] }),
                applicationServer: ApplicationServer(uri: "sip:127.0.0.1:15080", index: 0))
        }
        var faults: [CriterionFault] = []
        let profile = ServiceProfile(criteria, faults: &faults)
        precondition(faults.isEmpty, "\(faults)")
        return profile
    }

    /// Some are discarded, some fit the caller better than others.
    private static func contact(_ number: Int) -> [UInt8] {
        let tags = [
            ";+g.oma.sip-im;methods=\"INVITE,MESSAGE\"", ";audio;methods=\"INVITE,BYE\"", ";+g.oma.sip-im;automata;methods=\"MESSAGE\"",
            ";methods=\"MESSAGE\";text", ";+g.oma.sip-im;video;audio",
        ]
        return Array("\(tags[number % tags.count]);+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-\(number)>\";q=0.5".utf8)
    }

    private static func selection(of contacts: [[UInt8]], for request: borrowing Message) -> Int {
        let preferences = CallerPreferences(request)
        var kept: [(number: Int, preference: Double)] = []
        for number in contacts.indices {
            let parameters = contacts[number]
            let rating = preferences.rating(contactParameters: parameters.span.bytes)
            if !rating.isDiscarded { kept.append((number, rating.preference)) }
        }
        kept.sort { $0.preference > $1.preference }
        return kept.count
    }

    /// Nanoseconds a round: the median of seven runs.
    private static func median(rounds: Int, _ body: (Int) -> Void) -> Double {
        let clock = ContinuousClock()
        body(max(1, rounds / 10))
        let runs = (0..<7).map { _ in
            let elapsed = clock.measure { body(rounds) }.components
            return (Double(elapsed.seconds) * 1e9 + Double(elapsed.attoseconds) / 1e9) / Double(rounds)
        }
        return runs.sorted()[3]
    }

    private static func tenths(_ number: Double) -> Double { (number * 10).rounded() / 10 }
}
