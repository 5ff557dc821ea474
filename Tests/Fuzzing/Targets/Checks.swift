// What the fuzz targets share: a claim that ends the process where it does not hold, so that the fuzzer keeps the input,
// and the octets of an input as a message's reader sees them.

import SIPMessage
import SansIO

/// Ends the process if a claim does not hold.
func check(_ holds: Bool, _ claim: StaticString) {
    if !holds { fatalError("\(claim)") }
}

/// An input as it lies in the fuzzer's memory: reading one octet past it is found by the address sanitizer.
@_lifetime(immortal)
func octets(_ start: UnsafePointer<UInt8>, _ count: Int) -> RawSpan {
    _overrideLifetime(RawSpan(_unsafeStart: UnsafeRawPointer(start), byteCount: count), copying: ())
}

extension RawSpan {
    var all: Slice { Slice(0, byteCount) }

    /// Whether a slice can be taken of these octets.
    func holds(_ slice: Slice) -> Bool { slice.lower <= byteCount && slice.upper <= byteCount }

    func copy(_ slice: Slice) -> [UInt8] { [UInt8](self[slice]) }
}

extension Slice {
    /// Whether it is empty or stands in another.
    func isIn(_ outer: Slice) -> Bool { isEmpty || (lower >= outer.lower && upper <= outer.upper) }
}

/// The parts of a URI stand in it, in their order.
func check(_ uri: SIPURI, in bytes: RawSpan) {
    check(bytes.holds(uri.all), "a URI out of bounds")
    var end = uri.all.lower
    for part in [uri.user, uri.password, uri.host, uri.parameters, uri.headers] where !part.isEmpty {
        check(part.isIn(uri.all) && part.lower >= end, "a part of a URI out of its place")
        end = part.upper
    }
}

/// The parts of a name address stand in it.
func check(_ address: NameAddress, in bytes: RawSpan) {
    check(address.uri, in: bytes)
    for part in [address.displayName, address.uri.all, address.parameters, address.tag] {
        check(part.isIn(address.all), "a part of an address out of its place")
    }
    check(address.tag.isIn(address.parameters), "a tag outside of the parameters")
}
