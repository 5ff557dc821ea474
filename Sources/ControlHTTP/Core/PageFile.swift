// The web page at `/` and the files that belong to it. They stand in the executable as they are in Sources/CPage/files.

import CPage
import SansIO

/// A file that the executable carries.
struct PageFile: Sendable {
    let name: String
    let octets: [UInt8]
    private let tag: String

    private init(_ file: carried_file) {
        name = String(cString: file.name)
        octets = Array(UnsafeBufferPointer(start: file.octets, count: file.count))
        // FNV-1a: it has to differ between two builds, nothing else.
        let hash = octets.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
        tag = "\"\(String(hash, radix: 16))\""
    }

    private static let all: [PageFile] = (0..<carried_file_count()).map { PageFile(carried_file_at($0)) }

    /// The file of this name.
    static func named(_ name: String) -> PageFile? { all.first { $0.name == name } }

    /// The page itself, and what it loads. They are the same for everybody, so no token is asked for.
    static var routes: [Route] {
        all.filter { $0.contentType != nil }.map { file in
            let path = file.name == "index.html" ? "/" : "/\(file.name)"
            return Route(.get, path, isOpen: true) { call in file.answer(unlessKnown: call.knownTags) }
        }
    }

    private var contentType: String? {
        switch name.split(separator: ".").last {
        case "html": "text/html; charset=utf-8"
        case "css": "text/css; charset=utf-8"
        case "js": "text/javascript; charset=utf-8"
        case "svg": "image/svg+xml"
        default: nil
        }
    }

    private func answer(unlessKnown tags: String?) -> Answer {
        var answer = Answer(contentType: contentType ?? "application/octet-stream", body: octets)
        // Nothing from elsewhere is loaded, and nobody may put the page into another one.
        answer.headers = [
            ("Cache-Control", "no-cache"), ("ETag", tag), ("Referrer-Policy", "no-referrer"),
            ("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
        ]
        if let tags, tags == "*" || tags.contains(tag) {
            answer.status = .notModified
            answer.body = []
        }
        return answer
    }
}
