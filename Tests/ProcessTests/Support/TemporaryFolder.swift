import Foundation
import Glibc

/// A folder that is removed with all that is in it.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/sipcore-process-tests-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("no temporary folder: \(String(cString: strerror(errno)))") }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// - Returns: the absolute path of the file.
    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
        return "\(path)/\(name)"
    }

    /// Nil if there is no such file.
    func read(_ name: String) -> String? {
        guard let data = FileManager.default.contents(atPath: "\(path)/\(name)") else { return nil }
        return String(decoding: data, as: UTF8.self)
    }
}
