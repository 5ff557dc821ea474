// Why a request went where it went, asked of a running core and by the command.

import Glibc
import Testing

@Suite struct WhyTests {
    private struct Answer: Decodable {
        let served_user: String?
        let session_case: String?
        let registered: Bool?
        let criteria: [Criterion]
        let nearest_miss: String?
        let sentence: String

        struct Criterion: Decodable {
            let priority: Int
            let application_server: String
            let verdict: String
            let groups: [[Condition]]
        }
        struct Condition: Decodable {
            let condition: String
            let value: String?
            let verdict: Bool
        }
    }

    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func core(trace: Int = 1000) async throws -> RunningCore {
        try await RunningCore(
            in: folder, settings: "  trace: \(trace)",
            subscribers: """
                  alice: {password: wonderland, application_servers: [im]}
                application_servers:
                  im: {uri: "sip:127.0.0.1:9", feature_tags: [+g.oma.sip-im]}
                """)
    }

    /// Registers alice and publishes with a tag that is another.
    private func publish(to core: RunningCore) async throws {
        let alice = try DatagramPeer(to: core.udp)
        let identity = "<sip:alice@home1.test>"
        let register = SIPRequest(
            method: "REGISTER", uri: "sip:home1.test", from: identity, to: identity, contact: "<sip:alice@127.0.0.1:\(alice.port)>",
            port: alice.port)
        #expect(try await alice.answer(to: register).status == 200)
        let publish = SIPRequest(
            method: "PUBLISH", uri: "sip:alice@home1.test", from: identity, port: alice.port,
            headers: ["Accept-Contact: *;+g.oma.sip-im.large-message"])
        #expect(try await alice.answer(to: publish).status == 404)
    }

    @Test func `a request that nobody took is explained`() async throws {
        let core = try await core()
        try await publish(to: core)
        let found = try await http("GET", "/api/messages?method=PUBLISH", port: core.http).decoded(Messages.self).messages
        let (request, response) = (try #require(found.first), try #require(found.last))
        let answer = try await http("GET", "/api/messages/\(request.sequence)/why", port: core.http)
        #expect(answer.status == 200)
        let why = try answer.decoded(Answer.self)
        #expect(why.served_user == "sip:alice@home1.test" && why.session_case == "originating" && why.registered == true)
        let tag = try #require(why.criteria.first { $0.priority == 1 })
        #expect(tag.application_server == "im" && tag.verdict == "not_matched")
        let condition = try #require(tag.groups.last?.first)
        #expect(condition.condition == "feature_tag: +g.oma.sip-im" && !condition.verdict)
        #expect(condition.value == "*;+g.oma.sip-im.large-message")
        let miss = try #require(why.nearest_miss)
        #expect(why.sentence.hasSuffix(miss))
        #expect(try await http("GET", "/api/messages/\(response.sequence)/why", port: core.http).status == 409)
        #expect(try await http("GET", "/api/messages/9999/why", port: core.http).status == 404)

        let source = "http://127.0.0.1:\(core.http)"
        let (status, all) = try await run([sipcore, "trace", source, "--why"], named: "why", in: folder)
        #expect(status == 0)
        #expect(all.output.contains("\(request.sequence)  \(why.sentence)\n"))
        let number = String(request.sequence)
        let one = try await run([sipcore, "trace", source, "--why", "--message", number], named: "one", in: folder)
        #expect(one.0 == 0)
        #expect(one.1.output.contains("    and - feature_tag: +g.oma.sip-im (it has *;+g.oma.sip-im.large-message)\n"))
        let refused = try await run(
            [sipcore, "trace", source, "--why", "--message", String(response.sequence)], named: "refused", in: folder)
        #expect(refused.0 == 1)
        #expect(refused.1.errors.contains("is a response"))
        let ladder = try await run([sipcore, "trace", source], named: "ladder", in: folder)
        #expect(ladder.1.output.contains("─ PUBLISH ─"))
        try await core.stop()
        #expect(try await run([sipcore, "trace", source], named: "gone", in: folder).0 == 3)
    }

    @Test func `without a trace there is no why`() async throws {
        let core = try await core(trace: 0)
        try await publish(to: core)
        #expect(try await http("GET", "/api/messages/3/why", port: core.http).status == 404)
        try await core.stop()
    }
}
