// The fault rules of the core: read as the topology's reader reads them, and given to whoever stands before its sockets.

import ControlHTTP
import FaultRules
import NodeRuntime
import SIPTrace
import SansIO
import Topology

extension CoreNode {
    func faults() async -> [FaultState] { interceptor.withTable { $0.entries.map { FaultState($0) } } }

    func addFault(json: String) async throws(ProvisioningFailure) -> FaultState {
        let plan: FaultPlan
        do throws(FieldFault) {
            plan = try topology.fault(json: json, in: surroundings)
        } catch {
            throw .invalid(error.text, field: error.field)
        }
        let rule = FaultRule(plan)
        guard let state = interceptor.withTable({ $0.add(rule).map { FaultState($0) } }) else {
            throw .conflict("there are \(FaultTable.limit) faults already; remove some first", field: nil)
        }
        return state
    }

    func removeFault(_ id: Int) async -> Bool { interceptor.withTable { $0.remove(id) } }

    func removeFaults() async { interceptor.withTable { $0.removeAll() } }
}

extension FaultState {
    fileprivate init(_ entry: FaultTable.Entry) {
        self.init(id: entry.number, rule: entry.rule, matches: entry.matches, hits: entry.hits)
    }
}

extension FaultRule {
    init(_ plan: FaultPlan) {
        var match = Match()
        match.method = plan.method
        match.status = plan.status
        match.peer = plan.peer
        match.direction = plan.isOutgoing ? .outgoing : .incoming
        match.transport = plan.transport.map { Transport($0) }
        match.callID = plan.callID
        match.nth = plan.nth
        match.times = plan.times
        match.probability = plan.probability
        match.seed = plan.seed
        self.init(Action(plan.action), of: match)
    }
}

extension FaultRule.Action {
    fileprivate init(_ action: FaultAction) {
        func fields(_ headers: [FaultAction.HeaderText]) -> [FaultRule.Field] { headers.map { FaultRule.Field($0.name, $0.value) } }
        self =
            switch action {
            case .drop: .drop
            case .delay(let milliseconds): .delay(.milliseconds(milliseconds))
            case .duplicate(let copies): .duplicate(copies: copies)
            case .reorder(let behind): .reorder(behind: behind)
            case .answer(let status, let headers): .answer(status: status, headers: fields(headers))
            case .header(let set, let remove): .header(set: fields(set), remove: remove)
            case .corrupt(let bytes): .corrupt(octets: bytes)
            case .cut(let bytes): .cut(octets: bytes)
            case .close: .close
            case .staleSequenceNumber: .staleSequenceNumber
            }
    }
}
