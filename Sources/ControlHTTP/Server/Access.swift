// Who may call. Any web page can make a browser send requests to a loopback address, so a request must show by its Host
// and Origin that it was meant for us (RFC 9110 §7.2, RFC 6454 §7); with a token, it must also know that.

import SansIO
import Synchronization

/// The check of a request's head before anything else is looked at.
final class Access: Sendable {
    private let address: IPAddress
    private let token: String?
    private let names: Set<String>
    private let port: Atomic<UInt16>

    init(address: Endpoint, token: String?, hostNames: [String]) {
        self.address = address.address
        self.token = token
        names = Set(hostNames.map { $0.lowercased() })
        port = Atomic(address.port)
    }

    /// The port is known only once the socket is bound, if any was asked for.
    func bound(to port: UInt16) { self.port.store(port, ordering: .releasing) }

    /// - Parameters:
    ///   - hosts: the values of Host, of which there must be one.
    ///   - origins: the values of Origin, if a web page is behind the request.
    ///   - authorization: the value of Authorization.
    ///   - isOpen: whether no token is needed for what is called.
    func check(hosts: [String], origins: [String], authorization: String?, isOpen: Bool = false) throws(APIError) {
        guard hosts.count == 1, let host = hosts.first else {
            throw APIError(.badRequest, "one Host header is needed, there are \(hosts.count); send Host: \(ours)")
        }
        guard isOurs(host) else { throw APIError(.forbidden, "the Host \(host) is not this server; call it as \(ours)") }
        for origin in origins {
            guard let scheme = origin.firstRange(of: "://"), origin[..<scheme.lowerBound].lowercased() == "http",
                isOurs(String(origin[scheme.upperBound...]))
            else { throw APIError(.forbidden, "web pages of \(origin) may not call this server; those of http://\(ours) may") }
        }
        guard let token, !isOpen else { return }
        guard let authorization, let sent = Access.bearerToken(authorization), Access.isEqual(sent, token) else {
            throw APIError(.unauthorized, "the token is missing or wrong; send Authorization: Bearer and core.http_token")
        }
    }

    private var ours: String { Endpoint(address: address, port: port.load(ordering: .acquiring)).text }

    private func isOurs(_ authority: String) -> Bool {
        guard let (host, port) = Access.parts(of: authority) else { return false }
        // On a wildcard listener the port may have been forwarded from another one.
        guard address.isUnspecified || port == self.port.load(ordering: .acquiring) else { return false }
        if names.contains(host) { return true }
        if host == "localhost" { return address.isLoopback || address.isUnspecified }
        guard let literal = IPAddress(host) else { return false }
        // A name can be made to point anywhere, an address is what it is.
        return address.isUnspecified || literal == address
    }

    /// The host in small letters, and the port or 80.
    static func parts(of authority: String) -> (host: String, port: UInt16)? {
        var host = authority.lowercased()[...]
        var port: UInt16 = 80
        let afterHost = host.hasPrefix("[") ? host.firstIndex(of: "]") ?? host.startIndex : host.startIndex
        if let colon = host[afterHost...].firstIndex(of: ":") {
            let digits = host[host.index(after: colon)...]
            guard !digits.isEmpty, digits.utf8.allSatisfy({ $0.isASCIIDigit }), let number = UInt16(digits) else { return nil }
            port = number
            host = host[..<colon]
        }
        return host.isEmpty ? nil : (String(host), port)
    }

    private static func bearerToken(_ authorization: String) -> String? {
        guard let space = authorization.firstIndex(of: " "), authorization[..<space].lowercased() == "bearer" else { return nil }
        return String(authorization[space...].drop { $0 == " " })
    }

    /// In a time that does not tell how much of it was right.
    private static func isEqual(_ sent: String, _ expected: String) -> Bool {
        let (sent, expected) = (Array(sent.utf8), Array(expected.utf8))
        var difference = sent.count ^ expected.count
        for index in expected.indices { difference |= Int(expected[index] ^ (index < sent.count ? sent[index] : 0)) }
        return difference == 0
    }
}
