// `GET /api/openapi.yaml`: what the interface has, as an OpenAPI 3.1 document. It is a file of the executable, of which only
// the calls are told that this core answers.

import SansIO

enum InterfaceDescription {
    static let contentType = "application/yaml"

    /// - Parameter routes: the others of the interface.
    static func route(describing routes: [Route]) -> Route {
        let path = "/api/openapi.yaml"
        let calls = Set(routes.map { call($0.method.rawValue, $0.path) } + [call("GET", Route(.get, path) { _ in .noContent }.path)])
        let document = Array(text(of: calls).utf8)
        return Route(.get, path) { _ in Answer(contentType: contentType, body: document) }
    }

    /// All that the file describes, each as `GET /api/subscribers/*`.
    static var described: Set<String> {
        var all: Set<String> = []
        var path = ""
        for line in lines {
            switch Line(line) {
            case .path(let found): path = found
            case .operation(let method): all.insert("\(method) \(path)")
            case .other, .section: break
            }
        }
        return all
    }

    /// The document without the calls that are not among these.
    static func text(of calls: Set<String>) -> String {
        var kept: [Substring] = []
        /// The line of the path, until one of its operations is kept.
        var pending: Substring?
        var path = ""
        var isKept = true
        for line in lines {
            switch Line(line) {
            case .section:
                (pending, isKept) = (nil, true)
            case .path(let found):
                (pending, path, isKept) = (line, found, false)
                continue
            case .operation(let method):
                isKept = calls.contains("\(method) \(path)")
                if isKept, let head = pending {
                    kept.append(head)
                    pending = nil
                }
            case .other: break
            }
            if isKept { kept.append(line) }
        }
        return kept.joined(separator: "\n")
    }

    /// `GET /api/subscribers/*`
    static func call(_ method: String, _ path: [String]) -> String { "\(method) " + path.reduce("") { "\($0)/\($1)" } }

    private static let lines: [Substring] = {
        guard let file = PageFile.named("openapi.yaml") else { preconditionFailure("the executable carries no openapi.yaml") }
        return String(decoding: file.octets, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    }()

    /// What a line of the file is. The file keeps to one layout: paths two columns in, their operations four.
    private enum Line {
        case section
        /// With an asterisk for each parameter.
        case path(String)
        case operation(String)
        case other

        init(_ line: Substring) {
            let content = line.drop { $0 == " " }
            let depth = line.utf8.count - content.utf8.count
            if depth == 0, content.contains(":") {
                self = .section
            } else if depth == 2, content.hasPrefix("/") {
                self = .path(content.prefix { $0 != ":" }.split(separator: "/").reduce("") { $0 + ($1.hasPrefix("{") ? "/*" : "/\($1)") })
            } else if depth == 4, let word = ["get", "put", "post", "delete"].first(where: { content == "\($0):" }) {
                self = .operation(word.uppercased())
            } else {
                self = .other
            }
        }
    }
}
