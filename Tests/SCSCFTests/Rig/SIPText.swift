// A message as text, taken apart the simple way: what the tests write and compare with.

struct SIPText {
    var startLine: String
    var headers: [(name: String, value: String)]
    var body: String

    init(_ text: String) {
        let unified = text.replacing("\r\n", with: "\n")
        let head = unified.split(separator: "\n\n", maxSplits: 1, omittingEmptySubsequences: false)
        var lines = head[0].split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        startLine = lines.removeFirst()
        headers = lines.map { line in
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(parts[0]), parts.count > 1 ? String(parts[1].drop { $0 == " " }) : "")
        }
        body = head.count > 1 ? String(head[1]) : ""
    }

    var isRequest: Bool { !startLine.hasPrefix("SIP/2.0") }
    var method: String { isRequest ? words[0] : String(self["CSeq"]?.split(separator: " ").last ?? "") }
    var uri: String { words.count > 1 ? words[1] : "" }
    var status: Int? { isRequest ? nil : Int(words[1]) }
    private var words: [String] { startLine.split(separator: " ").map(String.init) }
    /// `MESSAGE`, or `200 MESSAGE`.
    var summary: String { status.map { "\($0) \(method)" } ?? method }

    /// The first value of a header field.
    subscript(name: String) -> String? { headers.first { $0.name == name }?.value }
    func all(_ name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }
    func has(_ name: String) -> Bool { self[name] != nil }

    mutating func set(_ name: String, _ value: String?) {
        headers.removeAll { $0.name == name }
        if let value { headers.append((name, value)) }
    }

    func with(_ name: String, _ value: String?) -> SIPText {
        var copy = self
        copy.set(name, value)
        return copy
    }

    /// A copy with one more field, behind the others of the message.
    func adding(_ name: String, _ value: String) -> SIPText {
        var copy = self
        copy.headers.append((name, value))
        return copy
    }

    /// A parameter of a value, without quotes.
    func parameter(_ parameter: String, of name: String) -> String? {
        guard let value = self[name], let range = value.range(of: parameter + "=") else { return nil }
        let rest = value[range.upperBound...]
        return rest.first == "\"" ? String(rest.dropFirst().prefix { $0 != "\"" }) : String(rest.prefix { !", ;>".contains($0) })
    }

    var text: String {
        var copy = self
        copy.set("Content-Length", String(body.utf8.count))
        return startLine + "\r\n" + copy.headers.map { "\($0.name): \($0.value)\r\n" }.joined() + "\r\n" + body
    }

    /// A response as a peer would give it.
    func response(_ status: Int, tag: String = "peer", _ extra: [(String, String)] = []) -> SIPText {
        var response = SIPText("SIP/2.0 \(status) Answer\n\n")
        response.headers = headers.filter { ["Via", "From", "Call-ID", "CSeq", "Record-Route"].contains($0.name) }
        let to = self["To"] ?? ""
        response.headers.append(("To", to.contains(";tag=") || status == 100 ? to : to + ";tag=\(tag)"))
        response.headers += extra.map { (name: $0.0, value: $0.1) }
        return response
    }

    /// The request as a proxy sends it on: its own Route value taken off, its Via on top.
    func forwarded(by peer: Peer, branch: String) -> SIPText {
        var copy = self
        if let i = copy.headers.firstIndex(where: { $0.name == "Route" }) { copy.headers.remove(at: i) }
        copy.headers.insert(("Via", "SIP/2.0/\(peer.viaTransport) \(peer.sentBy);branch=z9hG4bK\(branch)"), at: 0)
        return copy
    }
}

extension String {
    /// Where a text occurs first.
    func range(of text: String) -> Range<String.Index>? { firstRange(of: text) }
}
