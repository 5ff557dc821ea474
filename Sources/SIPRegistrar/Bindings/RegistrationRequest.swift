// What a REGISTER asks for, read and checked as far as that goes without looking at what is bound (RFC 3261 §10.3 steps
// 6 and 7, RFC 3327 §5.3, RFC 5626 §6).

import SIPMessage
import SansIO

/// One contact of a REGISTER.
struct RequestedContact: BitwiseCopyable {
    var uri: SIPURI
    /// Seconds granted; 0: the contact is to go.
    var interval: UInt32
    var text: ContactText
    /// Where its octets stand among those of the request's contacts.
    var octets: Slice
    /// The binding that it names, as found later; `.max`: none.
    var binding: UInt32 = .max
    /// Whether the binding lives, has another URI, and whether a later contact of the request names the same one.
    var isBound = false
    var isMoved = false
    var isSuperseded = false
}

/// A REGISTER, read. One is used again for each request, so that nothing is allocated.
struct RegistrationRequest: ~Copyable {
    enum Scope { case contacts, allOfDevice, flowOfDevice }

    /// URI parameters and headers of one contact: comparing two contacts goes through all of them with each other.
    private static let maximumURIParts = 32

    /// `Contact: *`, alone or with a flow, is a scope without contacts.
    private(set) var scope = Scope.contacts
    var contacts: ContiguousArray<RequestedContact> = []
    private var buffer = OctetBuffer(capacity: 1024)
    private(set) var callIDCount = 0
    private var common = ContactText()
    /// Call-ID, Path and the P- headers stand before each contact's own octets.
    private var commonCount = 0
    private var honoursFlows = false
    /// Whether a URI was read that is no SIPS URI: the Request-URI, one of Path or one of a contact that is to be bound.
    private var holdsInsecureURI = false
    private var holdsSIPSContact = false
    /// Whether a contact to be bound has the looks of a GRUU or, where GRUUs are asked for, of an address-of-record.
    private(set) var mayLeadBack = false
    /// Whether the field being read holds line ends.
    private var holdsLineEnds = false

    /// Whether every contact is to go.
    var isDeregistration: Bool {
        for contact in contacts where contact.interval > 0 { return false }
        return true
    }

    /// Octets that are kept of all contacts.
    var octetCount: Int { buffer.count }

    var callID: RawSpan {
        @_lifetime(borrow self)
        borrowing get { buffer.bytes(from: 0, count: callIDCount) }
    }

    /// The octets that are kept of a contact.
    @_lifetime(borrow self)
    borrowing func octets(of contact: Int) -> RawSpan { octets(contacts[contact]) }

    @_lifetime(borrow self)
    borrowing func octets(_ contact: RequestedContact) -> RawSpan {
        buffer.bytes(from: contact.octets.lower, count: Int(contact.octets.count))
    }

    /// Puts what is kept of a contact into the pool.
    func store(_ contact: RequestedContact, in pool: inout PacketPool) -> PacketID { pool.store(octets(contact)) }

    /// Whether just that is in the pool already.
    func isStored(_ contact: RequestedContact, under id: PacketID, in pool: borrowing PacketPool) -> Bool {
        pool.bytes(id).equals(octets(contact))
    }

    mutating func read(
        _ request: borrowing Message, _ essentials: Essentials, _ settings: RegistrarSettings, believesEdge: Bool
    ) throws(RegistrationRefusal) {
        contacts.removeAll(keepingCapacity: true)
        buffer.removeAll()
        scope = .contacts
        holdsInsecureURI = essentials.requestURI?.scheme != .sips
        holdsSIPSContact = false
        mayLeadBack = false
        honoursFlows = request.lists("outbound", in: .supported)
        let firstHop = try readCommon(request, essentials, believesEdge: believesEdge)
        guard commonCount < settings.maximumContactSize else { throw RegistrationRefusal(400, .path, .contactTooLong) }
        try readContacts(request, settings)
        // RFC 5630 §5.2.
        guard !holdsSIPSContact || !holdsInsecureURI else { throw RegistrationRefusal(400, .contact, .insecureContact) }
        try checkFlows(firstHop)
        try checkTargets(request, essentials.to.uri)
        for contact in contacts where contact.interval > 0 && contact.interval < min(settings.minimumExpires, 3600) {
            throw RegistrationRefusal(423, .contact, .intervalTooBrief, minimumExpires: settings.minimumExpires)
        }
    }

    // MARK: What all contacts share

    /// How the request came to us.
    private enum FirstHop { case direct, supportsOutbound, lacksOutbound }

    private mutating func readCommon(
        _ request: borrowing Message, _ essentials: Essentials, believesEdge: Bool
    ) throws(RegistrationRefusal) -> FirstHop {
        buffer.append(request[essentials.callID])
        callIDCount = buffer.count
        let firstHop = try appendPath(of: request)
        let pathEnd = buffer.count
        if believesEdge { appendValues(.pAccessNetworkInfo, of: request) } else { appendOwnAccessNetworkInfo(of: request) }
        let accessEnd = buffer.count
        appendValues(.pVisitedNetworkID, of: request)
        let visitedEnd = buffer.count
        if let vector = request.value(.pChargingVector), let identifier = request.bytes.parameter("icid-value", in: vector) {
            holdsLineEnds = true
            append(request[request.bytes.unquoted(identifier)])
        }
        commonCount = buffer.count
        common = ContactText(
            callID: UInt16(clamping: callIDCount), path: UInt16(clamping: pathEnd - callIDCount),
            accessNetwork: UInt16(clamping: accessEnd - pathEnd), visitedNetwork: UInt16(clamping: visitedEnd - accessEnd),
            chargingID: UInt16(clamping: commonCount - visitedEnd))
        return firstHop
    }

    /// Appends the values of Path, and finds out from the last one, which the proxy next to the UE put in, whether that
    /// proxy keeps flows (RFC 5626 §6).
    private mutating func appendPath(of request: borrowing Message) throws(RegistrationRefusal) -> FirstHop {
        guard request.has(.path) else { return honoursFlows && !request.hasOneVia ? .lacksOutbound : .direct }
        let start = buffer.count
        var firstHop = FirstHop.lacksOutbound
        var index = request.firstIndex(of: .path)
        while let i = index {
            var rest = request.fields[i].value
            holdsLineEnds = request.bytes[request.fields[i].value].holdsLineEnds
            while !rest.isEmpty {
                let value = request.bytes.nextListValue(&rest)
                if value.isEmpty { continue }
                guard let address = request.bytes.nameAddress(value), address.uri.isSIP else {
                    throw RegistrationRefusal(400, .path, .malformedPath)
                }
                guard request.bytes.parameter("lr", in: address.uri.parameters) != nil else {
                    throw RegistrationRefusal(400, .path, .strictPath)
                }
                if address.uri.scheme != .sips { holdsInsecureURI = true }
                if buffer.count > start { buffer.append(", ") }
                append(request[value])
                firstHop = request.bytes.parameter("ob", in: address.uri.parameters) == nil ? .lacksOutbound : .supportsOutbound
            }
            index = request.nextIndex(after: i)
        }
        return firstHop
    }

    private mutating func appendValues(_ name: HeaderName, of request: borrowing Message) {
        let start = buffer.count
        var index = request.firstIndex(of: name)
        while let i = index {
            if buffer.count > start { buffer.append(", ") }
            holdsLineEnds = request.bytes[request.fields[i].value].holdsLineEnds
            append(request[request.fields[i].value])
            index = request.nextIndex(after: i)
        }
    }

    /// P-Access-Network-Info as far as a UE may say it: what is marked as provided by the network is an edge's to say (RFC 7315
    /// §4.4, TS 24.229 §4.4).
    private mutating func appendOwnAccessNetworkInfo(of request: borrowing Message) {
        let start = buffer.count
        var index = request.firstIndex(of: .pAccessNetworkInfo)
        while let i = index {
            var rest = request.fields[i].value
            holdsLineEnds = request.bytes[request.fields[i].value].holdsLineEnds
            while !rest.isEmpty {
                let value = request.bytes.nextListValue(&rest)
                if value.isEmpty { continue }
                if request.bytes.parameter("network-provided", in: value) != nil { continue }
                if request.bytes.parameter("np", in: value) != nil { continue }
                if buffer.count > start { buffer.append(", ") }
                append(request[value])
            }
            index = request.nextIndex(after: i)
        }
    }

    // MARK: Contacts

    private mutating func readContacts(_ request: borrowing Message, _ settings: RegistrarSettings) throws(RegistrationRefusal) {
        let interval = request.value(.expires).map { request.bytes.interval($0) }
        var values = 0
        var bound = 0
        var index = request.firstIndex(of: .contact)
        while let i = index {
            var rest = request.fields[i].value
            holdsLineEnds = request.bytes[request.fields[i].value].holdsLineEnds
            while !rest.isEmpty {
                let value = request.bytes.nextListValue(&rest)
                if value.isEmpty { continue }
                values += 1
                guard scope == .contacts else { throw RegistrationRefusal(400, .contact, .wildcardNotAlone) }
                if request.bytes[value.lower] == 0x2A, value.count == 1 || request.bytes.isWildcard(value) {
                    guard values == 1 else { throw RegistrationRefusal(400, .contact, .wildcardNotAlone) }
                    guard interval == 0 else { throw RegistrationRefusal(400, .contact, .wildcardWithoutZeroExpires) }
                    try readWildcard(value, of: request, settings)
                } else {
                    try readContact(value, of: request, interval: interval ?? settings.defaultExpires, settings)
                    if contacts[contacts.count - 1].interval > 0 { bound += 1 }
                    // What goes makes room for what comes.
                    guard max(bound, contacts.count - bound) <= settings.maximumContacts else {
                        throw RegistrationRefusal(403, .contact, .tooManyContacts)
                    }
                }
            }
            index = request.nextIndex(after: i)
        }
        guard values > 0 else { throw RegistrationRefusal(400, .contact, .malformedContact) }
    }

    private mutating func readContact(
        _ value: Slice, of request: borrowing Message, interval: UInt32, _ settings: RegistrarSettings
    ) throws(RegistrationRefusal) {
        guard let address = request.bytes.nameAddressBeforeParameters(value) else {
            throw RegistrationRefusal(400, .contact, .malformedContact)
        }
        guard address.uri.all.count <= MessageLimit.uri, request.bytes.parts(of: address.uri) <= RegistrationRequest.maximumURIParts else {
            throw RegistrationRefusal(400, .contact, .contactTooLong)
        }
        let start = beginContact()
        buffer.append(request[address.uri.all])
        let (text, ownInterval) = try readParameters(
            address.parameters, in: request.bytes, from: start, uriCount: Int(address.uri.all.count), settings)
        if address.uri.scheme != .sips {
            holdsInsecureURI = true
        } else if ownInterval ?? interval > 0 {
            holdsSIPSContact = true
        }
        contacts.append(
            RequestedContact(
                uri: address.uri, interval: min(ownInterval ?? interval, settings.maximumExpires), text: text,
                octets: Slice(start, buffer.count)))
    }

    /// `*` with a flow's instance and reg-id means that flow only (TS 24.229 §5.4.1.4).
    private mutating func readWildcard(
        _ value: Slice, of request: borrowing Message, _ settings: RegistrarSettings
    ) throws(RegistrationRefusal) {
        let start = beginContact()
        buffer.append("*")
        let (text, _) = try readParameters(Slice(value.lower + 1, value.upper), in: request.bytes, from: start, uriCount: 1, settings)
        guard text.regID > 0, let uri = request.bytes.uri(request.shape.requestURI) else {
            scope = .allOfDevice
            return
        }
        scope = .flowOfDevice
        contacts.append(RequestedContact(uri: uri, interval: 0, text: text, octets: Slice(start, buffer.count)))
    }

    /// Each contact's octets are whole: those that all share stand before its own.
    private mutating func beginContact() -> Int {
        guard !contacts.isEmpty else { return 0 }
        let start = buffer.count
        buffer.appendCopy(from: 0, count: commonCount)
        return start
    }

    /// Copies the parameters that are kept, and reads those that mean something here.
    private mutating func readParameters(
        _ parameters: Slice, in bytes: RawSpan, from start: Int, uriCount: Int, _ settings: RegistrarSettings
    ) throws(RegistrationRefusal) -> (ContactText, interval: UInt32?) {
        let parametersStart = buffer.count
        var text = common
        var interval: UInt32?
        var regID: UInt64?
        var isSound = true
        var rest = parameters
        while isSound, let (name, value) = bytes.nextParameter(&rest) {
            switch name.count {
            case 0: isSound = false
            case 7 where bytes[name].equalsIgnoringCase("expires"):
                interval = bytes.interval(value)
                continue
            case 8 where bytes[name].equalsIgnoringCase("pub-gruu"), 9 where bytes[name].equalsIgnoringCase("temp-gruu"):
                continue
            case 1 where bytes[name].equalsIgnoringCase("q"):
                if let q = bytes.qvalue(value) { text.q = q } else { isSound = false }
            case 6 where bytes[name].equalsIgnoringCase("reg-id"):
                regID = bytes.decimal(value, maximum: 0x7FFF_FFFF) ?? 0
            case 13 where bytes[name].equalsIgnoringCase("+sip.instance"):
                let instance = bytes.unquoted(value)
                // One that is empty names nothing.
                guard !instance.isEmpty else { break }
                text.instanceStart = UInt16(clamping: buffer.count - start + Int(name.count) + 2 + instance.lower - value.lower)
                text.instanceCount = UInt16(clamping: instance.count)
            default: break
            }
            buffer.append(byte: 0x3B)
            append(bytes[name])
            if !value.isEmpty {
                buffer.append(byte: 0x3D)
                append(bytes[value])
            }
        }
        if text.instanceCount > 0, honoursFlows, let regID {
            // 1 to 2^31 - 1 (RFC 5626 §4.2.1).
            if regID == 0 { isSound = false }
            text.regID = UInt32(truncatingIfNeeded: regID)
        }
        guard isSound else { throw RegistrationRefusal(400, .contact, .malformedContact) }
        guard buffer.count - start <= settings.maximumContactSize else { throw RegistrationRefusal(400, .contact, .contactTooLong) }
        text.uri = UInt16(uriCount)
        text.parameters = UInt16(buffer.count - parametersStart)
        return (text, interval)
    }

    /// RFC 5626 §6: one flow at a time, and over a first hop that keeps it.
    private mutating func checkFlows(_ firstHop: FirstHop) throws(RegistrationRefusal) {
        var flows = 0
        for contact in contacts where contact.text.regID > 0 && contact.interval > 0 { flows += 1 }
        guard flows > 0 else { return }
        guard flows == 1 else { throw RegistrationRefusal(400, .contact, .severalFlows) }
        guard firstHop != .lacksOutbound else { throw RegistrationRefusal(439, nil, .noOutboundAtFirstHop) }
    }

    /// A contact that leads back to the address-of-record would be a loop: neither a GRUU of it may be one, nor, where
    /// GRUUs are asked for, the address itself (RFC 5627 §5.1).
    private mutating func checkTargets(_ request: borrowing Message, _ addressOfRecord: SIPURI) throws(RegistrationRefusal) {
        let bytes = request.bytes
        for contact in contacts where contact.interval > 0 {
            let isGRUU = contact.uri.parameters.isEmpty ? false : bytes.parameter("gr", in: contact.uri.parameters) != nil
            if !isGRUU {
                guard contact.text.instanceCount > 0, request.has(.supported), request.lists("gruu", in: .supported) else { continue }
            }
            if contact.uri.port == 0 { mayLeadBack = true }
            guard contact.uri.isSIP, bytes[contact.uri.host].equalsIgnoringCase(bytes[addressOfRecord.host]) else { continue }
            let isSame = bytes[contact.uri.user].equals(bytes[addressOfRecord.user]) && contact.uri.port == addressOfRecord.port
            guard isSame || (isGRUU && bytes[contact.uri.user].isTemporaryGRUU) else { continue }
            throw RegistrationRefusal(403, .contact, .contactIsGRUU)
        }
    }

    /// Appends text; line ends, of a folded field or stray, become spaces.
    private mutating func append(_ text: RawSpan) {
        let start = buffer.count
        buffer.append(text)
        guard holdsLineEnds else { return }
        for i in 0..<text.byteCount where text[i] == 0x0D || text[i] == 0x0A {
            let space: InlineArray<1, UInt8> = [0x20]
            buffer.overwrite(at: start + i, with: space.span.bytes)
        }
    }
}

extension Message {
    fileprivate var hasOneVia: Bool {
        var count = 0
        forEachValue(.via) { _ in
            count += 1
            return count < 2
        }
        return count < 2
    }
}

extension RawSpan {
    /// Whether there is a CR, as in every line end and also alone, or an LF.
    fileprivate var holdsLineEnds: Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var i = 0
        while i + 8 <= byteCount {
            let word = unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            let returns = word ^ (ones &* 0x0D)
            let feeds = word ^ (ones &* 0x0A)
            if ((returns &- ones) & ~returns | (feeds &- ones) & ~feeds) & (ones &* 0x80) != 0 { return true }
            i += 8
        }
        while i < byteCount {
            if self[i] == 0x0D || self[i] == 0x0A { return true }
            i += 1
        }
        return false
    }

    /// Seconds of an `expires`; a value past 32 bits is the highest there is, one that is no number 3600 (RFC 3261 §20.10).
    fileprivate func interval(_ slice: Slice) -> UInt32 { deltaSeconds(slice) ?? 3600 }

    /// `*` with parameters behind it.
    fileprivate func isWildcard(_ value: Slice) -> Bool {
        var i = value.lower + 1
        while i < value.upper, self[i].isLinearWhiteSpace { i += 1 }
        return i == value.upper || self[i] == 0x3B
    }

    /// How many parameters and headers a URI has.
    fileprivate func parts(of uri: SIPURI) -> Int {
        var count = 0
        for i in uri.parameters.lower..<uri.parameters.upper where self[i] == 0x3B { count += 1 }
        for i in uri.headers.lower..<uri.headers.upper where self[i] == 0x3F || self[i] == 0x26 { count += 1 }
        return count
    }
}
