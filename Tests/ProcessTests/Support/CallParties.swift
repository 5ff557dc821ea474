// Both ends of a call whose messages a test writes itself; none of them has a body.

import Glibc
import Synchronization

/// A message, by its lines.
struct SIPLines {
    let startLine: String
    private let lines: [(name: String, value: String)]

    init(_ text: String) {
        let all = text.split(separator: "\r\n")
        startLine = String(all.first ?? "")
        lines = all.dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (String(parts[0]).lowercased(), parts.count > 1 ? String(parts[1].drop { $0 == " " }) : "")
        }
    }

    /// All values of a header; those of one line stay together.
    func all(_ name: String) -> [String] { lines.filter { $0.name == name.lowercased() }.map(\.value) }
    subscript(name: String) -> String { all(name).first ?? "" }

    /// `INVITE`, or `200 INVITE`.
    var summary: String {
        let words = startLine.split(separator: " ")
        guard startLine.hasPrefix("SIP/2.0 ") else { return words.first.map(String.init) ?? "" }
        return "\(words[1]) \(self["CSeq"].split(separator: " ").last ?? "")"
    }

    /// The URI between the angle brackets of a header.
    func uri(of name: String) -> String { String(self[name].drop { $0 != "<" }.dropFirst().prefix { $0 != ">" }) }

    /// A response to this request.
    func response(_ status: Int, tag: String, contact: String? = nil) -> String {
        let kept = ["Via", "Record-Route", "From", "Call-ID", "CSeq"].flatMap { name in all(name).map { "\(name): \($0)" } }
        let to = self["To"].contains(";tag=") ? self["To"] : self["To"] + ";tag=\(tag)"
        let contacts = contact.map { ["Contact: <\($0)>"] } ?? []
        return (["SIP/2.0 \(status) Answer"] + kept + ["To: \(to)"] + contacts + ["Content-Length: 0"]).joined(separator: "\r\n")
            + "\r\n\r\n"
    }

    /// A request within the dialog that a party has.
    static func request(
        _ method: String, _ uri: String, via: String, routes: [String], from: String, to: String, callID: String, sequence: Int
    ) -> String {
        let lines =
            ["\(method) \(uri) SIP/2.0", "Via: \(via);branch=z9hG4bK\(method)\(sequence)\(callID)", "Max-Forwards: 70"]
            + routes.map { "Route: \($0)" } + ["From: \(from)", "To: \(to)", "Call-ID: \(callID)", "CSeq: \(sequence) \(method)"]
        return (lines + ["Content-Length: 0"]).joined(separator: "\r\n") + "\r\n\r\n"
    }
}

/// A party that messages are sent to.
protocol CallParty {
    /// The next message that is there now.
    func nextMessage() -> String?
}

extension CallParty {
    /// Waits for a message of this summary; others before it are passed over.
    func expect(_ summary: String) async throws -> SIPLines {
        var passed: [String] = []
        var found: SIPLines?
        _ = await eventually {
            while found == nil, let text = nextMessage() {
                let message = SIPLines(text)
                if message.summary == summary { found = message } else { passed.append(message.summary) }
            }
            return found != nil
        }
        guard let found else { throw Failure("no \(summary) came, but \(passed)") }
        return found
    }
}

extension DatagramPeer: CallParty {
    func nextMessage() -> String? { received() }
    func send(_ text: String) { send(Array(text.utf8)) }
}

/// A listener of TCP on `[::1]` that takes one stream.
final class StreamServer: CallParty, Sendable {
    private struct State {
        var stream: Int32 = -1
        var octets: [UInt8] = []
    }

    let port: UInt16
    private let listening: Int32
    private let state = Mutex(State())

    init() throws {
        listening = socket(AF_INET6, streamNumber | nonBlocking | closeOnExec, 0)
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_addr = in6addr_loopback
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let descriptor = listening
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                bind(descriptor, name, length) == 0 && listen(descriptor, 4) == 0 && getsockname(descriptor, name, &length) == 0
            }
        }
        port = UInt16(bigEndian: address.sin6_port)
        guard isBound else { throw Failure("no listener on [::1]: \(String(cString: strerror(errno)))") }
    }

    deinit {
        close(listening)
        let stream = state.withLock { $0.stream }
        if stream >= 0 { close(stream) }
    }

    func nextMessage() -> String? {
        state.withLock { (state) -> String? in
            if state.stream < 0 { state.stream = accept(listening, nil, nil) }
            guard state.stream >= 0 else { return nil }
            var piece = [UInt8](repeating: 0, count: 65_536)
            let count = recv(state.stream, &piece, piece.count, dontWait)
            if count > 0 { state.octets += piece.prefix(count) }
            guard let end = state.octets.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
            let message = String(decoding: state.octets[..<end.upperBound], as: UTF8.self)
            state.octets.removeFirst(end.upperBound)
            return message
        }
    }

    /// Sends on the stream, whose buffer has room for the few messages of a call.
    func send(_ text: String) {
        let octets = Array(text.utf8)
        _ = state.withLock { Glibc.send($0.stream, octets, octets.count, withoutSignal) }
    }
}

// The C library names these by an enumeration or by plain numbers.
private func number(_ constant: some RawRepresentable<UInt32>) -> Int32 { Int32(constant.rawValue) }
private func number(_ constant: some BinaryInteger) -> Int32 { Int32(constant) }
private let (streamNumber, nonBlocking, closeOnExec) = (number(SOCK_STREAM), number(SOCK_NONBLOCK), number(SOCK_CLOEXEC))
private let (dontWait, withoutSignal) = (number(MSG_DONTWAIT), number(MSG_NOSIGNAL))
