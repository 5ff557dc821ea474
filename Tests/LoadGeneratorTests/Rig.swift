// A load generator and a small proxy of the test's own between its three stations, in virtual time.

import SIPMessage
import SansIO
import Testing

@testable import LoadGenerator

/// A message as text, with what is asked of it.
struct Text: Equatable, CustomStringConvertible {
    var description: String
    var lines: [Substring] { description.split(separator: "\r\n", omittingEmptySubsequences: false) }
    var startLine: String { String(lines.first ?? "") }
    var method: String { String(startLine.split(separator: " ").first ?? "") }
    var isRequest: Bool { !startLine.hasPrefix("SIP/2.0") }
    var status: Int { Int(startLine.split(separator: " ").dropFirst().first ?? "") ?? 0 }

    init(_ description: String) { self.description = description }

    /// All values of a header.
    func values(_ name: String) -> [String] {
        lines.filter { $0.hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
    }
    subscript(name: String) -> String { values(name).first ?? "" }

    func replacing(_ old: String, with new: String) -> Text { Text(description.replacing(old, with: new)) }

    /// A response to this request, with all that it takes over.
    func answer(_ status: Int, _ more: String...) -> Text {
        let kept = lines.filter { line in ["Via: ", "Record-Route: ", "From: ", "Call-ID: ", "CSeq: "].contains { line.hasPrefix($0) } }
        let to = self["To"].contains(";tag=") ? self["To"] : self["To"] + ";tag=core"
        let all = ["SIP/2.0 \(status) X"] + kept.map(String.init) + ["To: \(to)"] + more + ["Content-Length: 0", "", ""]
        return Text(all.joined(separator: "\r\n"))
    }
}

/// A datagram that the generator sent.
struct Sent {
    var station: Station
    var destination: Endpoint
    var text: Text
}

struct Rig: ~Copyable {
    static let core = Endpoint(address: .loopback, port: 5060)
    static let stations = [15_060, 15_061, 15_080].map { Endpoint(address: .loopback, port: $0) }

    var generator: LoadGenerator
    var now = Instant(nanoseconds: 1_000_000_000)
    private var outbox = Outbox()

    static func plan(_ mix: String) throws -> LoadPlan {
        var plan = LoadPlan(
            target: core, domain: "home1.test", mix: try ModeShares(mix), users: try UserTemplate("u{0000..0009}"), stations: stations,
            seed: 7)
        plan.warmUp = 0
        plan.pacing = .window(1)
        plan.extent = .count(1)
        return plan
    }

    init(_ plan: LoadPlan) throws { generator = try LoadGenerator(plan, at: now) }

    /// One transaction of a mode, with the phases before it left out.
    init(_ mode: LoadMode, change: (inout LoadPlan) -> Void = { _ in }) throws {
        var plan = try Rig.plan("\(mode.name)=1")
        change(&plan)
        generator = try LoadGenerator(plan, at: now)
        generator.begin(.measured, at: now, into: &outbox)
    }

    mutating func begin(_ phase: LoadPhase) { generator.begin(phase, at: now, into: &outbox) }

    /// What was sent since the last time.
    mutating func sent() -> [Sent] {
        var result: [Sent] = []
        for datagram in outbox.datagrams {
            let text = Text(String(octets: outbox.octets.bytes(from: datagram.start, count: datagram.count)))
            result.append(Sent(station: datagram.station, destination: datagram.destination, text: text))
        }
        outbox.removeAll()
        return result
    }

    mutating func deliver(_ text: Text, to station: Station) {
        let octets = Array(text.description.utf8)
        generator.receive(octets.span.bytes, from: Rig.core, at: station, now: now, into: &outbox)
    }

    mutating func advance(_ milliseconds: Int) {
        now = now + .milliseconds(milliseconds)
        generator.advance(to: now, into: &outbox)
    }

    /// A request as a proxy forwards it: with a Via, and a Record-Route where a dialog may begin.
    static func forwarded(_ request: Text) -> Text {
        let own = "Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKproxy"
        let route = request.method == "INVITE" ? "\r\nRecord-Route: <sip:127.0.0.1:5060;lr>" : ""
        return Text(request.description.replacing("\r\nVia:", with: "\r\n\(own)\(route)\r\nVia:", maxReplacements: 1))
    }

    /// A response as a proxy forwards it: without its own Via.
    static func returned(_ response: Text) -> Text {
        Text(response.lines.filter { !$0.contains("branch=z9hG4bKproxy") }.joined(separator: "\r\n"))
    }
}
