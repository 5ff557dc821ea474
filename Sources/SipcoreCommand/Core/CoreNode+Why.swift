// Why a request went where it went: the trace tells the story, each shard what it decided, and both are put together here.

import ControlHTTP
import NodeRuntime
import SCSCF
import SIPTrace
import SansIO

extension CoreNode {
    func why(_ sequence: UInt64) async throws(WhyFailure) -> Why {
        let oldest = await recordedMessages(after: 0, limit: 1).messages.first?.sequence ?? 0
        // What is read may still have what is forgotten by now.
        guard sequence >= oldest else { throw .notKept }
        let story: RequestStory
        do throws(RequestStory.Failure) {
            story = try RequestStory(of: sequence, in: await digestedTrace(from: oldest))
        } catch {
            switch error {
            case .notKept: throw .notKept
            case .isResponse: throw .isResponse
            }
        }
        let accounts = await shards.perform { node, _, _ in node.account(of: story) }
        return Why(Explanation(story, accounts))
    }

    /// Messages that are copied on the thread of the core in one go.
    private static var page: Int { 256 }

    /// The trace as it was read a moment ago, with what was recorded since; all of it anew once a fourth of it is forgotten.
    private func digestedTrace(from oldest: UInt64) async -> TraceDigest {
        var digest = await lastTrace.take() ?? TraceDigest([])
        let kept = digest.newest < oldest ? 0 : Int(digest.newest - oldest + 1)
        // It may be of before a reset, too: numbers began anew since.
        let isPast = await recordedMessages(after: .max, limit: 0).newest < digest.newest
        if isPast || digest.count > kept + kept / 4 { digest = TraceDigest([]) }
        digest.append(await messages(after: digest.newest))
        await lastTrace.keep(digest)
        return digest
    }

    private func messages(after sequence: UInt64) async -> [SCSCF::TracedMessage] {
        var found: [SCSCF::TracedMessage] = []
        var newest: UInt64?
        while true {
            let page = await recordedMessages(after: found.last?.sequence ?? sequence, limit: CoreNode.page)
            for message in page.messages {
                found.append(
                    SCSCF::TracedMessage(
                        sequence: message.sequence, time: message.time, isIncoming: message.direction == .incoming,
                        peer: nodeName(of: message) ?? "\(message.transport.name)://\(message.remote.text)", octets: message.octets))
            }
            // What arrives meanwhile is passed over, or this would never end.
            if newest == nil { newest = page.newest }
            guard !page.messages.isEmpty, let last = found.last, last.sequence < newest ?? 0 else { return found }
        }
    }
}

/// A trace that was read a moment ago: `sipcore trace --why` asks for each of its requests.
actor LastTrace {
    private static let time = Duration.seconds(5)
    private var digest: TraceDigest?
    private var uses = 0

    /// The trace, for one who keeps it again.
    func take() -> TraceDigest? { digest.take() }

    func keep(_ digest: TraceDigest) {
        self.digest = digest
        forgetLater()
    }

    /// The numbers of messages begin anew.
    func forget() { digest = nil }

    /// A trace may be 64 MiB: it is not kept for somebody who asks no more.
    private func forgetLater() {
        uses += 1
        let uses = uses
        Task {
            try await Task.sleep(for: LastTrace.time)
            if uses == self.uses { self.digest = nil }
        }
    }
}

extension Why {
    fileprivate init(_ explanation: Explanation) {
        self.init(
            believedBecause: explanation.believedBecause, served: explanation.served.map { Part($0) },
            others: explanation.others.map { Part($0) },
            criteria: explanation.parts.flatMap { part in
                part.criteria.map { Criterion(of: Part(part), server: $0.server, verdict: $0.use.rawValue, conditions: $0.verdict) }
            },
            contacts: explanation.contacts.map {
                Contact(uri: $0.uri, q: $0.q, score: Int(($0.score * 1000).rounded()), verdict: $0.use.rawValue)
            },
            nextHop: explanation.nextHop, nearestMiss: explanation.nearestMiss, sentence: explanation.sentence)
    }
}

extension Why.Part {
    fileprivate init(_ part: Explanation.Part) {
        self.init(servedUser: part.servedUser, sessionCase: part.sessionCase, isRegistered: part.isRegistered)
    }
}
