import SIPMessage
import SIPTransaction
import SansIO
import Testing

/// Whatever happened, nothing stays: no transaction, no octets, no timer.
struct LeakTests {
    @Test(arguments: UInt64(1)...6)
    func aRandomLife(_ seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        var rig = Rig(limit: 400)
        var clients: [(id: SlotID, request: Rig.Sent)] = []
        var servers: [(id: SlotID, method: String, branch: String)] = []
        var time = 0
        for step in 0..<1500 {
            let flow = Bool.random(using: &random) ? Rig.udp : Rig.tcp
            let method = ["INVITE", "MESSAGE", "CANCEL"].randomElement(using: &random) ?? "INVITE"
            switch Int.random(in: 0..<8, using: &random) {
            case 0:
                let branch = "z9hG4bK\(step)"
                switch try rig.receive(incoming(method, branch: branch), over: flow) {
                case .new(let id), .cancel(let id, of: _): servers.append((id, method, branch))
                case .absorbed, .acknowledgement, .overloaded: break
                }
            case 1, 2:
                guard let server = servers.randomElement(using: &random) else { continue }
                rig.respond(server.id, [100, 180, 200, 404, 487].randomElement(using: &random) ?? 200)
            case 3:
                guard let server = servers.randomElement(using: &random) else { continue }
                let again = incoming(Bool.random(using: &random) ? "ACK" : server.method, branch: server.branch, to: ";tag=t")
                switch try rig.receive(again, over: flow) {
                case .new(let id), .cancel(let id, of: _): servers.append((id, server.method, server.branch))
                case .absorbed, .acknowledgement, .overloaded: break
                }
            case 4:
                guard
                    let id = try? rig.send(
                        method == "CANCEL" ? "PUBLISH" : method, over: flow, fallback: Bool.random(using: &random) ? 0 : nil)
                else { continue }
                if let request = rig.sent().last { clients.append((id, request)) }
            case 5:
                guard let client = clients.randomElement(using: &random) else { continue }
                _ = try rig.answer(client.request, [100, 183, 200, 302, 486].randomElement(using: &random) ?? 200)
                for cancel in rig.sent() where cancel.label == "CANCEL" { _ = try rig.answer(cancel, 200) }
            case 6:
                guard let client = clients.randomElement(using: &random) else { continue }
                if Bool.random(using: &random) { rig.cancel(client.id) } else { rig.fail(client.id) }
            default:
                time += Int.random(in: 0...2000, using: &random)
                _ = rig.run(to: time)
            }
        }
        // What waits for the layer above is ended by it, as a layer above does.
        for server in servers { rig.respond(server.id, 500) }
        _ = rig.run(to: time + 300_000)
        for event in rig.takeEvents() {
            if case .timerC(let id, _) = event { rig.cancel(id) }
        }
        _ = rig.run(to: time + 400_000)
        for kind in TransactionKind.allCases { #expect(rig.layer.count(of: kind) == 0, "\(kind.name)") }
        #expect(rig.layer.bytesKept == 0)
        #expect(rig.layer.nextDeadline == nil)
    }

    @Test func removingAllLeavesNothing() throws {
        var rig = Rig()
        let cancelled = try rig.send("INVITE")
        _ = try rig.answer(rig.sent()[0], 180)
        rig.cancel(cancelled)
        _ = try rig.send("MESSAGE", over: Rig.tcp)
        let answered = try rig.open(incoming("INVITE"))
        rig.respond(answered, 404)
        let waiting = try rig.open(incoming("MESSAGE"))
        try rig.await(waiting, incoming("MESSAGE"))
        _ = rig.layer.reserveClient(.message, user: 0)
        rig.layer.removeAll()
        #expect(rig.isEmpty == true)
        #expect(rig.layer.contains(waiting) == false && rig.layer.state(of: answered) == nil && rig.layer[user: waiting] == 0)
    }

    @Test func theLayerAboveKeepsANumber() throws {
        var rig = Rig()
        let id = try rig.open(incoming("INVITE"))
        rig.layer[user: id] = 9
        #expect(rig.layer[user: id] == 9)
        #expect(rig.layer.method(of: id) == .invite && rig.layer.flow(of: id) == Rig.udp && rig.layer.state(of: id) == .proceeding)
        rig.layer.abandon(id)
        rig.layer[user: id] = 10
        #expect(rig.layer[user: id] == 0 && rig.layer.method(of: id) == nil && rig.layer.flow(of: id) == nil)
    }
}
