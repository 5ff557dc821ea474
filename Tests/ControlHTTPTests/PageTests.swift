import Testing

@testable import ControlHTTP

/// The web page and the description of the interface, as the server gives them out.
struct PageTests {
    private static let files = ["/", "/page.css", "/page.js", "/interface.js", "/ladder.js", "/message.js", "/panels.js", "/icon.svg"]

    @Test func thePageIsWholeAndLoadsNothingFromElsewhere() async throws {
        try await withServer(.core(FakeCore())) { client in
            for path in PageTests.files {
                let answer = await client.get(path)
                #expect(answer.status == 200, "\(path)")
                #expect(answer.header("Content-Security-Policy")?.hasPrefix("default-src 'self';") == true)
                for place in answer.text.split(separator: "http").dropFirst() where place.hasPrefix("://") || place.hasPrefix("s://") {
                    #expect(place.hasPrefix("://www.w3.org/2000/svg"), "\(path) names a place elsewhere: http\(place.prefix(40))")
                }
            }
            let page = await client.get("/")
            #expect(page.header("Content-Type") == "text/html; charset=utf-8")
            #expect(page.text.hasPrefix("<!doctype html>"))
            #expect(await client.get("/page.js").header("Content-Type") == "text/javascript; charset=utf-8")
            #expect(await client.call("HEAD", "/").status == 200)
            #expect(await client.call("POST", "/").status == 405)
        }
    }

    @Test func whoHasThePageIsToldSo() async throws {
        try await withServer(.core(FakeCore())) { client in
            let tag = try #require(await client.get("/page.js").header("ETag"))
            let host = "Host: 127.0.0.1:\(client.port)"
            let known = await client.call("GET", "/page.js", headers: [host, "If-None-Match: \(tag)"])
            #expect(known.status == 304 && known.body.isEmpty)
            #expect(await client.call("GET", "/page.css", headers: [host, "If-None-Match: \(tag)"]).status == 200)
        }
    }

    /// The page can ask for the token only once it is there; it shows nothing by itself.
    @Test func thePageNeedsNoTokenButAllElseDoes() async throws {
        try await withServer(.core(FakeCore()), token: "s3cret") { client in
            for path in PageTests.files { #expect(await client.get(path).status == 200, "\(path)") }
            #expect(await client.get("/?x=1").status == 400)
            for path in ["/api/openapi.yaml", "/api/messages", "/page.html", "/metrics"] {
                #expect(await client.get(path).status == 401, "\(path)")
            }
            let stranger = await client.call("GET", "/", headers: ["Host: evil.test"])
            #expect(stranger.status == 403)
        }
    }

    // MARK: The description

    private static let everything = FakeCore(operations: [
        .deregistration, .reauthentication, .reset, .provisioning, .sending, .faults, .clock,
    ])

    private static func calls(of core: FakeCore) -> Set<String> {
        Set(
            ControlInterface.core(core).routes.filter { !$0.isOpen }.map { InterfaceDescription.call($0.method.rawValue, $0.path) })
    }

    @Test func everyCallIsDescribedAndNoOther() {
        let calls = PageTests.calls(of: PageTests.everything)
        #expect(calls.subtracting(InterfaceDescription.described) == [])
        #expect(InterfaceDescription.described.subtracting(calls) == [])
    }

    @Test func onlyTheCallsOfThisCoreAreTold() async throws {
        try await withServer(.core(FakeCore())) { client in
            let answer = await client.get("/api/openapi.yaml")
            #expect(answer.status == 200)
            #expect(answer.header("Content-Type") == "application/yaml")
            #expect(answer.text.hasPrefix("openapi: 3.1.0\n"))
            #expect(answer.text.contains("\n  /api/registrations/{public_identity}:\n    get:\n"))
            #expect(!answer.text.contains("operationId: deleteRegistration"))
            #expect(!answer.text.contains("/api/send:"))
            #expect(answer.text.contains("\ncomponents:\n"))
        }
    }

    @Test func theParametersAreThoseThatAreKnown() {
        let text = InterfaceDescription.text(of: PageTests.calls(of: PageTests.everything))
        for parameter in MessageQuery.parameters where !parameter.hasSuffix("*") {
            let forms = ["- name: \(parameter)\n          in: query\n", " name: \(parameter)\n      in: query\n"]
            #expect(forms.contains { text.contains($0) }, "\(parameter)")
        }
    }
}
