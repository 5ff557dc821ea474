// Whose a recorded message is that went over a stream which the peer opened.

import ControlHTTP
import SIPMessage
import SIPTrace
import SansIO

extension CoreNode {
    /// The name of a server by its Via: such a stream comes from a port of its own.
    func nameBySentBy(of recorded: RecordedMessage) -> String? {
        guard recorded.transport.isReliable else { return nil }
        let octets = recorded.octets.span.bytes
        var scanner = MessageScanner()
        guard case .message = scanner.scan(octets) else { return nil }
        let message = scanner.message(octets)
        // Of other messages the topmost Via is ours.
        guard message.isRequest == (recorded.direction == .incoming), let via = message.viaOfRefused else { return nil }
        return names[Endpoint(address: recorded.remote.address, port: via.port == 0 ? recorded.transport.defaultPort : via.port)]
    }
}
