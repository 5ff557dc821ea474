// JSON (RFC 8259), written straight to octets in the order in which it is asked for.

import FoundationEssentials
import SansIO

/// Writes one JSON value; commas are put in between.
struct JSONWriter {
    private(set) var octets: [UInt8] = []
    /// Whether the object or array being written has something in it.
    private var needsComma = false

    mutating func object(_ body: (inout JSONWriter) -> Void) {
        beginObject()
        body(&self)
        endObject()
    }

    mutating func array(_ body: (inout JSONWriter) -> Void) {
        beginArray()
        body(&self)
        endArray()
    }

    // A view of a message cannot be captured, so what is written from one is begun and ended.
    mutating func beginObject() { begin(0x7B) }
    mutating func endObject() { end(0x7D) }
    mutating func beginArray() { begin(0x5B) }
    mutating func endArray() { end(0x5D) }

    mutating func string(_ text: String) {
        separate()
        quote(text.utf8)
    }

    mutating func integer(_ number: some BinaryInteger) {
        separate()
        octets += "\(number)".utf8
    }

    /// A fraction with three digits at most.
    mutating func thousandths(_ number: Int64) {
        separate()
        let sign = number < 0 ? "-" : ""
        var digits = String(number.magnitude % 1000)
        digits = String(repeating: "0", count: 3 - digits.count) + digits
        while digits.last == "0" { digits.removeLast() }
        octets += "\(sign)\(number.magnitude / 1000)\(digits.isEmpty ? "" : ".")\(digits)".utf8
    }

    /// A finite number, with as many digits as tell it from its neighbours.
    mutating func fraction(_ number: Double) {
        separate()
        octets += "\(number)".utf8
    }

    mutating func boolean(_ value: Bool) {
        separate()
        octets += (value ? "true" : "false").utf8
    }

    mutating func null() {
        separate()
        octets += "null".utf8
    }

    // MARK: Members

    /// Writes the name; the value is to follow.
    mutating func name(_ name: String) {
        separate()
        quote(name.utf8)
        octets.append(0x3A)
        needsComma = false
    }

    mutating func member(_ name: String, _ text: String?) {
        self.name(name)
        if let text { string(text) } else { null() }
    }

    mutating func member(_ name: String, _ texts: [String]) {
        self.name(name)
        array { json in for text in texts { json.string(text) } }
    }

    mutating func member(_ name: String, _ number: (some BinaryInteger)?) {
        self.name(name)
        if let number { integer(number) } else { null() }
    }

    /// A time as RFC 3339 has it, with microseconds.
    mutating func member(_ name: String, _ time: WallTime) {
        var buffer = OctetBuffer(capacity: 64)
        buffer.appendRFC3339(time)
        member(name, String(octets: buffer.bytes))
    }

    /// Octets as text or, if they are not UTF-8, under the name with `_base64` behind it.
    mutating func member(_ name: String, octets: RawSpan) {
        let octets = [UInt8](octets)
        if let text = String(validating: octets, as: UTF8.self) {
            member(name, text)
        } else {
            member("\(name)_base64", Data(octets).base64EncodedString())
        }
    }

    // MARK: Octets

    private mutating func separate() {
        if needsComma { octets.append(0x2C) }
        needsComma = true
    }

    private mutating func begin(_ bracket: UInt8) {
        separate()
        octets.append(bracket)
        needsComma = false
    }

    private mutating func end(_ bracket: UInt8) {
        octets.append(bracket)
        needsComma = true
    }

    private mutating func quote(_ text: String.UTF8View) {
        octets.append(0x22)
        for octet in text {
            switch octet {
            case 0x22, 0x5C: octets += [0x5C, octet]
            case 0x0A: octets += [0x5C, 0x6E]
            case 0x0D: octets += [0x5C, 0x72]
            case 0x09: octets += [0x5C, 0x74]
            case 0..<0x20, 0x7F: octets += [0x5C, 0x75, 0x30, 0x30, hexDigit(octet >> 4), hexDigit(octet & 15)]
            default: octets.append(octet)
            }
        }
        octets.append(0x22)
    }

    private func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }
}
