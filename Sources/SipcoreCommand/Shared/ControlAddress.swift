// Where a running core is called by HTTP.

import Topology

/// The control interface of a running core, as a user names it: by its address, or by the topology file that has it.
struct ControlAddress {
    /// `http://127.0.0.1:8080`
    let base: String
    let token: String?

    /// - Parameter token: left out: the topology's.
    init(_ source: String, token: String?) throws(CommandFailure) {
        guard !source.hasPrefix("http://") else {
            base = source
            self.token = token
            return
        }
        let topology = try TopologyFile.load(source, isLab: true)
        guard let http = topology.core.http, http.port != 0 else {
            throw CommandFailure(
                status: 1, text: "\(source) fixes no core.http; write http://HOST:PORT of the running core's ready line instead of the file"
            )
        }
        let host = http.host.contains(":") ? "[\(http.host)]" : http.host
        base = "http://\(host):\(http.port)"
        self.token = token ?? topology.core.httpToken
    }
}
