import Testing

@testable import Topology

/// `core.hep`: where recorded messages go.
@Suite struct HEPTests {
    private func topology(_ hep: String, trace: Int = 100) -> String { "domain: a.test\ncore: {trace: \(trace), hep: \(hep)}\n" }

    @Test func allOfItIsRead() throws {
        let hep = try #require(read(topology("{uri: 'udp://[::1]:9060', capture_id: 7, password: secret}")).topology?.core.hep)
        #expect(hep.address == HostPort(host: "::1", port: 9060) && hep.captureID == 7 && hep.password == "secret")
        let least = try #require(read(topology("{uri: 'udp://127.0.0.1:9060'}")).topology?.core.hep)
        #expect(least.captureID == 2001 && least.password == nil)
        #expect(try #require(read("domain: a.test\n").topology).core.hep == nil)
    }

    @Test(arguments: [
        ("'127.0.0.1:9060'", "'127.0.0.1:9060' names no transport; write udp://127.0.0.1:9060"),
        ("'tcp://127.0.0.1:9060'", "'tcp' is no transport to Homer here; write udp://127.0.0.1:9060"),
        ("'udp://127.0.0.1:0'", "port 0 is nobody's; write the port that Homer listens on, such as 9060"),
    ])
    func anAddressThatIsNoneIsSaid(uri: String, fault: String) {
        #expect(faults(topology("{uri: \(uri)}")) == ["2:31: error: \(fault)"])
    }

    @Test(arguments: ["{capture_id: 1}", "{uri: 'udp://homer.test:9060'}", "{uri: 'udp://127.0.0.1:9060', capture_id: -1}"])
    func whatIsWrongIsAnError(hep: String) {
        #expect(faults(topology(hep)).count == 1)
    }

    @Test func withoutATraceThereIsNothingToSend() {
        let fault = "Homer is sent what is recorded, and core.trace is 0; write core.trace: 20000, or leave hep out"
        #expect(faults(topology("{uri: 'udp://127.0.0.1:9060'}", trace: 0)) == ["2:23: error: \(fault)"])
    }
}
