// The name service of a core, as `core.dns` says.

import NodeRuntime
import SansIO
import Topology

extension NameService {
    /// Nil: nobody is to be asked.
    convenience init?(_ server: NameServer) {
        switch server {
        case .nobody: return nil
        case .system: self.init(Settings())
        case .server(let place):
            // The topology's reader has seen that it is an address.
            guard let address = IPAddress(place.host) else { return nil }
            self.init(Settings(server: Endpoint(address: address, port: place.port)))
        }
    }
}
