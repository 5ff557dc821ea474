// The calls that have messages go astray.

public import FaultRules
import SIPTrace
import SansIO

/// A fault rule, and how often it was used.
public struct FaultState: Sendable, Hashable {
    public var id: Int
    public var rule: FaultRule
    /// Messages that it was about, and those of them that it befell.
    public var matches: UInt64
    public var hits: UInt64

    public init(id: Int, rule: FaultRule, matches: UInt64, hits: UInt64) {
        self.id = id
        self.rule = rule
        self.matches = matches
        self.hits = hits
    }
}

struct FaultInterface: Sendable {
    let backing: any CoreBacking

    var routes: [Route] {
        let backing = backing
        guard backing.operations.contains(.faults) else { return [] }
        return [
            Route(.get, "/api/faults") { _ in
                let faults = await backing.faults()
                return .json { json in
                    json.object { json in
                        json.name("faults")
                        json.array { json in for fault in faults { fault.write(to: &json) } }
                    }
                }
            },
            Route(.post, "/api/faults") { call in
                let text = try await call.text()
                let fault: FaultState
                do throws(ProvisioningFailure) { fault = try await backing.addFault(json: text) } catch { throw APIError(error) }
                var answer = Answer.json { fault.write(to: &$0) }
                answer.status = .created
                return answer
            },
            Route(.delete, "/api/faults") { _ in
                await backing.removeFaults()
                return .noContent
            },
            Route(.delete, "/api/faults/*") { call in
                guard let id = Int(call.arguments[0]), await backing.removeFault(id) else {
                    throw APIError(.notFound, "there is no fault \(call.arguments[0]) (any more); see /api/faults for those that are")
                }
                return .noContent
            },
        ]
    }
}

extension FaultState {
    fileprivate func write(to json: inout JSONWriter) {
        let match = rule.match
        json.object { json in
            json.member("id", id)
            json.member("hits", Int(hits))
            json.member("matches", Int(matches))
            if let method = match.method { json.member("method", method) }
            if let range = match.status {
                json.name("status")
                if range.count == 1 { json.integer(range.lowerBound) } else { json.string("\(range.lowerBound / 100)xx") }
            }
            if let peer = match.peer { json.member("peer", peer) }
            json.member("direction", match.direction == .incoming ? "in" : "out")
            if let transport = match.transport { json.member("transport", "\(transport.name)") }
            if let callID = match.callID { json.member("call_id", callID) }
            json.member("nth", match.nth)
            if let times = match.times { json.member("times", times) }
            if let probability = match.probability {
                json.name("probability")
                json.fraction(probability)
            }
            if let seed = match.seed { json.member("seed", seed) }
            rule.action.write(to: &json)
        }
    }
}

extension FaultRule.Action {
    fileprivate func write(to json: inout JSONWriter) {
        switch self {
        case .drop: json.member("action", "drop")
        case .delay(let span):
            json.member("action", "delay")
            json.member("delay", "\(span.nanoseconds / 1_000_000)ms")
        case .duplicate(let copies):
            json.member("action", "duplicate")
            json.member("copies", copies)
        case .reorder(let behind):
            json.member("action", "reorder")
            json.member("behind", behind)
        case .answer(let status, let headers):
            json.member("action", "answer")
            json.member("answer_status", Int(status))
            if !headers.isEmpty { json.fields("answer_headers", headers) }
        case .header(let set, let remove):
            json.member("action", "header")
            // As it may be posted again.
            if !set.isEmpty { json.fields("set", set) }
            if !remove.isEmpty { json.member("remove", remove) }
        case .corrupt(let octets):
            json.member("action", "corrupt")
            json.member("bytes", octets)
        case .cut(let octets):
            json.member("action", "cut")
            if let octets { json.member("bytes", octets) }
        case .close: json.member("action", "close")
        case .staleSequenceNumber: json.member("action", "stale_sqn")
        }
    }
}

extension JSONWriter {
    /// Header fields by name; of one that occurs more than once a list.
    fileprivate mutating func fields(_ name: String, _ fields: [FaultRule.Field]) {
        self.name(name)
        var names: [String] = []
        for field in fields where !names.contains(field.name) { names.append(field.name) }
        object { json in
            for name in names {
                let values = fields.filter { $0.name == name }.map(\.value)
                if values.count == 1 { json.member(name, values[0]) } else { json.member(name, values) }
            }
        }
    }
}

extension APIError {
    /// Why what was sent was not taken, in the statuses of HTTP.
    init(_ failure: ProvisioningFailure) {
        switch failure {
        case .invalid(let text, let field): self.init(.badRequest, text, field: field)
        case .conflict(let text, let field): self.init(.conflict, text, field: field)
        case .notStored(let text): self.init(.internalServerError, text)
        }
    }
}
