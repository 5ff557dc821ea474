import SCSCF
import SIPTransaction
import SansIO
import Testing

/// Whatever comes in, the core lives on and forgets what is over.
@Suite(.overShards) struct HostileInputTests {
    private func samples(_ rig: CoreRig) -> [String] {
        let tag = [
            ("Accept-Contact", "*;+g.oma.sip-im;require"), ("Privacy", "id"), ("P-Served-User", "<sip:alice@home1.test>;sescase=orig"),
        ]
        return [
            rig.request("MESSAGE", "sip:bob@home1.test", from: .alice, tag, body: "hello").text,
            rig.request("INVITE", "tel:+15550100", from: .bob, [("Route", "<sip:127.0.0.1:5060;lr>, <sip:odi_00@127.0.0.1:5060;lr;orig>")])
                .text,
            rig.registerRequest(.carol, contact: "<sip:carol@127.0.0.1:5075>;q=0.3;expires=60, \"C\" <sip:c@[::1]:9;transport=tcp?a=b>")
                .text,
            rig.request("PUBLISH", "sip:alice@home1.test", from: .im, [("Request-Disposition", "no-fork"), ("Max-Breadth", "3")]).text,
            rig.request("BYE", "sip:127.0.0.1:5060;lr", from: .alice, [("Route", "<sip:127.0.0.1:6070>")]).with("To", "<sip:x@y>;tag=1")
                .text,
            rig.request("OPTIONS", "sip:home1.test", from: .stranger).response(200).text,
        ]
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func mutatedMessagesDoNoHarm(_ seed: UInt64) {
        let rig = CoreRig { $0.subscribers[0].isAuthenticated = false }.registered(.alice, .bob, .carol)
        var random = RandomSource(seed: seed)
        let samples = samples(rig)
        let peers = Peer.all
        for _ in 0..<400 {
            guard let sample = samples.randomElement(using: &random), let peer = peers.randomElement(using: &random) else { continue }
            var octets = Array(sample.utf8)
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                let place = Int.random(in: 0..<octets.count, using: &random)
                switch UInt8.random(in: 0...4, using: &random) {
                case 0: octets[place] = UInt8.random(in: 0...255, using: &random)
                case 1: octets.remove(at: place)
                case 2: octets.insert(UInt8.random(in: 0...255, using: &random), at: place)
                case 3: octets.insert(contentsOf: Array("<>;,\"\\:@\r\n".utf8), at: place)
                default: octets.replaceSubrange(place..<min(octets.count, place + 9), with: [])
                }
                if octets.isEmpty { octets = [0x41] }
            }
            rig.receive(octets, from: peer)
            if UInt8.random(in: 0...15, using: &random) == 0 { rig.advance(.seconds(1)) }
        }
        rig.advance(.seconds(4000))
        #expect(TransactionKind.allCases.map { rig.core.transactionCount(of: $0) }.reduce(0, +) == 0)
        _ = rig.taken()
        let probe = Peer("alice", "sip:alice@home1.test", port: 5071)
        rig.send("OPTIONS", "sip:home1.test", from: probe)
        #expect(rig.trace() == ["alice 200 OPTIONS"])
    }
}
