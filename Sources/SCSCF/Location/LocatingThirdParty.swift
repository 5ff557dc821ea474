// Third-party REGISTER requests to an application server that is known by name: they wait until it is located, and go to
// its next target when one fails (RFC 3263 §4.3), before there is any default handling.

import SIPMessage
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    /// Sends one to a server that is known by its name, or lets it wait until the server is located.
    ///
    /// - Returns: false if there is no way to the server.
    mutating func locateThirdParty(_ id: SlotID, at now: Now, into effects: inout Effects) -> Bool {
        let record = thirdParty[id.index]
        guard let name = configuration.applicationServers[Int(record.route.server)].location else { return false }
        var course = course(to: name, at: now.monotonic)
        // A first registration chooses anew.
        if record.kind != .initial { course = targets(course, of: record.user.subscriber, record.route.name) }
        switch course {
        case .over(let flows): return send(id, to: flows, at: now, into: &effects)
        case .nowhere: return false
        case .unknown: return locations.look(name, for: .thirdParty(id), at: now.monotonic, into: &effects.names)
        }
    }

    /// Goes on with one that has waited.
    mutating func thirdPartyLocated(_ id: SlotID, at now: Now, into effects: inout Effects) {
        guard thirdParty.contains(id) else { return }
        if !locateThirdParty(id, at: now, into: &effects) { thirdPartyUnanswered(id, 503, at: now, into: &effects) }
    }

    /// Sends it to the next target of its server, if there is one left.
    mutating func thirdPartyToNextTarget(_ id: SlotID, at now: Now, into effects: inout Effects) -> Bool {
        guard thirdParty[id.index].hasAlternatives, let flows = alternatives[Owner.thirdParty(id).rawValue] else { return false }
        return send(id, to: flows, at: now, into: &effects)
    }

    /// Keeps the targets that it has not tried.
    mutating func keep(_ flows: ArraySlice<Flow>, forThirdParty id: SlotID) {
        guard thirdParty[id.index].hasAlternatives || !flows.isEmpty else { return }
        thirdParty[id.index].hasAlternatives = !flows.isEmpty
        alternatives[Owner.thirdParty(id).rawValue] = flows.isEmpty ? nil : flows
    }
}
