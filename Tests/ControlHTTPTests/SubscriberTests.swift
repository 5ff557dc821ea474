import Testing

@testable import ControlHTTP

/// The calls that show and change who is provisioned.
struct SubscriberTests {
    private func put(_ client: HTTPClient, _ name: String, _ body: String) async -> HTTPClient.Answer {
        await client.exchange(
            "PUT /api/subscribers/\(name) HTTP/1.1\r\nHost: 127.0.0.1:\(client.port)\r\nConnection: close\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    private let alice =
        #"{"name":"alice","authentication":"digest","private_identity":"alice@home1.test","#
        + #""private_identities":{"alice-tablet@home1.test":{}},"public_identities":["sip:alice@home1.test"],"#
        + #""application_servers":["im"],"service_profile":null,"profile_xml":null}"#

    @Test func subscribersComeAndGo() async throws {
        let core = FakeCore(operations: [.provisioning])
        try await withServer(.core(core)) { client in
            #expect(await client.get("/api/subscribers").text == #"{"subscribers":[]}"#)
            let created = await put(client, "alice", #"{"password":"wonderland"}"#)
            #expect(created.status == 201)
            #expect(created.text == alice)
            #expect(await put(client, "alice", #"{"password":"mirror"}"#).status == 200)
            #expect(core.bodies == [#"{"password":"wonderland"}"#, #"{"password":"mirror"}"#])
            #expect(await client.get("/api/subscribers").text == #"{"subscribers":[\#(alice)]}"#)
            #expect(await client.get("/api/subscribers/alice").text == alice)
            let gone = await client.call("DELETE", "/api/subscribers/alice")
            #expect(gone.status == 204 && gone.body.isEmpty)
            for method in ["GET", "DELETE"] {
                let missing = await client.call(method, "/api/subscribers/alice")
                #expect(missing.status == 404)
                #expect(missing.text == #"{"error":"there is no subscriber alice; see /api/subscribers, or put one"}"#)
            }
        }
    }

    @Test func aRangeTellsItsExceptions() async throws {
        var range = ProvisionedSubscriber(
            name: "u{0..9}", authentication: "none", privateIdentities: ["{name}@home1.test"], publicIdentities: ["sip:{name}@home1.test"])
        range.exceptions = ["u3"]
        let core = FakeCore(operations: [.provisioning], subscribers: [range])
        try await withServer(.core(core)) { client in
            let answer = await client.get("/api/subscribers/u%7B0..9%7D")
            #expect(answer.text.hasPrefix(#"{"name":"u{0..9}","authentication":"none","#))
            #expect(answer.text.hasSuffix(#","except":["u3"]}"#))
        }
    }

    @Test(arguments: [
        (ProvisioningFailure.invalid("wrong; right", field: "password"), 400, #"{"error":"wrong; right","field":"password"}"#),
        (
            .conflict("another's; write others", field: "public_identities"), 409,
            #"{"error":"another's; write others","field":"public_identities"}"#
        ),
        (.notStored("the disk is full"), 500, #"{"error":"the disk is full"}"#),
    ]) func failuresHaveTheirStatus(failure: ProvisioningFailure, status: Int, text: String) async throws {
        let core = FakeCore(operations: [.provisioning], failure: failure)
        try await withServer(.core(core)) { client in
            let answer = await put(client, "alice", "{}")
            #expect(answer.status == status)
            #expect(answer.text == text)
            #expect(await client.call("DELETE", "/api/subscribers/alice").status == status)
        }
    }

    @Test func aBodyHasALimitAndAnEncoding() async throws {
        try await withServer(.core(FakeCore(operations: [.provisioning]))) { client in
            #expect(await put(client, "alice", String(repeating: " ", count: 1 << 20 | 1)).status == 413)
            let request =
                "PUT /api/subscribers/a HTTP/1.1\r\nHost: 127.0.0.1:\(client.port)\r\nConnection: close\r\nContent-Length: 1\r\n\r\n"
            let answer = await client.exchange(Array(request.utf8) + [0xFF])
            #expect(answer.status == 400)
            #expect(answer.text.contains("UTF-8"))
        }
    }

    @Test func aCoreThatCannotHasNoSuchCalls() async throws {
        try await withServer(.core(FakeCore())) { client in
            #expect(await client.get("/api/subscribers").status == 404)
        }
    }

    @Test func usersAreMadeToProveThemselves() async throws {
        let registration = Registration(
            publicIdentity: "sip:alice@home1.test", privateIdentity: "alice@home1.test", implicitSet: ["sip:alice@home1.test"], contacts: []
        )
        let core = FakeCore(operations: [.reauthentication], registrations: [registration])
        try await withServer(.core(core)) { client in
            let done = await client.call("POST", "/api/registrations/sip:alice@HOME1.test/reauthenticate")
            #expect(done.status == 204 && done.body.isEmpty)
            #expect(core.reauthenticated == ["sip:alice@home1.test"])
            #expect(await client.call("POST", "/api/registrations/sip:bob@home1.test/reauthenticate").status == 404)
            #expect(await client.call("POST", "/api/registrations/bob/reauthenticate").status == 400)
            #expect(await client.call("GET", "/api/registrations/sip:bob@home1.test/reauthenticate").status == 405)
        }
    }
}
