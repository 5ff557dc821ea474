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
    /// Whether requests to sent-by may go over the connection that this one came on (RFC 5923 §5).
    public var hasAlias = false

    /// Whether the branch has the cookie of RFC 3261 and something behind it (§8.1.1.7; RFC 4475 §3.2.1).
    public var hasUniqueBranch: Bool { branch.count > 7 }
}

extension RawSpan {
    /// Reads one Via value that fills the slice; nil if it breaks the grammar.
    public func via(_ slice: Slice) -> Via? {
        guard let via = firstVia(slice), via.all.upper == slice.upper else { return nil }
        return via
    }

    /// Reads the first value of a Via field; nil if it breaks the grammar.
    func firstVia(_ field: Slice) -> Via? {
        let end = field.upper
        let start = run(of: .whiteSpace, from: field.lower, to: end)
        var i = start
        guard let (transportName, transport) = sentProtocol(&i, end) else { return nil }
        guard let (host, port) = sentBy(&i, end) else { return nil }
        var via = Via(
            all: Slice(start, i), transportName: transportName, transport: transport, host: host, port: port, parameters: Slice(i, i),
            branch: .empty, received: .empty, maddr: .empty, rport: nil)
        guard i < end, self[i] != 0x2C else {
            via.all = trimmed(via.all)
            return via
        }
        guard self[i] == 0x3B, let parametersEnd = endOfParameters(from: i, to: end) else { return nil }
        via.parameters = trimmed(Slice(i, parametersEnd))
        via.all = Slice(start, via.parameters.upper)
        return readParameters(of: &via) ? via : nil
    }

    /// What a Via whose version or parameters are wrong still says: where its sender is. All of it but that counts as not
    /// being there.
    func sentByOfMalformedVia(_ field: Slice) -> Via? {
        let end = field.upper
        let start = run(of: .whiteSpace, from: field.lower, to: end)
        var i = start
        guard viaToken(&i, end) != nil, skipSlash(&i, end), viaToken(&i, end) != nil, skipSlash(&i, end),
            let transportName = viaToken(&i, end), i < end, self[i].isLinearWhiteSpace, let (host, port) = sentBy(&i, end)
        else { return nil }
        let all = trimmed(Slice(start, i))
        return Via(
            all: all, transportName: transportName, transport: Transport(viaName: self[transportName]), host: host, port: port,
            parameters: Slice(all.upper, all.upper), branch: .empty, received: .empty, maddr: .empty, rport: nil)
    }

    /// Host and port, and the white space round them.
    @inline(__always)
    private func sentBy(_ i: inout Int, _ end: Int) -> (host: Slice, port: UInt16)? {
        i = run(of: .whiteSpace, from: i, to: end)
        guard let host = readHost(&i, end) else { return nil }
        i = run(of: .whiteSpace, from: i, to: end)
        guard i < end, self[i] == 0x3A else { return (host, 0) }
        // White space behind the colon is allowed (§25.1, COLON).
        i = run(of: .whiteSpace, from: i + 1, to: end) - 1
        guard let port = readPort(&i, end) else { return nil }
        i = run(of: .whiteSpace, from: i, to: end)
        return (host, port)
    }

    /// `SIP/2.0/UDP` and the white space behind it, which may also stand round the slashes; hardly anyone writes that.
    @inline(__always)
    private func sentProtocol(_ i: inout Int, _ end: Int) -> (Slice, Transport?)? {
        if end - i > 12, self[Slice(i, i + 12)].equalsIgnoringCase("sip/2.0/udp ") {
            i += 12
            return (Slice(i - 4, i - 1), .udp)
        }
        guard let protocolName = viaToken(&i, end), self[protocolName].equalsIgnoringCase("sip"), skipSlash(&i, end),
            let version = viaToken(&i, end), self[version].equals("2.0"), skipSlash(&i, end),
            let transportName = viaToken(&i, end), i < end, self[i].isLinearWhiteSpace
        else { return nil }
        return (transportName, Transport(viaName: self[transportName]))
    }

    /// The offset of the comma behind the parameters, or `end`; nil: an angle bracket, which stands in no parameter of a Via
    /// outside quotes (RFC 3261 §25.1, via-params) and elsewhere hides commas.
    private func endOfParameters(from start: Int, to end: Int) -> Int? {
        var i = next(.listMark, from: start, to: end)
        while i < end {
            switch self[i] {
            case 0x22: i = next(.listMark, from: skipQuoted(from: i, to: end), to: end)
            case 0x2C: return i
            default: return nil
            }
        }
        return end
    }

    private func readParameters(of via: inout Via) -> Bool {
        var rest = via.parameters
        while let (name, value) = nextParameter(&rest) {
            let text = self[name]
            switch name.count {
            case 0: return false
            case 5:
                if text.equalsIgnoringCase("rport") {
                    via.rport = value
                } else if text.equalsIgnoringCase("maddr") {
                    via.maddr = value
                } else if text.equalsIgnoringCase("alias") {
                    via.hasAlias = true
                }
            case 6: if text.equalsIgnoringCase("branch") { via.branch = value }
            case 8: if text.equalsIgnoringCase("received") { via.received = value }
            default: break
            }
        }
        return run(of: .word, from: via.branch.lower, to: via.branch.upper) == via.branch.upper
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

extension Message {
    /// The topmost Via of a request that is refused as malformed: an answer finds its way by its sent-by alone (RFC 3261
    /// §18.2.2; RFC 4475 §3.1.2.1, §3.1.2.16). Nil: nobody can be answered.
    public var viaOfRefused: Via? {
        guard let index = firstIndex(of: .via) else { return nil }
        return bytes.firstVia(fields[index].value) ?? bytes.sentByOfMalformedVia(fields[index].value)
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
