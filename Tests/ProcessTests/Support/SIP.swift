// The least of SIP that a test must speak itself.

/// A request with the headers that any request has.
struct SIPRequest {
    var method: String
    var uri: String
    var from = "<sip:tester@elsewhere.test>"
    var to: String?
    var contact: String?
    var via = "SIP/2.0/UDP"
    var port: UInt16
    var callID = String(UInt64.random(in: 0 ... .max), radix: 36)
    var headers: [String] = []
    /// The header that is left out, or put in place of the ordinary one.
    var without: String?

    var text: String {
        let lines = [
            "Via: \(via) 127.0.0.1:\(port);branch=z9hG4bK\(callID);rport", "Max-Forwards: 70", "From: \(from);tag=f\(callID)",
            "To: \(to ?? "<\(uri)>")", "Call-ID: \(callID)", "CSeq: 1 \(method)",
        ]
        let kept = lines.filter { line in without.map { !line.hasPrefix($0 + ":") } ?? true }
        let all = ["\(method) \(uri) SIP/2.0"] + kept + (contact.map { ["Contact: \($0)"] } ?? []) + headers
        return all.joined(separator: "\r\n") + "\r\nContent-Length: 0\r\n\r\n"
    }

    static func options(from port: UInt16, to uri: String = "sip:home1.test") -> SIPRequest {
        SIPRequest(method: "OPTIONS", uri: uri, port: port)
    }
}

struct SIPAnswer {
    let status: Int
    let reason: String
    private let lines: [Substring]

    init(_ text: String) {
        lines = text.split(separator: "\r\n")
        let words = lines.first?.split(separator: " ", maxSplits: 2) ?? []
        status = words.count > 1 ? Int(words[1]) ?? 0 : 0
        reason = words.count > 2 ? String(words[2]) : ""
    }

    /// The first value of a header.
    subscript(name: String) -> String? {
        let line = lines.first { $0.lowercased().hasPrefix(name.lowercased() + ":") }
        return line.map { String($0.drop { $0 != ":" }.dropFirst().drop { $0 == " " }) }
    }
}
