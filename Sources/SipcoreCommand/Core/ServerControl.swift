// The control interfaces of a lab's built-in application servers, of which the lab tells its core: what the core forgets,
// they forget too.

import Lab
import SansIO

enum ServerControl {
    /// Has a server forget all.
    static func reset(_ name: String, at address: Endpoint) async throws(CommandFailure) {
        let status: Int
        do throws(HTTPCall.Failure) {
            status = try await HTTPCall(method: "POST", base: "http://\(address.text)", target: "/api/reset").answer().status
        } catch {
            throw CommandFailure(status: 1, text: "the application server \(name) was not reset: \(error)")
        }
        guard status == 204 else {
            throw CommandFailure(status: 1, text: "the application server \(name) was not reset: it answered \(status)")
        }
    }
}

extension CommandFailure: CustomStringConvertible {
    var description: String { text ?? "status \(status)" }
}
