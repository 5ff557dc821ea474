// The JSON Schema, and the topologies that come with the program.
import Foundation
import Testing
import Topology

@Suite struct SchemaTests {
    private let schema: [String: Any]

    init() throws {
        let object = try JSONSerialization.jsonObject(with: Data(TopologySchema.json.utf8))
        schema = try #require(object as? [String: Any])
    }

    private func properties(_ path: String...) throws -> [String: Any] {
        var place = schema
        for name in path {
            place = try #require((place["properties"] as? [String: Any] ?? [:])[name] as? [String: Any] ?? place[name] as? [String: Any])
        }
        return try #require(place["properties"] as? [String: Any])
    }

    @Test func everySectionAndKeyIsThere() throws {
        #expect(
            try properties().keys.sorted() == [
                "application_servers", "clients", "core", "domain", "faults", "lab", "networks", "scenarios", "service_profiles",
                "subscribers",
            ])
        #expect(
            try properties("core").keys.sorted() == [
                "advertise", "aka_algorithms", "authentication", "authentication_failures", "authentication_info",
                "challenge_lifetime", "charging_functions", "clock", "clock_patience",
                "clock_start", "database", "digest_algorithms", "digest_qop", "digest_userhash", "dns", "expires",
                "flow_timer", "header_content_case", "hep", "hosts",
                "http", "http_token", "limits", "list_removed_contacts", "listen", "max_contacts", "recursion", "reg_event", "registrar",
                "reject_if_no_matching_ifc",
                "request_uri_scope", "require_qop",
                "seed",
                "shards", "third_party_register", "timers", "tls", "trace", "trace_bytes", "trusted", "udp_segmentation", "udp_size_limit",
                "visited_networks", "websocket_origins",
            ])
        #expect(
            try properties("subscribers", "additionalProperties").keys.sorted() == [
                "address", "aka", "application_servers", "authentication", "password", "private_identities", "private_identity",
                "profile_xml",
                "public_identities", "service_profile",
            ])
        let keys = try properties("service_profiles", "additionalProperties", "filter_criteria", "items")
        #expect(keys.keys.contains("trigger_dnf") && keys.keys.contains("profile_part"))
    }

    @Test func keysAreDescribedAndUnknownOnesRefused() throws {
        #expect(schema["additionalProperties"] as? Bool == false && schema["required"] as? [String] == ["domain"])
        for (name, value) in try properties("core") {
            let value = try #require(value as? [String: Any])
            #expect((value["description"] as? String)?.hasSuffix(".") == true, "\(name)")
        }
        let registrar = try #require(try properties("core")["registrar"] as? [String: Any])
        let choices = try #require(registrar["anyOf"] as? [[String: Any]])
        #expect(choices.first?["enum"] as? [String] == ["ims", "rfc3261"])
    }

    @Test(arguments: ["im-settings", "im-offline", "minimal", "sim", "two-servers", "two-networks", "two-networks-home2"])
    func topologiesThatComeAlongAreRight(name: String) throws {
        let folder = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent().appending(path: "../../topologies")
        let text = try String(contentsOf: folder.appending(path: "\(name).yaml"), encoding: .utf8)
        let result = Topology.load(file: "topologies/\(name).yaml", text: text, in: surroundings())
        #expect(
            result.faults.map(\.description) == [] && result.topology?.domain == (name.hasSuffix("home2") ? "home2.test" : "home1.test"))
    }
}
