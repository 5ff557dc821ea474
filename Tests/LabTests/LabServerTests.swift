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
            LabInterface(supervisor: supervisor, address: $0, token: nil, identity: { _ in nil })
        }
    }

    @Test func itServesOnThePortThatItTook() async throws {
        let server = try await server(on: HostAndPort(host: "127.0.0.1", port: 0))
        #expect(server.address.port != 0)
        let answer = try await HTTPCall(base: "http://\(server.address)", target: "/api/nodes").answer()
        #expect(answer == .init(status: 200, body: Array("{\"nodes\":[]}\n".utf8)))
        let missing = try await HTTPCall(base: "http://\(server.address)", target: "/").answer()
        #expect(missing.status == 404)
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
