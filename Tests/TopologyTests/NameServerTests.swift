import Testing

@testable import Topology

/// `core.dns`: who is asked for names.
@Suite struct NameServerTests {
    @Test(arguments: [
        ("127.0.0.1:5353", NameServer.server(HostPort(host: "127.0.0.1", port: 5353))),
        ("127.0.0.1", .server(HostPort(host: "127.0.0.1", port: 53))), ("'[::1]:5353'", .server(HostPort(host: "::1", port: 5353))),
        ("'::1'", .server(HostPort(host: "::1", port: 53))), ("none", .nobody),
    ])
    func whoIsAsked(value: String, expected: NameServer) throws {
        let topology = try #require(read("domain: a.test\ncore: {dns: \(value)}\n").topology)
        #expect(topology.core.dns == expected)
    }

    @Test func leftOutItIsTheSystems() throws { #expect(try #require(read("domain: a.test\n").topology).core.dns == .system) }

    @Test(arguments: [
        ("resolver.test", "'resolver.test' is no address of a name server; write one such as 127.0.0.1:5353, or none"),
        ("127.0.0.1:0", "'0' is no port of a name server; write a number from 1 to 65535"),
        ("127.0.0.1:x", "'x' is no port of a name server; write a number from 1 to 65535"),
    ])
    func whoCannotBeAsked(value: String, fault: String) {
        #expect(faults("domain: a.test\ncore: {dns: \(value)}\n") == ["2:13: error: \(fault)"])
    }

    @Test func withoutANameServerServersNeedAnAddress() {
        let text = """
            domain: a.test
            core: {dns: none, hosts: {known.test: '127.0.0.1:5070'}}
            networks:
              b.test: {uri: sip:known.test}
              c.test: {uri: sip:localhost:5080}
              d.test: {uri: sip:away.test:5090}

            """
        #expect(
            faults(text) == [
                "6:17: error: with 'dns: none' nobody is asked where away.test is; name it under core.hosts, or write its address"
            ])
    }

    @Test func aNameMayLeadToAStream() {
        let networks = "networks: {b.test: {uri: sip:away.test}, c.test: {uri: 'sip:away.test:5060'}}"
        #expect(
            faults("domain: a.test\ncore: {listen: ['tcp://127.0.0.1:5060']}\n\(networks)\n") == [
                "3:56: error: the core has no listener on UDP to send from; add one such as udp://127.0.0.1:5060 to core.listen, "
                    + "or write ;transport=tcp"
            ])
    }
}
