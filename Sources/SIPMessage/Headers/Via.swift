// One Via value (RFC 3261 §20.42, RFC 3581): which way a response goes back, and which transaction it belongs to.

public import SansIO

public struct Via: BitwiseCopyable, Sendable {
    /// The whole value, parameters included.
    public var all: Slice
    /// The transport's word as it stands, and its number if it is one of ours.
    public var transportName: Slice
    public var transport: Transport?
    /// sent-by: host with the brackets of an IPv6 reference, and port (0: none given).
    public var host: Slice
    public var port: UInt16
    public var parameters: Slice
    /// Empty: none, or without a value.
    public var branch: Slice
    public var received: Slice
    public var maddr: Slice
    /// The parameter `rport` with its value (empty: the peer asks for it); nil: it is not there.
    public var rport: Slice?

    /// Whether the branch has the cookie of RFC 3261 and something behind it (§8.1.1.7; RFC 4475 §3.2.1).
    public var hasUniqueBranch: Bool { branch.count > 7 }
}

extension RawSpan {
    /// Reads one Via value; nil if it breaks the grammar.
    public func via(_ slice: Slice) -> Via? {
        let end = slice.upper
        var i = slice.lower
        // `SIP / 2.0 / UDP` may have white space round the slashes; hardly anyone writes it.
        guard let protocolName = viaToken(&i, end), self[protocolName].equalsIgnoringCase("sip"), skipSlash(&i, end),
            let version = viaToken(&i, end), self[version].equals("2.0"), skipSlash(&i, end),
            let transportName = viaToken(&i, end), i < end, self[i].isLinearWhiteSpace
        else { return nil }
        while i < end, self[i].isLinearWhiteSpace { i += 1 }
        guard let host = readHost(&i, end) else { return nil }
        while i < end, self[i].isLinearWhiteSpace { i += 1 }
        var port = 0
        if i < end, self[i] == 0x3A {
            i += 1
            while i < end, self[i].isLinearWhiteSpace { i += 1 }
            let digits = i
            while i < end, self[i].isASCIIDigit, port <= 65_535 {
                port = port * 10 + Int(self[i] - 0x30)
                i += 1
            }
            guard i > digits, port <= 65_535 else { return nil }
            while i < end, self[i].isLinearWhiteSpace { i += 1 }
        }
        guard i == end || self[i] == 0x3B else { return nil }
        var via = Via(
            all: slice, transportName: transportName, transport: Transport(viaName: self[transportName]), host: host, port: UInt16(port),
            parameters: Slice(i, end), branch: .empty, received: .empty, maddr: .empty, rport: nil)
        return readParameters(of: &via) ? via : nil
    }

    private func readParameters(of via: inout Via) -> Bool {
        var rest = via.parameters
        while let (name, value) = nextParameter(&rest) {
            switch name.count {
            case 0: return false
            case 5 where self[name].equalsIgnoringCase("rport"): via.rport = value
            case 5 where self[name].equalsIgnoringCase("maddr"): via.maddr = value
            case 6 where self[name].equalsIgnoringCase("branch"): via.branch = value
            case 8 where self[name].equalsIgnoringCase("received"): via.received = value
            default: break
            }
        }
        return branchIsToken(via.branch)
    }

    private func branchIsToken(_ branch: Slice) -> Bool {
        for i in branch.lower..<branch.upper where self[i] <= 0x20 || self[i] == 0x2C { return false }
        return true
    }

    private func viaToken(_ i: inout Int, _ end: Int) -> Slice? {
        while i < end, self[i].isLinearWhiteSpace { i += 1 }
        let start = i
        while i < end, self[i].isTokenCharacter { i += 1 }
        return i > start ? Slice(start, i) : nil
    }

    private func skipSlash(_ i: inout Int, _ end: Int) -> Bool {
        while i < end, self[i].isLinearWhiteSpace { i += 1 }
        guard i < end, self[i] == 0x2F else { return false }
        i += 1
        return true
    }
}

extension Transport {
    /// The transport of a Via's word, in any case.
    public init?(viaName: RawSpan) {
        if viaName.equalsIgnoringCase("udp") {
            self = .udp
        } else if viaName.equalsIgnoringCase("tcp") {
            self = .tcp
        } else if viaName.equalsIgnoringCase("tls") {
            self = .tls
        } else if viaName.equalsIgnoringCase("ws") {
            self = .ws
        } else if viaName.equalsIgnoringCase("wss") {
            self = .wss
        } else {
            return nil
        }
    }
}
