import ControlHTTP
import SansIO
import Synchronization
import Testing

/// The calls of the IM Server.
struct IMServerTests {
    private final class FakeServer: IMServerBacking {
        let canReset: Bool
        private let messages: Mutex<[StoredMessage]>
        let resets = Atomic(0)

        init(canReset: Bool) {
            self.canReset = canReset
            messages = Mutex(
                ["sip:bob@home1.test", "sip:carol@home1.test"].enumerated().map { index, recipient in
                    StoredMessage(
                        id: "\(index + 1)", from: "sip:alice@home1.test", to: recipient, time: WallTime(seconds: 0), expires: .seconds(60),
                        expiresAt: WallTime(seconds: 60), contentType: "text/plain", body: index == 0 ? Array("hi".utf8) : [0xFF])
                })
        }

        func health() async -> Health { Health(role: "im-server", version: "1", uptime: .seconds(1), listeners: []) }
        func storedMessages() async -> [StoredMessage] { messages.withLock { $0 } }
        func removeStoredMessage(_ id: String) async throws -> Bool {
            messages.withLock { messages in
                guard let index = messages.firstIndex(where: { $0.id == id }) else { return false }
                messages.remove(at: index)
                return true
            }
        }
        func settings(of identity: String) async -> PublishedSettings? {
            guard identity == "sip:alice@home1.test" else { return nil }
            let settings: [PublishedSettings.Setting] = [.init("offline_delivery", .flag(true)), .init("answer_mode", .word("manual"))]
            return PublishedSettings(
                publicIdentity: identity, settings: settings,
                publications: [.init(etag: "e1", expires: .seconds(3600), expiresAt: WallTime(seconds: 3600), settings: settings)])
        }
        func reset() async throws { resets.add(1, ordering: .relaxed) }
    }

    private static let bob =
        #"{"id":"1","from":"sip:alice@home1.test","to":"sip:bob@home1.test","time":"1970-01-01T00:00:00.000000Z","expires":60,"#
        + #""expires_at":"1970-01-01T00:01:00.000000Z","content_type":"text/plain","body":"hi"}"#

    @Test func storedMessages() async throws {
        try await withServer(.imServer(FakeServer(canReset: false))) { client in
            #expect(await client.get("/api/health").text.hasPrefix(#"{"role":"im-server","#))
            #expect(await client.get("/api/stored?to=sip:bob@HOME1.test").text == #"{"stored":[\#(IMServerTests.bob)]}"#)
            #expect(await client.get("/api/stored").text.contains(#""body_base64":"/w==""#))
            #expect(await client.get("/api/stored?to=sip:dave@home1.test").text == #"{"stored":[]}"#)
            #expect(await client.get("/api/stored?to=bob").text.hasSuffix(#""field":"to"}"#))
            #expect(await client.call("DELETE", "/api/stored/1").status == 204)
            #expect(await client.call("DELETE", "/api/stored/1").status == 404)
            #expect(await client.get("/api/stored?to=sip:bob@home1.test").text == #"{"stored":[]}"#)
            #expect(await client.call("POST", "/api/reset").status == 404)
        }
    }

    @Test func settings() async throws {
        let server = FakeServer(canReset: true)
        try await withServer(.imServer(server)) { client in
            #expect(
                await client.get("/api/settings/sip%3Aalice%40home1.test").text
                    == #"{"public_identity":"sip:alice@home1.test","settings":{"offline_delivery":true,"answer_mode":"manual"},"#
                    + #""publications":[{"etag":"e1","expires":3600,"expires_at":"1970-01-01T01:00:00.000000Z","#
                    + #""settings":{"offline_delivery":true,"answer_mode":"manual"}}]}"#)
            #expect(await client.get("/api/settings/sip:bob@home1.test").status == 404)
            #expect(await client.call("POST", "/api/reset").status == 204)
            #expect(server.resets.load(ordering: .relaxed) == 1)
        }
    }
}
