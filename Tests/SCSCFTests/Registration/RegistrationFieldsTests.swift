import SCSCF
import SIPRegistrar
import SansIO
import Testing

/// What else stands in the 200 to a REGISTER (TS 24.229 §5.4.1.2.2F, RFC 7315, RFC 5626 §5.4), and what visited networks
/// have to do with it.
@Suite(.overShards) struct RegistrationFieldsTests {
    private static let flow = "<sip:carol@127.0.0.1:5075>;+sip.instance=\"<urn:uuid:1>\";reg-id=1"

    @Test func theAnswerTellsTheDate() {
        let rig = CoreRig(at: 1_700_000_000)
        #expect(rig.register(.carol)["Date"] == "Tue, 14 Nov 2023 22:13:20 GMT")
        rig.advance(.milliseconds(999))
        #expect(rig.register(.carol)["Date"] == "Tue, 14 Nov 2023 22:13:20 GMT")
        rig.advance(.milliseconds(1))
        #expect(rig.register(.carol)["Date"] == "Tue, 14 Nov 2023 22:13:21 GMT")
    }

    @Test func aFlowThatIsKeptHasItsTimer() {
        let rig = CoreRig()
        let answer = rig.register(.carol, contact: Self.flow, [("Supported", "outbound, path")])
        #expect(answer["Require"] == "outbound")
        #expect(answer["Flow-Timer"] == "120")
        // The edge says it for its own flows.
        let path = [("Supported", "outbound, path"), ("Path", "<sip:edge.home1.test;lr;ob>")]
        #expect(rig.register(.carol, contact: Self.flow, path).has("Flow-Timer") == false)
        #expect(rig.register(.alice).has("Flow-Timer") == false)
        let silent = CoreRig { $0.flowTimer = 0 }
        #expect(silent.register(.carol, contact: Self.flow, [("Supported", "outbound")]).has("Flow-Timer") == false)
    }

    /// Flow-Timer and half of it again is the patience with a stream (RFC 5626 §4.4); with others it has no end.
    @Test(arguments: [0, 10, 120] as [UInt32])
    func aFlowThatItsUserHasToKeepIsGivenUpInTime(flowTimer: UInt32) {
        let rig = CoreRig { $0.flowTimer = flowTimer }
        func patience() -> TimeSpan? {
            rig.onEachShard { core, _, _ in core.patience(with: Peer.aliceStream.flow) }.compactMap { $0 }.max()
        }
        let outbound = [("Supported", "outbound, path")]
        let contact = "<sip:alice@127.0.0.1:40001;transport=tcp>;+sip.instance=\"<urn:uuid:1>\";reg-id=1"
        #expect(patience() == nil)
        #expect(rig.register(.aliceStream, contact: contact, outbound)["Require"] == "outbound")
        #expect(patience() == (flowTimer == 0 ? .forever : .seconds(Int(flowTimer) * 3 / 2)))
        rig.register(.aliceStream, contact: contact, outbound + [("Path", "<sip:edge.home1.test;lr;ob>")])
        #expect(patience() == .forever)
        rig.register(.aliceStream, expires: 0, contact: "*")
        #expect(patience() == nil)
        rig.register(.aliceStream)
        #expect(patience() == .forever)
    }

    @Test func theChargingVectorComesBackWithUsAsItsEnd() {
        let rig = CoreRig()
        let vector = "icid-value=\"abc\";icid-generated-at=192.0.2.1;orig-ioi=\"Type 1visited.test\""
        let answer = rig.register(.carol, [("P-Charging-Vector", vector)])
        #expect(answer["P-Charging-Vector"] == vector + ";term-ioi=\"Type 1home1.test\"")
        #expect(rig.register(.carol).has("P-Charging-Vector") == false)
    }

    @Test func chargingFunctionsAreForTheHomeNetwork() {
        let rig = CoreRig {
            $0.chargingFunctions = Array("ccf=192.0.2.9;ecf=192.0.2.10".utf8)
            $0.subscribers[2].profiles = [0]
        }
        rig.answers["im"] = 200
        func functions(_ headers: [(String, String)]) -> String? {
            rig.register(.carol, headers)["P-Charging-Function-Addresses"]
        }
        let edge = ("Path", "<sip:edge.home1.test;lr>")
        #expect(functions([edge]) == "ccf=192.0.2.9;ecf=192.0.2.10")
        #expect(functions([edge, ("P-Visited-Network-ID", "Home1.test")]) == "ccf=192.0.2.9;ecf=192.0.2.10")
        #expect(functions([edge, ("P-Visited-Network-ID", "\"visited.test\"")]) == nil)
        // The user itself has no business with them.
        #expect(functions([]) == nil)
        _ = rig.taken()
        rig.register(.carol)
        #expect(rig.thirdParty(0, .accepted) == 5)
    }

    /// TS 24.229 §5.4.3.2: with each request, those of the home network alone.
    @Test func requestsHaveTheChargingFunctionsToo() {
        let rig = CoreRig { $0.chargingFunctions = Array("ccf=192.0.2.9".utf8) }.registered(.alice, .bob)
        rig.send(
            "MESSAGE", "sip:bob@home1.test", from: .alice,
            [("Accept-Contact", "*;+g.oma.sip-im"), ("P-Charging-Function-Addresses", "ccf=192.0.2.66")])
        let request = rig.next(to: .im)
        #expect(request.all("P-Charging-Function-Addresses") == ["ccf=192.0.2.9"])
        rig.receive(request.forwarded(by: .im, branch: "i1"), from: .im)
        let atIM = rig.next(to: .im)
        #expect(atIM.all("P-Charging-Function-Addresses") == ["ccf=192.0.2.9"])
        rig.receive(atIM.forwarded(by: .im, branch: "i2"), from: .im)
        #expect(!rig.next(to: .bob).has("P-Charging-Function-Addresses"))
    }

    @Test func applicationServersHearOfTheChargingFunctions() {
        let rig = CoreRig {
            $0.chargingFunctions = Array("ccf=192.0.2.9".utf8)
            $0.subscribers[0].isAuthenticated = false
        }
        rig.register(.alice)
        let told = rig.next(to: .im)
        #expect(told["P-Charging-Function-Addresses"] == "ccf=192.0.2.9")
        rig.receive(told.response(200), from: .im)
        #expect(rig.deregister("sip:alice@home1.test"))
        #expect(rig.next(to: .im)["P-Charging-Function-Addresses"] == "ccf=192.0.2.9")
    }

    @Test(
        arguments: [
            (nil, 200), ("visited.test", 200), ("\"Visited.TEST\"", 200), ("home1.test", 200), ("other.test", 403),
            ("\"other network\";x=y", 403),
            ("\"visited.test\";x=y, other.test", 200),
        ] as [(String?, Int)])
    func usersRoamOnlyWhereTheyMay(_ network: String?, _ status: Int) {
        let rig = CoreRig { $0.visitedNetworks = [Array("visited.test".utf8)] }
        #expect(rig.register(.carol, network.map { [("P-Visited-Network-ID", $0)] } ?? []).status == status)
        #expect(CoreRig().register(.carol, network.map { [("P-Visited-Network-ID", $0)] } ?? []).status == 200)
    }

    /// RFC 7315 §4.4, TS 24.229 §4.4.
    @Test func whatTheNetworkSaysOfTheAccessIsKeptFromAnEdgeAlone() {
        let rig = CoreRig { $0.trusted = [(network: Peer.stranger.flow.remote.address, prefixLength: 32)] }
        let info = "own;cell=1, theirs;cell=2;network-provided, third;np"
        func kept() -> String? {
            rig.core.registeredIdentity("sip:carol@home1.test", at: rig.now.monotonic)?.contacts.first?.accessNetworkInfo
        }
        rig.register(.carol, [("P-Access-Network-Info", info)])
        #expect(kept() == "own;cell=1")
        let request = rig.registerRequest(.stranger, contact: Peer.carol.contact, [("P-Access-Network-Info", info)])
        rig.receive(request.with("To", "<sip:carol@home1.test>").with("From", "<sip:carol@home1.test>;tag=t"), from: .stranger)
        #expect(kept() == info)
    }

    @Test func aStrangerIsRefusedBeforeItIsChallenged() {
        let rig = CoreRig { $0.visitedNetworks = [Array("visited.test".utf8)] }
        rig.receive(rig.registerRequest(.alice, [("P-Visited-Network-ID", "other.test")]), from: .alice)
        #expect(rig.trace() == ["alice 403 REGISTER"])
    }
}
