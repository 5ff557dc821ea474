// A message as the core recorded it and its HTTP interface tells it, and what a scenario compares in it.

import JSONText
import SIPMessage
import SIPTrace

/// A recorded message. Direction is seen from the core.
struct RecordedMessage: Sendable, Equatable {
    var sequence: Int
    /// Microseconds since 1970.
    var time: Int64
    var isInbound: Bool
    /// The node that the core knows at the other end.
    var peer: String?
    var remote: HostAndPort?
    var startLine: String
    /// A response's is the method that it answers.
    var method: String
    /// nil in a request.
    var status: Int?
    var headers: [Header]
    var body: String
    /// The whole message with its addresses, for a ladder; nil if the core did not tell them.
    var traced: TracedMessage?

    struct Header: Sendable, Equatable {
        var name: String
        var value: String
    }

    /// nil if a member is missing that every message has.
    init?(_ json: JSON) {
        guard let sequence = json["sequence"]?.integer, let time = json["time"]?.text.flatMap(microseconds(rfc3339:)),
            let direction = json["direction"]?.text, let startLine = json["start_line"]?.text
        else { return nil }
        self.sequence = sequence
        self.time = time
        isInbound = direction == "in"
        peer = json["peer"]?.text
        remote = json["remote"]?.text.flatMap { HostAndPort(withoutScheme($0)) }
        self.startLine = startLine
        method = json["method"]?.text ?? ""
        status = json["status"]?.integer
        headers = (json["headers"]?.list ?? []).compactMap(Header.init)
        body = json["body"]?.text ?? ""
        traced = TracedMessage(json)
    }

    /// Whether both are one record. Whom it came from may be known by name only since.
    func isSame(as other: RecordedMessage) -> Bool {
        (sequence, time, startLine) == (other.sequence, other.time, other.startLine) && headers == other.headers
    }

    /// - Parameter header: its name, long or compact (RFC 3261 §7.3.3), in any case.
    func values(of header: String) -> [String] {
        let header = HeaderName.long(header)
        return headers.filter { $0.name.lowercased() == header.lowercased() }.map(\.value)
    }

    /// The identity in To or From.
    func identity(in header: String) -> String? { values(of: header).first.map(Identity.text(inHeader:)) }

    /// Where the request is going; nil in a response.
    var requestURI: String? {
        guard status == nil else { return nil }
        let words = startLine.split(separator: " ")
        return words.count == 3 ? String(words[1]) : nil
    }

    /// What a person calls it: `REGISTER`, `401 to REGISTER`.
    var name: String { status.map { "\($0) to \(method)" } ?? method }
}

extension RecordedMessage.Header {
    /// A pair: name and value.
    init?(_ json: JSON) {
        guard let pair = json.list, pair.count == 2, let name = pair[0].text, let value = pair[1].text else { return nil }
        self.init(name: name, value: value)
    }
}

/// `udp://127.0.0.1:5060` as `127.0.0.1:5060`.
func withoutScheme(_ address: String) -> String {
    guard let scheme = address.firstRange(of: "://") else { return address }
    return String(address[scheme.upperBound...])
}

/// Identities as they stand in headers, brought to a form in which equal ones are the same text.
enum Identity {
    /// The URI in a value of To, From or Contact, without its parameters.
    static func text(inHeader value: String) -> String {
        guard let open = value.firstIndex(of: "<") else { return comparable(value) }
        let rest = value[value.index(after: open)...]
        return comparable(rest.prefix { $0 != ">" })
    }

    /// Without parameters and headers; scheme and host in lower case (RFC 3261 section 19.1.4).
    static func comparable(_ uri: some StringProtocol) -> String {
        let bare = uri.prefix { $0 != ";" && $0 != "?" }.trimmed
        guard let scheme = bare.firstIndex(of: ":") else { return bare }
        guard let at = bare.lastIndex(of: "@") else { return bare.lowercased() }
        return bare[..<scheme].lowercased() + bare[scheme..<at] + bare[at...].lowercased()
    }
}

/// Microseconds since 1970 of a time such as `2026-01-01T00:00:00.000000Z` (RFC 3339), or nil.
func microseconds(rfc3339 text: String) -> Int64? {
    let halves = text.split(whereSeparator: { $0 == "T" || $0 == "t" })
    guard halves.count == 2, let zone = halves[1].last, zone == "Z" || zone == "z" else { return nil }
    let date = halves[0].split(separator: "-").compactMap { Int64($0) }
    let parts = halves[1].dropLast().split(separator: ".", omittingEmptySubsequences: false)
    let time = parts[0].split(separator: ":").compactMap { Int64($0) }
    guard date.count == 3, time.count == 3, (1...12).contains(date[1]), parts.count <= 2 else { return nil }
    // Days since 1970-01-01 in the Gregorian calendar, with years that begin in March so that a leap day is the last.
    let year = date[1] > 2 ? date[0] : date[0] - 1
    let dayOfYear = (153 * ((date[1] + 9) % 12) + 2) / 5 + date[2] - 1
    let days = 365 * year + year / 4 - year / 100 + year / 400 + dayOfYear - 719_468
    var fraction: Int64 = 0
    if parts.count == 2 {
        guard let digits = Int64((parts[1] + "000000").prefix(6)) else { return nil }
        fraction = digits
    }
    return ((days * 86_400) + time[0] * 3600 + time[1] * 60 + time[2]) * 1_000_000 + fraction
}
