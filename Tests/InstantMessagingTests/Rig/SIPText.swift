// A message as text, taken apart the simple way: what the tests compare with.

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
    var uri: String { words[1] }
    var status: Int? { isRequest ? nil : Int(words[1]) }
    private var words: [String] { startLine.split(separator: " ").map(String.init) }

    subscript(name: String) -> String? { headers.first { $0.name == name }?.value }
    func all(_ name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }

    mutating func set(_ name: String, _ value: String?) {
        headers.removeAll { $0.name == name }
        if let value { headers.append((name, value)) }
    }

    var text: String {
        var copy = self
        copy.set("Content-Length", String(body.utf8.count))
        return startLine + "\r\n" + copy.headers.map { "\($0.name): \($0.value)\r\n" }.joined() + "\r\n" + body
    }

    /// A response as a peer would give it.
    func response(_ status: Int, _ reason: String = "Answer", _ extra: [(String, String)] = []) -> SIPText {
        var response = SIPText("SIP/2.0 \(status) \(reason)\n\n")
        response.headers = headers.filter { ["Via", "From", "Call-ID", "CSeq"].contains($0.name) }
        let to = self["To"] ?? ""
        response.headers.append(("To", to.contains(";tag=") ? to : to + ";tag=peer"))
        response.headers += extra.map { (name: $0.0, value: $0.1) }
        return response
    }
}
