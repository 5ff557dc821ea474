// What a proxy does with Route and Request-URI before it looks for a target (RFC 3261 §16.4): values that name it are
// taken off, and a Request-URI that a strict router replaced is put back.

public import SIPMessage
public import SansIO

/// The addresses by which a request may name us.
public struct OwnAddresses: Sendable {
    /// The home domain in small letters.
    public let domain: [UInt8]
    private let endpoints: [Endpoint]
    private let ports: [UInt16]

    /// - Parameter listeners: their bound and their advertised addresses are ours.
    public init(domain: [UInt8], listeners: [Listener]) {
        self.domain = domain
        endpoints = listeners.flatMap { [$0.local, $0.advertised] }
        ports = listeners.map(\.advertised.port)
    }

    /// Whether host and port of a SIP URI are a listener's; a port that is left out is the default of its transport. Of a
    /// wildcard listener only its advertised address and those of the loopback are known to be ours.
    public func isListener(_ uri: SIPURI, in bytes: RawSpan) -> Bool {
        guard uri.isSIP, let address = IPAddress(bytes[uri.host]) else { return false }
        let port = uri.port == 0 ? (bytes.transport(of: uri) ?? .udp).defaultPort : uri.port
        for endpoint in endpoints
        where endpoint.port == port && (endpoint.address == address || endpoint.address.isUnspecified && address.isLoopback) {
            return true
        }
        return false
    }

    /// Whether the `maddr` of a Request-URI leads to the listener that the request came in by, or to the home domain: then it
    /// has done its work, and port and transport with it (RFC 3261 §16.4).
    public func isReached(by maddr: Slice, of uri: SIPURI, in bytes: RawSpan, over listener: Listener) -> Bool {
        var transport: Transport? = .udp
        if let word = bytes.parameter("transport", in: uri.parameters) { transport = Transport(viaName: bytes[word]) }
        guard transport == listener.transport else { return false }
        guard (uri.port == 0 ? listener.transport.defaultPort : uri.port) == listener.advertised.port else { return false }
        guard let address = IPAddress(bytes[maddr]) else { return bytes[maddr].equalsIgnoringCase(domain.span.bytes) }
        if listener.local.address.isUnspecified, address.isLoopback { return true }
        return address == listener.local.address || address == listener.advertised.address
    }

    /// Whether the host of a SIP URI is the home domain, at any port of ours.
    public func isDomain(_ uri: SIPURI, in bytes: RawSpan) -> Bool {
        uri.isSIP && (uri.port == 0 || ports.contains(uri.port)) && bytes[uri.host].equalsIgnoringCase(domain.span.bytes)
    }

    public func isOurs(_ uri: SIPURI, in bytes: RawSpan) -> Bool { isListener(uri, in: bytes) || isDomain(uri, in: bytes) }
}

/// What the Route header fields of a request come to.
public struct RouteSet: BitwiseCopyable, Sendable {
    /// How many values, from the top, named us and are gone.
    public var removed = 0
    /// The topmost of them: its user part and parameters may hold a mark of ours. Nil: none named us.
    public var own: SIPURI?
    /// The topmost value that is left, as an address. Nil: none.
    public var next: NameAddress?
    /// Whether the last value is taken as the Request-URI (a strict router sent the request).
    public var requestURIFromLast: SIPURI?
    /// A Route value that is no address, or more of them than are looked at: the request is malformed.
    public var isMalformed = false

    /// Whether the topmost value that is left is a strict router's, without `lr`: it takes the place of the Request-URI,
    /// which goes to the end of the route (RFC 3261 §16.6 step 6).
    public var isStrict = false

    /// Whether nothing is left to follow.
    public var isEmpty: Bool { next == nil }
}

extension RouteSet {
    /// The most Route values that are looked at.
    private static let limit = 64

    /// Reads the Route header fields of a request.
    public init(_ request: borrowing Message, _ requestURI: SIPURI, own addresses: borrowing OwnAddresses) {
        self.init()
        guard request.has(.route) else { return }
        let bytes = request.bytes
        var routes: [NameAddress] = []
        var isSound = true
        request.forEachValue(.route) { value in
            guard let address = bytes.nameAddress(value), routes.count < RouteSet.limit else {
                isSound = false
                return false
            }
            routes.append(address)
            return true
        }
        guard isSound else {
            isMalformed = true
            return
        }
        // §16.4: our own Record-Route value as the Request-URI means that the real one is the last Route value.
        if requestURI.user.isEmpty, addresses.isListener(requestURI, in: bytes), bytes.parameter("lr", in: requestURI.parameters) != nil,
            let last = routes.popLast()
        {
            requestURIFromLast = last.uri
        }
        while removed < routes.count, addresses.isOurs(routes[removed].uri, in: bytes) {
            if own == nil { own = routes[removed].uri }
            removed += 1
        }
        guard removed < routes.count else { return }
        next = routes[removed]
        isStrict = bytes.parameter("lr", in: routes[removed].uri.parameters) == nil
    }
}
