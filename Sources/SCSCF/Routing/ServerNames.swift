// What criteria call their application servers (ServerName, TS 29.228 Annex B.2.4), as it stands in requests: the topmost Route
// value of a request to the server (TS 24.229 §5.4.3.2, §5.4.3.3), and the Request-URI of a third-party REGISTER (§5.4.1.7). One
// server may have several names, which tell it what is asked of it. They are laid out when profiles are loaded.

import SIPMessage
import SansIO

struct ServerNames: ~Copyable {
    private var numbers: [[UInt8]: Int32] = [:]
    private var uris = TextList()
    private var routes = TextList()
    private var tokens = TextList()

    /// The number of a name that is here already.
    func number(ofKnown uri: [UInt8]) -> Int32? { numbers[uri] }

    /// The number of a name, which is added if it is new.
    ///
    /// - Parameter uri: a SIP or SIPS URI as the criterion has it.
    mutating func number(of uri: [UInt8]) -> Int32 {
        if let number = numbers[uri] { return number }
        uris.add { $0.append(uri) }
        routes.add { text in
            text.append("Route: <")
            text.append(uri)
            if !uri.span.bytes.hasLooseRouting { text.append(";lr") }
            text.append(">\r\n")
        }
        // The same after a restart, whatever else is named by then.
        var hasher = KeyHasher(HashSecret(0, 0))
        hasher.combine(uri.span.bytes)
        tokens.add { $0.appendHex(hasher.finish().low) }
        let number = Int32(numbers.count)
        numbers[uri] = number
        return number
    }

    func appendURI(_ number: Int32, into bytes: inout OctetBuffer) { uris.append(Int(number), into: &bytes) }

    /// What stands for the name in a Call-ID.
    func appendToken(_ number: Int32, into bytes: inout OctetBuffer) { tokens.append(Int(number), into: &bytes) }

    /// The Route field that leads to the server; `lr` is added where the name has none.
    func appendRoute(_ number: Int32, into bytes: inout OctetBuffer) { routes.append(Int(number), into: &bytes) }
}

extension RawSpan {
    /// Whether a URI has the parameter `lr` (RFC 3261 §19.1.1).
    fileprivate var hasLooseRouting: Bool {
        guard let uri = uri(Slice(0, byteCount)) else { return false }
        return parameter("lr", in: uri.parameters) != nil
    }
}
