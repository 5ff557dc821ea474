import Glibc
import Testing

/// A core that asks a name server where another network is (RFC 3263).
@Suite struct NameServerTests {
    @Test(.timeLimit(.minutes(2))) func aMessageFindsAnotherNetworkByNAPTRAndSRV() async throws {
        let names = try NameServer()
        let folder = try TemporaryFolder()
        let ports = try freePorts(2)
        let (dora, closed) = (try DatagramPeer(to: ports[0]), ports[1])
        names.addNAPTR("away.test", "SIP+D2U", "_sip._udp.away.test")
        // The better server is not there: its port refuses, and the next one has its turn.
        names.addSRV("_sip._udp.away.test", priority: 1, port: closed, "a.away.test")
        names.addSRV("_sip._udp.away.test", priority: 2, port: dora.port, "a.away.test")
        names.add(1, "a.away.test", [127, 0, 0, 1])
        let core = try await RunningCore(
            in: folder, port: ports[0], settings: "  dns: 127.0.0.1:\(names.port)",
            subscribers: twoSubscribers + "\nnetworks:\n  home2.test: {uri: sip:away.test}")
        let alice = try DatagramPeer(to: core.udp)
        let contact = "<sip:alice@127.0.0.1:\(alice.port)>"
        let register = SIPRequest(
            method: "REGISTER", uri: "sip:home1.test", from: "<sip:alice@home1.test>", to: "<sip:alice@home1.test>", contact: contact,
            port: alice.port)
        #expect(try await alice.answer(to: register).status == 200)

        let message = SIPRequest(method: "MESSAGE", uri: "sip:dora@home2.test", from: "<sip:alice@home1.test>", port: alice.port)
        alice.send(Array(message.text.utf8))
        var request: String?
        _ = await eventually {
            request = dora.received()
            return request != nil
        }
        let text = try #require(request)
        #expect(text.hasPrefix("MESSAGE sip:dora@home2.test SIP/2.0\r\n"))
        #expect(names.questions.contains("35 away.test"))
        #expect(names.questions.contains("33 _sip._udp.away.test"))
        try await core.stop()
    }

    @Test func aSilentNameServerKeepsNobodyWaiting() async throws {
        // A socket that is never read.
        let silent = try TakenPort()
        let folder = try TemporaryFolder()
        let core = try await RunningCore(in: folder, settings: "  dns: 127.0.0.1:\(silent.port)")
        let alice = try DatagramPeer(to: core.udp)
        let register = SIPRequest(
            method: "REGISTER", uri: "sip:home1.test", from: "<sip:alice@home1.test>", to: "<sip:alice@home1.test>",
            contact: "<sip:alice@127.0.0.1:\(alice.port)>", port: alice.port)
        #expect(try await alice.answer(to: register).status == 200)
        let message = SIPRequest(method: "MESSAGE", uri: "sip:dora@away.test", from: "<sip:alice@home1.test>", port: alice.port)
        alice.send(Array(message.text.utf8))
        // Others are served meanwhile.
        #expect(try await core.isAnswering())
        #expect(try await alice.answer(to: message).status == 503)
        try await core.stop()
    }
}
