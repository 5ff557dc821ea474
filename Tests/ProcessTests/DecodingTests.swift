// What Wireshark's dissectors say of the traffic of a lab.

import Foundation
import Glibc
import Testing

@Suite struct DecodingTests {
    @Test func `tshark decodes the whole conversation`() async throws {
        let folder = try TemporaryFolder()
        let ports = try freePorts(2)
        var text = withFreePorts(try shippedTopology("im-settings.yaml"))
        // Both are known before anything is sent: the capture begins earlier.
        text = text.replacing("udp://127.0.0.1:0", with: "udp://127.0.0.1:\(ports[0])")
        text = text.replacing("uri: sip:127.0.0.1:0", with: "uri: sip:127.0.0.1:\(ports[1])")
        let topology = try folder.write("lab.yaml", text)
        let capture = try await Capture(of: ports, in: folder)

        let (status, lab) = try await run([sipcore, "lab", topology, "--scenarios"], named: "lab", in: folder)
        #expect(status == 0, "\(lab.output)\n\(lab.errors)")
        try await capture.end()

        #expect(try await capture.count("_ws.malformed || _ws.expert.severity == error") == 0)
        #expect(try await capture.count("(udp || tcp.len > 0) && !sip && !(udp contains \"\(Capture.mark)\")") == 0)
        let (core, server) = (ports[0], ports[1])
        for method in ["PUBLISH", "MESSAGE"] {
            // From alice to the core and on to the IM Server.
            #expect(try await capture.count("sip.Method == \"\(method)\" && \(to(core)) && !\(from(server))") == 1, "\(method)")
            #expect(try await capture.count("sip.Method == \"\(method)\" && \(to(server))") >= 1, "\(method)")
        }
        // Alice comes, bob comes and both go in the end; each time the core accepts and tells the IM Server.
        let ofRegister = "sip.CSeq.method == \"REGISTER\""
        let accepted = try await capture.count("sip.Status-Code == 200 && \(ofRegister) && \(from(core)) && !\(to(server))")
        #expect(accepted == 4)
        #expect(try await capture.count("sip.Status-Code == 401 && \(ofRegister)") >= 2)
        #expect(try await capture.count("sip.Method == \"REGISTER\" && \(to(server))") == accepted)
        #expect(try await capture.count("sip.Status-Code == 200 && \(ofRegister) && \(from(server))") == accepted)
        // The message that waited, to bob and to him alone.
        #expect(try await capture.count("sip.Method == \"MESSAGE\" && \(from(core)) && !\(to(server))") == 1)
    }
}

private func from(_ port: UInt16) -> String { "(udp.srcport == \(port) || tcp.srcport == \(port))" }
private func to(_ port: UInt16) -> String { "(udp.dstport == \(port) || tcp.dstport == \(port))" }
