// A binding as others see it.

import SIPMessage
public import SansIO

/// The number of a binding; void once the binding is gone.
public struct BindingID: BitwiseCopyable, Hashable, Sendable {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    init(_ slot: SlotID) { rawValue = slot.rawValue }
    var slot: SlotID { SlotID(rawValue: rawValue) }
}

/// One binding, looked at without copying.
public struct BindingView: ~Escapable {
    public let id: BindingID
    let binding: Binding
    let octets: RawSpan

    @_lifetime(copy octets)
    init(id: BindingID, binding: Binding, octets: RawSpan) {
        self.id = id
        self.binding = binding
        self.octets = octets
    }

    /// The Contact URI as it was received.
    public var uri: RawSpan {
        @_lifetime(copy self)
        get { octets[binding.text.uriSlice] }
    }
    /// The contact parameters as received, each with its semicolon: q, `+sip.instance`, reg-id and feature tags; without
    /// `expires`, which runs, and the GRUUs, which are ours to give (RFC 5627 §4.2).
    public var parameters: RawSpan {
        @_lifetime(copy self)
        get { octets[binding.text.parametersSlice] }
    }
    /// The values of Path in their order, separated by commas: a Route as it stands (RFC 3327 §5.4). Empty: none.
    public var path: RawSpan {
        @_lifetime(copy self)
        get { octets[binding.text.pathSlice] }
    }
    /// The instance identifier between the quotes of `+sip.instance`, angle brackets included. Empty: none.
    public var instance: RawSpan {
        @_lifetime(copy self)
        get { octets[binding.text.instanceSlice] }
    }
    public var callID: RawSpan {
        @_lifetime(copy self)
        get { octets[binding.text.callIDSlice] }
    }
    /// P-Access-Network-Info and P-Visited-Network-ID of the last REGISTER, and icid-value of its P-Charging-Vector (RFC 7315),
    /// all as received, but for what a UE may not say of its access: whether they are to be believed is the reader's question.
    public var accessNetworkInfo: RawSpan {
        @_lifetime(copy self)
        get { octets[binding.text.accessNetworkSlice] }
    }
    public var visitedNetworkID: RawSpan {
        @_lifetime(copy self)
        get { octets[binding.text.visitedNetworkSlice] }
    }
    public var chargingID: RawSpan {
        @_lifetime(copy self)
        get { octets[binding.text.chargingIDSlice] }
    }
    /// CSeq of the last REGISTER, and of the first one with the same Call-ID (`first-cseq` of RFC 5628 §5.2).
    public var sequence: UInt32 { binding.sequence }
    public var firstSequence: UInt32 { binding.firstSequence }
    public var subscriber: UInt32 { binding.subscriber }
    /// The number of the private identity that registered it.
    public var device: UInt16 { binding.device }
    public var flow: Flow { binding.flow }
    /// reg-id, where it is honoured (RFC 5626 §6): requests may then go by the flow.
    public var regID: UInt32? { binding.text.regID == 0 ? nil : binding.text.regID }
    /// The preference in thousandths, 1000 if none was given.
    public var q: UInt16 { binding.text.q }
    /// When it was made or last refreshed.
    public var updated: Instant { binding.updated }
    public var expiry: Instant { binding.expiry }
    /// Seconds left, rounded up; 0: expired.
    public func expires(at now: Instant) -> UInt32 { binding.expires(at: now) }
}

extension Binding {
    func expires(at now: Instant) -> UInt32 { UInt32(clamping: (expiry - now).wholeSeconds) }
    func isLive(at now: Instant) -> Bool { expiry > now }
}
