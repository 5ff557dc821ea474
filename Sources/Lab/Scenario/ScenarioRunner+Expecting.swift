// The step `expect`: looks at what arrived until it holds or the time is over.

import JSONText
import Topology

extension ScenarioRunner {
    // MARK: Messages

    func look(for expectation: Expectation) async throws(StepFailure) {
        let clock = ContinuousClock()
        let deadline = clock.now + .milliseconds(expectation.withinMilliseconds)
        let before = block
        var search = Search(expectation)
        var wait = 0
        while true {
            do throws(HTTPCall.Failure) { try await fetch(waitMilliseconds: search.needsMessages ? wait : 0) } catch {
                try await coreIsSilent(error)
            }
            if search.needsMessages { find(&search, from: before) }
            if let wanted = expectation.stored { search.storedFault = await storedFault(wanted, at: expectation.node) }
            let left = (deadline - clock.now).milliseconds
            if search.isSettled(isOver: left <= 0 || Task.isCancelled) { break }
            wait = min(left, ScenarioRunner.pollMilliseconds)
            if !search.needsMessages || expectation.stored != nil { try? await Task.sleep(for: .milliseconds(min(left, 10))) }
            // The core's own waiting serves only while nothing else is asked for.
            if expectation.stored != nil { wait = 0 }
        }
        guard search.holds else { throw failure(of: search) }
        guard let first = search.found.first else { return }
        let message = log[first]
        try capture(
            expectation.capture, from: "#\(message.sequence) \(message.name)", headers: { message.values(of: $0) }, body: message.body)
    }

    /// What an expectation has found so far.
    private struct Search {
        let expectation: Expectation
        /// Places of messages.
        var found: [Int] = []
        var storedFault: String?

        init(_ expectation: Expectation) { self.expectation = expectation }

        private var isEnough: Bool { !expectation.asksForMessage || expectation.count.holds(found.count) }
        private var isTooMuch: Bool { expectation.count.most.map { found.count > $0 } ?? false }

        /// Enough without an upper bound is enough for good.
        var needsMessages: Bool { expectation.asksForMessage && (!isEnough || expectation.hasUpperBound) }
        var holds: Bool { isEnough && storedFault == nil }

        func isSettled(isOver: Bool) -> Bool { isOver || isTooMuch || (!needsMessages && storedFault == nil) }
    }

    /// - Parameter before: what the steps before hold; each look begins there anew.
    private func find(_ search: inout Search, from before: ExpectationBlock) {
        block = before
        search.found = block.satisfyAll(search.expectation, arrived: arrived(at: search.expectation.node)) { self.log[$0] }
    }

    func arrived(at node: String) -> [Int] {
        (mark..<log.count).filter { whereabouts.arrived(log[$0], at: node) }
    }

    // MARK: Stored messages

    /// Why the number of stored messages is not the one awaited; nil if it is.
    private func storedFault(_ wanted: Int, at node: String) async -> String? {
        guard let base = await supervisor.status(of: node)?.readyLine?["http"]?.text else {
            return "\(node) has no HTTP interface that tells what it stores (a built-in IM Server has)"
        }
        do throws(HTTPCall.Failure) {
            let count = try await storedMessageCount(at: base)
            return count == wanted ? nil : "\(count) stored at \(node)"
        } catch {
            return error.description
        }
    }

    // MARK: Hits of a fault

    func look(for expectation: HitsExpectation) async throws(StepFailure) {
        let clock = ContinuousClock()
        let deadline = clock.now + .milliseconds(expectation.withinMilliseconds)
        let id = try idOfFault(expectation.fault)
        let awaited =
            "\(expectation.hits.text) hits of the fault \(expectation.fault) within "
            + Duration.milliseconds(expectation.withinMilliseconds).text
        while true {
            let hits = try await steer(awaited) { (core) throws(HTTPCall.Failure) in try await core.hits(ofFault: id) }
            if expectation.hits.holds(hits) { return }
            let isTooMuch = expectation.hits.most.map { hits > $0 } ?? false
            if isTooMuch || clock.now >= deadline || Task.isCancelled {
                throw StepFailure(awaited: awaited, cameInstead: ["\(hits) hits"])
            }
            try? await Task.sleep(for: .milliseconds(10))
        }
    }

    // MARK: What came instead

    private func failure(of search: Search) -> StepFailure {
        let expectation = search.expectation
        var failure = StepFailure(awaited: expectation.sentence, cameInstead: search.storedFault.map { [$0] } ?? [])
        guard search.needsMessages else { return failure }
        if let most = expectation.count.most, search.found.count > most {
            failure.cameInstead += search.found.map { "#\(log[$0].sequence) \(log[$0].name): as awaited, but one too many" }
            return failure
        }
        if expectation.count.least > 1, !search.found.isEmpty {
            failure.cameInstead.append(
                "\(search.found.count) of them: " + search.found.map { "#\(log[$0].sequence)" }.joined(separator: ", "))
        }
        failure.cameInstead += whatCame(instead: expectation, besides: search.found)
        failure.nearest = NearestMessage(nearestTo: expectation, among: candidates(expectation, found: search.found))
        return failure
    }

    /// - Parameter found: what is as awaited, only too few of it.
    private func whatCame(instead expectation: Expectation, besides found: [Int]) -> [String] {
        if topology.core.trace == 0 { return ["nothing can be seen: core.trace is 0, so the core keeps no messages; leave it out"] }
        let here = arrived(at: expectation.node)
        guard !here.isEmpty else {
            let elsewhere = log[mark...].map(nameWithPeer)
            let others = elsewhere.isEmpty ? "" : "; elsewhere: " + elsewhere.suffix(8).joined(separator: ", ")
            return ["nothing at \(expectation.node)\(others)"]
        }
        return here.filter { !found.contains($0) }.suffix(20).map { place in
            let reason = expectation.mismatch(with: log[place]) ?? reasonAgainst(place)
            return "#\(log[place].sequence) \(log[place].name): \(reason)"
        }
    }

    /// Why a message does not count that is as awaited.
    private func reasonAgainst(_ place: Int) -> String {
        block.holds(place) ? "satisfies an earlier step" : "came before those of earlier steps"
    }

    private func candidates(_ expectation: Expectation, found: [Int]) -> [NearestMessage.Candidate] {
        (mark..<log.count).filter { !found.contains($0) }.map { place in
            let isAtNode = whereabouts.arrived(log[place], at: expectation.node)
            let isRight = expectation.mismatch(with: log[place]) == nil
            let remark = !isRight ? nil : isAtNode ? reasonAgainst(place) : "not at \(expectation.node)"
            return NearestMessage.Candidate(
                message: log[place], name: nameWithPeer(log[place]), isAtNode: isAtNode, remark: remark)
        }
    }

    private func nameWithPeer(_ message: RecordedMessage) -> String {
        "\(message.name) \(message.isInbound ? "from" : "to") \(whereabouts.otherEnd(of: message))"
    }
}
