// The control interfaces of a lab's built-in application servers, of which the lab tells its core: what the core forgets,
// they forget too.

import Lab
import SansIO

enum ServerControl {
    /// The name and address in `application_servers.NAME.http=127.0.0.1:8081`; nil: the setting is another.
    static func address(in setting: String) throws(CommandFailure) -> (name: String, address: Endpoint)? {
        let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
        let path = parts[0].split(separator: ".")
        guard parts.count == 2, path.count >= 3, path.first == "application_servers", path.last == "http" else { return nil }
        return (path.dropFirst().dropLast().joined(separator: "."), try Endpoint(httpArgument: parts[1]))
    }

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
