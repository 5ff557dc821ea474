import Logging
import SansIO
import Testing

@testable import ControlHTTP

/// Who may call, and who may not.
struct AccessTests {
    @Test func onlyOurHostIsAnswered() async throws {
        try await withServer(.core(FakeCore()), hostNames: ["Lab.Test"]) { client in
            let port = client.port
            for host in ["127.0.0.1:\(port)", "localhost:\(port)", "LOCALHOST:\(port)", "lab.test:\(port)"] {
                #expect(await client.call("GET", "/api/health", headers: ["Host: \(host)"]).status == 200, "\(host)")
            }
            for host in [
                "evil.test:\(port)", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.test:\(port)", "[::1]:\(port)", "10.0.0.1:\(port)", "x:y",
            ] {
                let answer = await client.call("GET", "/api/health", headers: ["Host: \(host)"])
                #expect(answer.status == 403, "\(host)")
                #expect(answer.text.hasPrefix(#"{"error":"the Host \#(host) is not this server; call it as 127.0.0.1:\#(port)""#))
            }
            #expect(await client.call("GET", "/api/health", headers: []).status == 400)
            let twice = ["Host: 127.0.0.1:\(port)", "Host: evil.test"]
            #expect(await client.call("GET", "/api/health", headers: twice).status == 400)
        }
    }

    @Test func onlyOurPagesMayCall() async throws {
        try await withServer(.core(FakeCore(operations: [.reset]))) { client in
            let host = "Host: 127.0.0.1:\(client.port)"
            for origin in ["http://127.0.0.1:\(client.port)", "http://localhost:\(client.port)"] {
                #expect(await client.call("POST", "/api/reset", headers: [host, "Origin: \(origin)"]).status == 204, "\(origin)")
            }
            for origin in ["http://evil.test", "null", "https://127.0.0.1:\(client.port)", "http://127.0.0.1", ""] {
                #expect(await client.call("POST", "/api/reset", headers: [host, "Origin: \(origin)"]).status == 403, "\(origin)")
            }
        }
    }

    @Test func aTokenIsAskedForEverywhere() async throws {
        try await withServer(.core(FakeCore()), token: "s3cret") { client in
            let host = "Host: 127.0.0.1:\(client.port)"
            for target in ["/api/health", "/metrics", "/nowhere"] {
                let answer = await client.get(target)
                #expect(answer.status == 401)
                #expect(answer.header("WWW-Authenticate") == "Bearer")
                #expect(answer.text.hasPrefix(#"{"error":"the token is missing or wrong"#))
            }
            for wrong in ["Bearer", "Bearer x", "Bearer s3cret0", "Bearer s3cre", "Basic s3cret", "s3cret"] {
                #expect(await client.call("GET", "/api/health", headers: [host, "Authorization: \(wrong)"]).status == 401, "\(wrong)")
            }
            for right in ["Bearer s3cret", "bearer  s3cret"] {
                #expect(await client.call("GET", "/api/health", headers: [host, "Authorization: \(right)"]).status == 200)
            }
        }
    }

    @Test func aWildcardListenerIsCalledByAddress() throws {
        let access = Access(address: Endpoint(address: IPAddress(v4: 0), port: 8080), token: "t", hostNames: [])
        for host in ["192.0.2.1:8080", "192.0.2.1:9999", "[2001:db8::1]:8080", "localhost:8080"] {
            #expect(throws: Never.self) { try access.check(hosts: [host], origins: [], authorization: "Bearer t") }
        }
        #expect(throws: APIError.self) { try access.check(hosts: ["evil.test:8080"], origins: [], authorization: "Bearer t") }
    }

    @Test func iPv6Authorities() throws {
        let access = Access(address: Endpoint(address: try #require(IPAddress("::1")), port: 80), token: nil, hostNames: [])
        for host in ["[::1]", "[::1]:80", "[0:0::1]:80", "localhost"] {
            #expect(throws: Never.self) { try access.check(hosts: [host], origins: ["http://[::1]"], authorization: nil) }
        }
        for host in ["[::2]", "[::1", "[::1]:", "[::1]:x", ":80", ""] {
            #expect(throws: APIError.self) { try access.check(hosts: [host], origins: [], authorization: nil) }
        }
    }
}

/// What can go wrong at the start is said in one line.
struct StartingTests {
    private func server(at address: Endpoint, token: String? = nil) -> ControlServer {
        ControlServer(.core(FakeCore()), at: address, token: token, logger: Logger(label: "test"))
    }

    @Test func offLoopbackATokenIsNeeded() async {
        let address = Endpoint(address: IPAddress(v4: 0), port: 0)
        await #expect(throws: ControlFailure.tokenMissing(address)) { try await server(at: address).run() }
        #expect(ControlFailure.tokenMissing(address).description.contains("set core.http_token"))
    }

    @Test func aPortInUse() async throws {
        try await withServer(.core(FakeCore())) { client in
            let taken = Endpoint(address: .loopback, port: client.port)
            await #expect(throws: ControlFailure.addressInUse(taken)) { try await server(at: taken).run() }
            #expect(ControlFailure.addressInUse(taken).description.hasPrefix("the HTTP address 127.0.0.1:\(client.port) is in use"))
        }
    }

    @Test func anAddressOfAnotherMachine() async throws {
        let elsewhere = Endpoint(address: try #require(IPAddress("192.0.2.1")), port: 0)
        await #expect(throws: ControlFailure.addressNotAvailable(elsewhere)) { try await server(at: elsewhere, token: "t").run() }
    }
}
