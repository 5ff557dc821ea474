import SIPTrace
import SansIO

let alice = Endpoint(address: .loopback, port: 40_000)
let server = Endpoint(address: .loopback, port: 5080)
let core = Endpoint(address: .loopback, port: 5060)

/// Builds a trace message by message.
struct Trace {
    private(set) var messages: [TracedMessage] = []

    /// - Parameters:
    ///   - seconds: since the beginning.
    ///   - text: with plain line ends.
    mutating func add(
        _ seconds: Double, _ direction: TraceDirection, at remote: Endpoint = alice, peer: String? = nil, mark: TraceMark = .none,
        _ text: String
    ) {
        messages.append(
            TracedMessage(
                sequence: UInt64(messages.count + 1), time: WallTime(microseconds: 1_767_225_600_000_000 + Int64(seconds * 1_000_000)),
                direction: direction, transport: .udp, peer: peer, local: core, remote: remote, mark: mark,
                octets: Array(text.replacing("\n", with: "\r\n").utf8)))
    }
}

func request(
    _ method: String, branch: String, callID: String = "a@b", cseq: Int = 1, to: String = "<sip:bob@home1.test>", _ more: String = "",
    body: String = ""
) -> String {
    """
    \(method) sip:bob@home1.test SIP/2.0
    Via: SIP/2.0/UDP 127.0.0.1:40000;branch=\(branch)
    \(more)Max-Forwards: 70
    From: <sip:alice@home1.test>;tag=1
    To: \(to)
    Call-ID: \(callID)
    CSeq: \(cseq) \(method)
    Content-Length: \(body.utf8.count)

    \(body)
    """
}

func response(
    _ status: Int, _ reason: String, _ method: String, branch: String, callID: String = "a@b", cseq: Int = 1,
    to: String = "<sip:bob@home1.test>;tag=2", _ more: String = ""
) -> String {
    """
    SIP/2.0 \(status) \(reason)
    Via: SIP/2.0/UDP 127.0.0.1:40000;branch=\(branch)
    From: <sip:alice@home1.test>;tag=1
    To: \(to)
    Call-ID: \(callID)
    CSeq: \(cseq) \(method)
    \(more)Content-Length: 0


    """
}
