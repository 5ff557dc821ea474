import IMSProfile
import SCSCF
import SIPRegistrar
import SansIO
import Testing

/// With a database a third-party REGISTER that is due outlives the process: it is stored with the change that it tells of.
@Suite(.overShards) struct ThirdPartyDurabilityTests {
    private typealias L = Laboratory

    private func rig(_ change: (inout ServingCSCFConfiguration) -> Void = { _ in }) -> CoreRig {
        CoreRig {
            $0.isPersistent = true
            $0.udpSizeLimit = 0
            $0.profiles = [
                L.profile([
                    L.criterion(0, [.method("REGISTER")], 0) {
                        $0.serviceInfo = "info"
                        $0.includesRegisterRequest = true
                    }, L.criterion(1, [.method("REGISTER")], 1),
                ])
            ]
            $0.subscribers[0].isAuthenticated = false
            change(&$0)
        }
    }

    private func due(_ rig: CoreRig) -> Int { rig.tables[StoreTable.thirdParty]?.count ?? 0 }
    private func sequence(_ text: SIPText) -> Int { Int(text["CSeq"]?.split(separator: " ")[0] ?? "") ?? -1 }
    private func body(_ sent: CoreRig.Sent) -> String {
        let text = String(decoding: sent.octets, as: UTF8.self)
        return text.firstRange(of: "\r\n\r\n").map { String(text[$0.upperBound...]) } ?? ""
    }

    @Test func whatHasNoAnswerIsSentAgain() throws {
        let rig = rig()
        rig.answers["second"] = 200
        rig.register(.alice, [("P-Access-Network-Info", "x")])
        let first = try #require(rig.taken().first { $0.destination == "im" })
        #expect(due(rig) == 1)
        let restarted = rig.restarted(after: .seconds(600))
        let sent = restarted.taken()
        #expect(sent.map(\.destination) == ["im"])
        let again = try #require(sent.first)
        #expect(again.message["Call-ID"] == first.message["Call-ID"])
        #expect(again.message["CSeq"] != first.message["CSeq"])
        #expect(sequence(again.message) > sequence(first.message))
        #expect(again.message["Expires"] == "3000")
        #expect(again.message["P-Access-Network-Info"] == "x")
        #expect(body(again) == body(first))
        restarted.receive(again.message.response(200), from: .im)
        #expect(restarted.thirdParty(0, .initial, .accepted) == 1)
        #expect(due(restarted) == 0)
        #expect(restarted.restarted().trace() == [])
    }

    @Test func eachNameOfAServerIsToldByItself() throws {
        let names = ["sip:first@127.0.0.1:5080", "sip:second@127.0.0.1:5080", "sip:127.0.0.1:5080;x=1"]
        let rig = rig {
            $0.profiles = [
                L.profile(names.enumerated().map { number, name in L.criterion(number, [.method("REGISTER")], 0) { $0.uri = name } })
            ]
        }
        rig.register(.alice)
        let told = rig.taken().filter { $0.destination == "im" }.map(\.message)
        #expect(told.map(\.uri) == names)
        #expect(due(rig) == 3)
        rig.receive(told[1].response(200), from: .im)
        #expect(due(rig) == 2)
        let again = rig.restarted().taken().map(\.message)
        #expect(Set(again.map(\.uri)) == [names[0], names[2]])
        #expect(Set(again.compactMap { $0["Call-ID"] }) == [told[0]["Call-ID"], told[2]["Call-ID"]])
    }

    /// Each of them tells the server something else.
    @Test func eachCriterionOfOneServerIsKeptByItself() throws {
        let rig = rig {
            $0.profiles = [
                L.profile(
                    ["one", "two"].enumerated().map { number, info in
                        L.criterion(number, [.method("REGISTER")], 0) { $0.serviceInfo = info }
                    })
            ]
        }
        rig.register(.alice)
        let told = rig.taken().filter { $0.destination == "im" }
        #expect(told.count == 2)
        #expect(due(rig) == 2)
        let again = rig.restarted().taken()
        #expect(Set(again.map(body)) == Set(told.map(body)))
        rig.receive(told[0].message.response(200), from: .im)
        #expect(due(rig) == 1)
        #expect(rig.restarted().taken().map(body) == [body(told[1])])
    }

    @Test func aLaterChangeTakesThePlaceOfAllCriteriaOfTheServer() {
        let rig = rig {
            $0.profiles = [
                L.profile([
                    L.criterion(0, [.method("REGISTER", registrationTypes: [.deregistration])], 0),
                    L.criterion(1, [.method("REGISTER", registrationTypes: [.initial])], 0),
                ])
            ]
        }
        rig.register(.alice)
        rig.register(.alice, expires: 0)
        #expect(due(rig) == 1)
        rig.register(.alice)
        #expect(due(rig) == 1)
        #expect(rig.restarted().taken().compactMap { $0.message["Expires"] } == ["3600"])
    }

    @Test func whatWasAnsweredIsNot() {
        let rig = rig()
        rig.answers = ["im": 200, "second": 404]
        rig.register(.alice)
        #expect(due(rig) == 0)
        #expect(rig.restarted().trace() == [])
    }

    @Test func silenceIsDoneWithAfterDefaultHandling() {
        let rig = rig()
        rig.register(.alice)
        #expect(due(rig) == 2)
        rig.advance(.seconds(33))
        #expect(due(rig) == 0)
    }

    @Test func nothingIsStoredBeforeTheCommit() {
        let rig = rig()
        rig.commits = false
        rig.receive(rig.registerRequest(.alice), from: .alice)
        #expect(due(rig) == 0)
        // The process dies before the commit: nobody was told of anything.
        #expect(rig.trace() == [])
        let restarted = rig.restarted()
        #expect(restarted.trace() == [])
        #expect(restarted.contacts("sip:alice@home1.test") == [])
    }

    @Test func aFailedCommitLeavesNothingDue() {
        let rig = rig()
        rig.commits = false
        rig.receive(rig.registerRequest(.alice), from: .alice)
        rig.commit(succeeded: false)
        #expect(rig.trace() == ["alice 500 REGISTER"])
        rig.commits = true
        rig.answers = ["im": 200, "second": 200]
        rig.register(.alice)
        #expect(due(rig) == 0)
    }

    @Test func theLatestOfAUserAndServerTakesTheOthersPlace() throws {
        let rig = rig()
        rig.register(.alice)
        let first = try #require(rig.taken().first { $0.destination == "im" })
        rig.register(.alice, expires: 0)
        // The answer to the first does not take out what the second has put in its place.
        rig.receive(first.message.response(200), from: .im)
        #expect(due(rig) == 2)
        let restarted = rig.restarted()
        let told = restarted.taken()
        #expect(Set(told.map(\.destination)) == ["im", "second"])
        #expect(told.allSatisfy { $0.message["Expires"] == "0" })
    }

    @Test func whoExpiredMeanwhileIsToldOfOnce() {
        let rig = rig()
        rig.register(.alice)
        let restarted = rig.restarted(after: .seconds(4000))
        let told = restarted.taken()
        #expect(told.map(\.destination).sorted() == ["im", "second"])
        #expect(told.allSatisfy { $0.message["Expires"] == "0" })
    }

    @Test func aContactThatExpiredMeanwhileIsToldOf() {
        let rig = rig { $0.registrar = RegistrarSettings(profile: .rfc3261) }
        rig.answers = ["im": 200, "second": 200]
        rig.register(.alice, expires: 7200)
        rig.register(.alice, expires: 600, contact: "<sip:alice@127.0.0.1:9>")
        let restarted = rig.restarted(after: .seconds(1200))
        #expect(restarted.taken().compactMap { $0.message["Expires"] } == ["6000", "6000"])
    }

    @Test func sequencesRiseOverRestarts() throws {
        var rig = rig()
        var last = -1
        for _ in 0..<5 {
            rig.answers["second"] = 200
            rig.register(.alice)
            for one in rig.taken() where one.destination == "im" {
                #expect(sequence(one.message) > last)
                last = sequence(one.message)
            }
            rig = rig.restarted()
            let again = try #require(rig.taken().first { $0.destination == "im" })
            #expect(sequence(again.message) > last)
            last = sequence(again.message)
        }
    }

    @Test func whatIsOfNobodyIsTakenOut() {
        let rig = rig()
        rig.register(.alice)
        let gone = CoreRig(tables: [StoreTable.thirdParty: rig.tables[StoreTable.thirdParty] ?? [:]]) { $0 = rig.configuration }
        // Without the registration there is nothing to tell of.
        #expect(gone.trace() == [])
        #expect(due(gone) == 0)
    }

    @Test func damagedRecordsAreRefused() {
        let rig = rig()
        rig.register(.alice)
        rig.advance(.seconds(40))
        _ = rig.taken()
        let key = Array("sip:alice@home1.test sip:127.0.0.1:5080".utf8)
        let nobody = Array("sip:nobody@home1.test sip:127.0.0.1:5080".utf8)
        let junk = [UInt8](repeating: 1, count: 40)
        func isTaken(_ table: UInt8, _ key: [UInt8]) -> Bool {
            var isTaken = true
            rig.onEachShard {
                if !$0.restore(table: table, key: key.span.bytes, value: junk.span.bytes, at: rig.now, into: &$1) { isTaken = false }
            }
            return isTaken
        }
        #expect(!isTaken(StoreTable.thirdParty, key))
        #expect(!isTaken(StoreTable.thirdParty, nobody))
        #expect(rig.trace() == [])
        #expect(!isTaken(StoreTable.node, Array("gruu".utf8)))
        #expect(!isTaken(StoreTable.subscribers, key))
    }
}
