import IMSProfile
import SCSCF
import SansIO
import Testing

/// Services and wildcards (TS 23.003 §13.5, TS 29.228 Annex E).
@Suite(.overShards) struct SpecialIdentityTests {
    private typealias L = Laboratory

    /// Services of the chat server `im`; carol's extensions, which go through `second`; alice, who has nothing to do with them.
    private func rig(_ change: (inout ServingCSCFConfiguration) -> Void = { _ in }) throws -> CoreRig {
        let conference = SpecialIdentity(service: Array("sip:conference@home1.test".utf8), profile: 1)
        let chat = try SpecialIdentity(wildcard: Array("sip:chat!.*!@home1.test".utf8), isService: true, profile: 1)
        let extensions = try SpecialIdentity(wildcard: Array("sip:carol+![0-9]+!@home1.test".utf8), isService: false, profile: 2)
        return CoreRig {
            $0.profiles += [L.profile([L.criterion(0, [], 0)]), L.profile([L.criterion(0, [.method("MESSAGE")], 1)])]
            var services = L.subscriber("services", ["sip:services@home1.test"], password: nil, profile: nil)
            services.specialIdentities = [chat, conference]
            $0.subscribers.append(services)
            $0.subscribers[2].specialIdentities = [extensions]
            $0.subscribers.append(L.subscriber("chatterbox", ["sip:chatterbox@home1.test"], password: nil, profile: nil))
            change(&$0)
        }
    }

    @Test(arguments: ["sip:conference@home1.test", "sip:chat-7@home1.test", "sip:chat@HOME1.test;transport=udp"])
    func aServiceIsRoutedByItsCriteria(_ uri: String) throws {
        let rig = try rig()
        rig.send("MESSAGE", uri, from: .home2)
        let sent = rig.taken()
        #expect(sent.map(\.destination) == ["im"])
        let name = uri.prefix { $0 != ";" }.replacing("HOME1", with: "home1")
        #expect(sent.first?.message["P-Served-User"] == "<\(name)>;sescase=term;regstate=unreg")
        #expect(sent.first?.message.uri == uri)
    }

    /// RFC 5002 §5.
    @Test(arguments: [
        ("sip:chat-7@home1.test", "<sip:chat!.*!@home1.test>"), ("sip:carol+12@home1.test", "<sip:carol+!%5B0-9%5D+!@home1.test>"),
        // No wildcard of ours: what a trusted network says stays.
        ("sip:conference@home1.test", "<sip:other!.*!@home1.test>"),
    ])
    func theServerHearsOfTheWildcard(_ uri: String, _ key: String) throws {
        let rig = try rig()
        rig.send("MESSAGE", uri, from: .home2, [("P-Profile-Key", "<sip:other!.*!@home1.test>")])
        #expect(rig.taken().map { $0.message["P-Profile-Key"] } == [key])
    }

    /// RFC 5002 §5: a trusted peer says which of two wildcards it is.
    @Test func theWildcardThatAPeerNamesIsTaken() throws {
        let rooms = try SpecialIdentity(wildcard: Array("sip:chat-!.*!@home1.test".utf8), isService: true, profile: 2)
        let rig = try rig { $0.subscribers[2].specialIdentities.append(rooms) }
        func server(_ uri: String, _ key: String?, from peer: Peer) -> String? {
            rig.send("MESSAGE", uri, from: peer, key.map { [("P-Profile-Key", $0)] } ?? [])
            return rig.taken().first { $0.message.isRequest }?.destination
        }
        let uri = "sip:chat-7@home1.test"
        #expect(server(uri, nil, from: .home2) == "second")
        #expect(server(uri, "<sip:chat!.*!@home1.test>", from: .home2) == "im")
        #expect(server(uri, "<sip:chat-!.*!@home1.test>", from: .home2) == "second")
        // One that does not take the identity is no key to it, nor is what a stranger says.
        #expect(server(uri, "<sip:carol+!%5B0-9%5D+!@home1.test>", from: .home2) == "second")
        #expect(server(uri, "<sip:chat!.*!@home1.test>", from: .stranger) == "second")
    }

    /// Services are put, changed and removed while the core runs.
    @Test func servicesComeAndGo() throws {
        let rig = try rig()
        func plan(_ profile: Int, _ services: String...) -> SubscriberPlan {
            var plan = L.subscriber("bridge", ["sip:bridge@home1.test"], password: nil, profile: nil)
            plan.specialIdentities = services.map { SpecialIdentity(service: Array($0.utf8), profile: profile) }
            return plan
        }
        func routed(_ uri: String) -> [String] {
            rig.send("MESSAGE", uri, from: .home2)
            return rig.taken().map(\.destination)
        }
        var bridge = rig.change(.add(plan(1, "sip:bridge-1@home1.test")))
        #expect(routed("sip:bridge-1@home1.test") == ["im"])
        bridge = rig.change(.replace(bridge, plan(2, "sip:bridge-1@home1.test")))
        #expect(routed("sip:bridge-1@home1.test") == ["second"])
        bridge = rig.change(.replace(bridge, plan(2, "sip:bridge-2@home1.test")))
        #expect(routed("sip:bridge-1@home1.test") != ["second"])
        #expect(routed("sip:bridge-2@home1.test") == ["second"])
        rig.change(.remove(bridge))
        #expect(routed("sip:bridge-2@home1.test") != ["second"])
        rig.change(.add(plan(1, "sip:bridge-2@home1.test")))
        #expect(routed("sip:bridge-2@home1.test") == ["im"])
    }

    @Test(arguments: ["sip:conference@home1.test", "sip:chat-7@home1.test", "sip:carol+12@home1.test"])
    func itIsNeverRegistered(_ identity: String) throws {
        let rig = try rig()
        rig.receive(rig.registerRequest(.carol).with("To", "<\(identity)>"), from: .carol)
        #expect(rig.trace() == ["carol 403 REGISTER"])
        #expect(rig.contacts("sip:carol@home1.test") == [])
    }

    @Test func aDistinctIdentityComesBeforeAWildcard() throws {
        let rig = try rig()
        let peer = Peer("chatterbox", "sip:chatterbox@home1.test", port: 5077)
        rig.receive(rig.registerRequest(peer), from: peer)
        _ = rig.taken()
        rig.send("MESSAGE", "sip:chatterbox@home1.test", from: .home2)
        #expect(rig.trace() == ["udp:127.0.0.1:5077 MESSAGE"])
    }

    @Test(arguments: [
        "sip:chat@elsewhere.test", "sip:xchat@home1.test", "sip:chat@home1xtest", "sip:carol+x@home1.test", "sip:carol+@home1.test",
    ])
    func onlyTheWholeIdentityMatches(_ uri: String) throws {
        let rig = try rig()
        rig.send("MESSAGE", uri, from: .home2)
        let answer = rig.next(to: .home2)
        #expect(answer.status == 404 || answer.status == 403)
    }

    @Test func aServiceThatNoServerTakesIsNotThere() throws {
        let rig = try rig { $0.profiles[1] = L.profile([L.criterion(0, [.method("INVITE")], 0)]) }
        rig.send("MESSAGE", "sip:chat-7@home1.test", from: .home2)
        #expect(rig.next(to: .home2).status == 480)
    }

    @Test func anExtensionIsReachedWithItsUser() throws {
        let rig = try rig()
        rig.send("MESSAGE", "sip:carol+12@home1.test", from: .home2)
        let away = rig.next(to: .second)
        #expect(away["P-Served-User"] == "<sip:carol+12@home1.test>;sescase=term;regstate=unreg")
        let answer = rig.register(.carol)
        #expect(answer["P-Associated-URI"] == "<sip:carol@home1.test>")
        _ = rig.taken()
        rig.send("MESSAGE", "sip:carol+12@home1.test", from: .home2)
        let called = rig.next(to: .second)
        #expect(called["P-Served-User"] == "<sip:carol+12@home1.test>;sescase=term;regstate=reg")
        rig.receive(called.forwarded(by: .second, branch: "s1"), from: .second)
        let reached = rig.next(to: .carol)
        #expect(reached.uri == "sip:carol@127.0.0.1:5075")
        #expect(reached["P-Called-Party-ID"] == "<sip:carol+12@home1.test>")
        rig.receive(reached.response(200), from: .carol)
        #expect(rig.next(to: .second)["P-Asserted-Identity"]?.hasPrefix("<sip:carol+12@home1.test>") == true)
    }

    @Test func anExtensionSendsUnderItsOwnName() throws {
        let rig = try rig()
        rig.register(.carol)
        _ = rig.taken()
        rig.send("MESSAGE", "sip:dora@home2.test", from: .carol, [("P-Preferred-Identity", "<sip:carol+7@home1.test>")])
        let told = rig.next(to: .second)
        #expect(told["P-Served-User"] == "<sip:carol+7@home1.test>;sescase=orig;regstate=reg")
        #expect(told["P-Asserted-Identity"] == "<sip:carol+7@home1.test>")
    }

    @Test func nobodyGoesByTheNameOfAService() throws {
        let rig = try rig {
            $0.subscribers[2].specialIdentities.append(SpecialIdentity(service: Array("sip:fax@home1.test".utf8), profile: nil))
        }
        rig.register(.carol)
        _ = rig.taken()
        rig.send("MESSAGE", "sip:dora@home2.test", from: .carol, [("P-Preferred-Identity", "<sip:fax@home1.test>")])
        #expect(rig.next(to: .home2)["P-Asserted-Identity"] == "<sip:carol@home1.test>")
    }

    // MARK: Aliases

    /// A server that changes the Request-URI to another identity of the user: an alias stays with the chain, another one
    /// is diverted to (TS 24.229 §5.4.3.3).
    @Test(arguments: [([nil, nil], false), ([0, 0], false), ([0, 1], true)] as [([Int?], Bool)])
    func aChangeToAnAliasIsNoDiversion(_ groups: [Int?], _ isDiverted: Bool) throws {
        let rig = CoreRig {
            $0.profiles = [
                L.profile([
                    L.criterion(0, [.method("MESSAGE"), .sessionCase(.terminating)], 0),
                    L.criterion(1, [.method("MESSAGE"), .sessionCase(.terminating)], 1),
                ])
            ]
            $0.subscribers[0].isAuthenticated = false
            $0.subscribers[0].aliasGroups = groups
        }
        rig.register(.alice)
        _ = rig.taken()
        rig.send("MESSAGE", "sip:alice@home1.test", from: .home2)
        var forwarded = rig.next(to: .im).forwarded(by: .im, branch: "a1")
        forwarded.startLine = "MESSAGE tel:+15550100 SIP/2.0"
        rig.receive(forwarded, from: .im)
        // The second terminating criterion is asked only if the chain goes on as it was; a diverted one begins anew.
        #expect(rig.taken().map(\.destination) == [isDiverted ? "im" : "second"])
    }
}
