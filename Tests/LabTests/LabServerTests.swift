import Glibc
import Testing

@testable import Lab

/// The interface over a real connection.
@Suite struct LabServerTests {
    private func server(on address: HostAndPort) async throws -> LabServer {
        let link = try GuardLink(command: [sipcoreExecutable, LabGuard.subcommand])
        let supervisor = Supervisor(
            plans: [], link: link, output: try NodeOutput(logFolder: nil), addressOfURI: { _ in nil }, unexpectedEnd: { _ in })
        return try await LabServer.start(on: address) {
            LabInterface(
                supervisor: supervisor, address: $0, token: "s3cret", identity: { _ in nil }, version: "1", began: .now)
        }
    }

    @Test func itServesOnThePortThatItTook() async throws {
        let server = try await server(on: HostAndPort(host: "127.0.0.1", port: 0))
        #expect(server.address.port != 0)
        func ask(_ method: String, _ target: String, token: String? = "s3cret") async throws -> HTTPCall.Answer {
            try await HTTPCall(method: method, base: "http://\(server.address)", target: target, token: token).answer()
        }
        let answer = try await ask("GET", "/api/nodes")
        #expect(answer.status == 200 && answer.body == Array("{\"nodes\":[]}\n".utf8))
        #expect(answer.values(of: "content-type") == ["application/json"])
        #expect(try await ask("GET", "/").status == 404)
        let wrong = try await ask("PUT", "/api/nodes")
        #expect(wrong.status == 405 && wrong.values(of: "Allow") == ["GET"])
        let stranger = try await ask("GET", "/api/nodes", token: nil)
        #expect(stranger.status == 401 && stranger.values(of: "WWW-Authenticate") == ["Bearer"])
        await server.stop()
    }

    @Test func aTakenPortIsAFailureThatSaysSo() async throws {
        let taken = try #require(boundSocket(to: HostAndPort(host: "127.0.0.1", port: 0), type: SOCK_STREAM))
        defer { close(taken.descriptor) }
        try #require(listen(taken.descriptor, 1) == 0)
        let address = HostAndPort(host: "127.0.0.1", port: taken.port)
        let failure = await #expect(throws: LabServer.Failure.self) { try await server(on: address) }
        #expect(failure?.description == "lab.http: cannot listen on \(address): Address already in use")
    }
}
