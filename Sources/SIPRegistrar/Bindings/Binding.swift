// One binding as it is stored: numbers in a slab, its text in a pool.

import SIPMessage
import SansIO

/// A contact bound to a subscriber (RFC 3261 §10). The subscriber's bindings are a list in the order in which they were
/// first made.
struct Binding: BitwiseCopyable {
    var subscriber: UInt32
    /// The next binding of the same subscriber; `.max`: the last.
    var next: UInt32 = .max
    /// Expires no later than the binding; a refresh leaves it as it is, and it is set anew when it fires too early.
    var timer = TimerID.none
    /// CSeq of the REGISTER that made it or refreshed it last, and of the first one since its Call-ID is what it is:
    /// temporary GRUUs from before that are void (RFC 5627 §3.2).
    var sequence: UInt32
    var firstSequence: UInt32
    var expiry: Instant
    var updated: Instant
    var flow: Flow
    /// The private identity's number.
    var device: UInt16
    var text: ContactText
    var octets: PacketID = .none
}

/// The parts of a binding's octets: how long each is, in this order.
struct ContactText: BitwiseCopyable, Equatable {
    var callID: UInt16 = 0
    var path: UInt16 = 0
    var accessNetwork: UInt16 = 0
    var visitedNetwork: UInt16 = 0
    var chargingID: UInt16 = 0
    var uri: UInt16 = 0
    var parameters: UInt16 = 0
    /// Where the instance stands in all the octets, without its quotes; empty: none.
    var instanceStart: UInt16 = 0
    var instanceCount: UInt16 = 0
    /// Thousandths.
    var q: UInt16 = 1000
    /// 0: none, or not honoured.
    var regID: UInt32 = 0

    /// Octets of all parts.
    var total: Int { uriEnd + Int(parameters) }
    var callIDSlice: Slice { Slice(0, Int(callID)) }
    var pathSlice: Slice { Slice(start: UInt32(callID), count: UInt32(path)) }
    var accessNetworkSlice: Slice { Slice(start: UInt32(callID) + UInt32(path), count: UInt32(accessNetwork)) }
    var visitedNetworkSlice: Slice { Slice(start: UInt32(accessNetworkSlice.upper), count: UInt32(visitedNetwork)) }
    var chargingIDSlice: Slice { Slice(start: UInt32(visitedNetworkSlice.upper), count: UInt32(chargingID)) }
    var uriSlice: Slice { Slice(start: UInt32(uriStart), count: UInt32(uri)) }
    var parametersSlice: Slice { Slice(start: UInt32(uriEnd), count: UInt32(parameters)) }
    var instanceSlice: Slice { Slice(start: UInt32(instanceStart), count: UInt32(instanceCount)) }

    private var uriStart: Int { Int(callID) + Int(path) + Int(accessNetwork) + Int(visitedNetwork) + Int(chargingID) }
    private var uriEnd: Int { uriStart + Int(uri) }

    /// Whether the numbers can be those of one binding: a stored record may hold anything.
    var isSound: Bool {
        total <= 65_535 && uri > 0 && callID > 0 && q <= 1000 && instanceSlice.upper <= total && (regID == 0 || instanceCount > 0)
    }
}
