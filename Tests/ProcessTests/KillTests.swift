// The death of the core at any instant, against a model of what it must know afterwards: what was answered with 200 is there,
// what was asked and not answered is there or not, nothing else is, and the application server ends up knowing who is registered.
//
// SIPCORE_KILLS=200 for more deaths than five, SIPCORE_KILL_SEED=N for the very ones that failed.

import Foundation
import Glibc
import Testing

@Suite struct KillTests {
    @Test func `what was answered outlives a kill at any instant`() async throws {
        let environment = ProcessInfo.processInfo.environment
        let seed = environment["SIPCORE_KILL_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0 ... .max)
        let run = try KillRun(in: try TemporaryFolder(), seed: seed)
        for death in 1...(environment["SIPCORE_KILLS"].flatMap { Int($0) } ?? 5) {
            do { try await run.liveAndDie() } catch { throw Failure("death \(death) with SIPCORE_KILL_SEED=\(seed): \(error)") }
        }
        try await run.endWell()
    }
}

/// A core that is loaded and killed again and again, and what it was asked and answered.
private final class KillRun {
    private struct User {
        /// What was answered for; nil: not registered.
        var contact: String?
        var asked: Asked?
        /// The Expires that the application server was last told, and by which request.
        var told = 0
        var toldBy = (callID: "", sequence: 0)
    }
    private struct Asked {
        var callID: String
        var contact: String?
    }

    private static let window = 32
    private let folder: TemporaryFolder
    private let server: DatagramServer
    private var users = [User](repeating: User(), count: 200)
    private var random: SplitMix

    init(in folder: TemporaryFolder, seed: UInt64) throws {
        self.folder = folder
        server = try DatagramServer()
        random = SplitMix(seed: seed)
    }

    private func start() async throws -> RunningCore {
        let core = try await RunningCore(
            in: folder, settings: "  database: core.sqlite\n  trace: 0",
            subscribers: """
                  "u{000..199}": {password: x, application_servers: [im]}
                application_servers:
                  im: {uri: "sip:127.0.0.1:\(server.port)", feature_tags: [+g.oma.sip-im]}
                """)
        try await compare(with: core)
        return core
    }

    /// Starts the core, looks at what it knows, loads it, and kills it when some answers have come.
    func liveAndDie() async throws {
        let core = try await start()
        let peer = try DatagramPeer(to: core.udp)
        var left = Int.random(in: 1...1200, using: &random)
        while left > 0 {
            while users.count(where: { $0.asked != nil }) < KillRun.window { ask(from: peer) }
            let answered = try takeAnswers(at: peer)
            left -= answered
            tellServer()
            if answered == 0 {
                guard core.process.exitStatus == nil else { throw Failure("the core ended by itself:\n\(core.process.errors)") }
                try await Task.sleep(for: .microseconds(200))
            }
        }
        core.process.signal(SIGKILL)
        guard try await core.process.end() == 128 + SIGKILL else { throw Failure("it ended otherwise:\n\(core.process.errors)") }
        // What it had sent is known to its peers.
        _ = try takeAnswers(at: peer)
        tellServer()
    }

    func endWell() async throws { try await start().stop() }

    // MARK: What the core knows

    private func compare(with core: RunningCore) async throws {
        let kept = try await http("GET", "/api/registrations", port: core.http).decoded(Registrations.self).registrations
        var contacts: [String: [String]] = [:]
        for registration in kept { contacts[registration.public_identity] = registration.contacts.map(\.uri) }
        for index in users.indices {
            let there = contacts.removeValue(forKey: "sip:\(name(index))@home1.test") ?? []
            let user = users[index]
            let isAsAnswered = there == [user.contact].compactMap { $0 }
            let isAsAsked = user.asked.map { there == [$0.contact].compactMap { $0 } } ?? false
            guard isAsAnswered || isAsAsked else {
                throw Failure(
                    "\(name(index)) has \(there); answered was \(user.contact ?? "none"), asked \(user.asked.map { $0.contact ?? "none" } ?? "no more")"
                )
            }
            users[index].contact = there.first
            users[index].asked = nil
        }
        guard contacts.isEmpty else { throw Failure("nobody asked for \(contacts)") }
        try await serverKnows()
    }

    /// The application server is told what it was not told before the end.
    private func serverKnows() async throws {
        let knows = await eventually {
            tellServer()
            return users.allSatisfy { ($0.told > 0) == ($0.contact != nil) }
        }
        guard !knows else { return }
        let wrong = users.indices.filter { (users[$0].told > 0) != (users[$0].contact != nil) }
        throw Failure("the application server was not told of \(wrong.map { "\(name($0)) (\(users[$0].contact ?? "gone"))" })")
    }

    private func name(_ index: Int) -> String { "u" + String(format: "%03d", index) }

    // MARK: The load

    private func ask(from peer: DatagramPeer) {
        var index = Int.random(in: users.indices, using: &random)
        while users[index].asked != nil { index = (index + 1) % users.count }
        let user = "sip:\(name(index))@home1.test"
        let dice = Int.random(in: 0..<100, using: &random)
        let known = users[index].contact
        let isLeaving = known != nil && dice < 20
        let contact = known != nil && dice < 70 ? known! : "sip:\(name(index))@127.0.0.1:\(Int.random(in: 1024...65_535, using: &random))"
        var request = SIPRequest(
            method: "REGISTER", uri: "sip:home1.test", from: "<\(user)>", to: "<\(user)>", contact: "<\(contact)>", port: peer.port)
        request.callID = String(UInt64.random(in: 0 ... .max, using: &random), radix: 36)
        request.headers = ["Expires: \(isLeaving ? 0 : 3600)"]
        users[index].asked = Asked(callID: request.callID, contact: isLeaving ? nil : contact)
        peer.send(Array(request.text.utf8))
    }

    private func takeAnswers(at peer: DatagramPeer) throws -> Int {
        var count = 0
        while let text = peer.received() {
            let answer = SIPAnswer(text)
            guard let callID = answer["Call-ID"], let index = users.firstIndex(where: { $0.asked?.callID == callID }) else { continue }
            guard answer.status == 200 else { throw Failure("\(name(index)) was refused:\n\(text)") }
            users[index].contact = users[index].asked?.contact
            users[index].asked = nil
            count += 1
        }
        return count
    }

    // MARK: The application server

    /// Takes the third-party REGISTER requests that have come, and answers them.
    private func tellServer() {
        while let (text, sender) = server.received() {
            let request = SIPAnswer(text)
            guard text.hasPrefix("REGISTER "), let to = request["To"], let index = Int(to.filter(\.isNumber).prefix(3)),
                let callID = request["Call-ID"], let sequence = request["CSeq"]?.split(separator: " ").first.flatMap({ Int($0) }),
                let expires = request["Expires"].flatMap({ Int($0) })
            else { continue }
            let isOld = users[index].toldBy.callID == callID && sequence < users[index].toldBy.sequence
            if !isOld {
                users[index].told = expires
                users[index].toldBy = (callID, sequence)
            }
            let copied = text.split(separator: "\r\n").filter { line in
                ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].contains { line.hasPrefix($0) }
            }
            let lines = copied.map { $0.hasPrefix("To:") ? $0 + ";tag=server" : String($0) }
            let answer = (["SIP/2.0 200 OK"] + lines + ["Content-Length: 0", "", ""]).joined(separator: "\r\n")
            server.send(Array(answer.utf8), to: sender)
        }
    }
}
