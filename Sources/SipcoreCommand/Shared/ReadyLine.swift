// The line by which a role says that it serves.

import Glibc
import JSONText
import SansIO

enum ReadyLine {
    /// Prints the ready line, and writes it to the ready file if there is one.
    /// - Parameters:
    ///   - sip: the listeners, with their real ports.
    ///   - http: the address of the control interface; nil: there is none.
    ///   - extra: further members, behind the others.
    static func announce(
        role: String, sip: [Listener], http: Endpoint?, extra: [JSON.Member] = [], readyFile: String?
    ) throws(CommandFailure) {
        let line = text(role: role, sip: sip, http: http, extra: extra) + "\n"
        if let readyFile {
            do throws(FileFailure) { try Descriptor.replace(readyFile, with: line) } catch {
                throw CommandFailure(status: 3, text: "cannot write the ready file \(readyFile): \(error.reason)")
            }
        }
        Descriptor.write(line, to: STDOUT_FILENO)
    }

    static func text(role: String, sip: [Listener], http: Endpoint?, extra: [JSON.Member]) -> String {
        var members: [JSON.Member] = [
            .init("event", .text("ready")), .init("role", .text(role)), .init("pid", .integer(Int64(getpid()))),
            .init("sip", .list(sip.map { .text("\($0.transport.name)://\($0.local.text)") })),
        ]
        if let http { members.append(.init("http", .text("http://\(http.text)"))) }
        return JSON.object(members + extra).written
    }
}
