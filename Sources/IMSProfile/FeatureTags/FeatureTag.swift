// Feature tags in header fields (RFC 3840 §9): which parameters are feature tags, and whether a request asks for one.

public import SIPMessage
import SansIO

extension Message {
    /// Whether a value of Accept-Contact asks for a feature tag (RFC 3841 §9.2).
    ///
    /// The tag is compared whole and without case, so `+g.oma.sip-im.large-message` does not ask for `+g.oma.sip-im`. Who
    /// writes `tag="FALSE"` does not ask for the tag, and a value that does not begin with `*` asks for nothing.
    ///
    /// - Parameter tag: as it is written, with its leading `+` unless it is a base tag.
    public func asksFor(_ tag: RawSpan) -> Bool {
        var found = false
        forEachValue(.acceptContact) { value in
            guard let parameters = bytes.featureParameters(of: value) else { return true }
            bytes.forEachParameter(in: parameters) { name, value in
                found = bytes[name].equalsIgnoringCase(tag) && bytes.says(value)
                return !found
            }
            return !found
        }
        return found
    }
}

extension RawSpan {
    /// The parameters behind the `*` of a value of Accept-Contact or Reject-Contact; nil without the `*`, which those of
    /// RFC 3841 must have.
    func featureParameters(of value: Slice) -> Slice? {
        guard !value.isEmpty, self[value.lower] == UInt8(ascii: "*") else { return nil }
        let parameters = trimmed(Slice(value.lower + 1, value.upper))
        guard parameters.isEmpty || self[parameters.lower] == UInt8(ascii: ";") else { return nil }
        return parameters
    }

    /// Whether a parameter of this name is a feature tag and not one of the header's own, such as `q` or `require`: those
    /// outside of the base tags begin with `+`.
    func isFeatureTag(_ name: Slice) -> Bool {
        let name = self[name]
        if name.byteCount > 1 && name[0] == UInt8(ascii: "+") { return true }
        switch name.byteCount {
        case 4: return isOne(name, "data", "text", "type", "type")
        case 5: return isOne(name, "audio", "video", "actor", "class")
        case 6: return isOne(name, "duplex", "events", "events", "events")
        case 7: return isOne(name, "methods", "control", "schemes", "isfocus")
        case 8: return isOne(name, "automata", "mobility", "priority", "language")
        case 10: return name.equalsIgnoringCase("extensions")
        case 11: return isOne(name, "application", "description", "description", "description")
        default: return false
        }
    }

    private func isOne(_ name: RawSpan, _ a: StaticString, _ b: StaticString, _ c: StaticString, _ d: StaticString) -> Bool {
        name.equalsIgnoringCase(a) || name.equalsIgnoringCase(b) || name.equalsIgnoringCase(c) || name.equalsIgnoringCase(d)
    }

    /// Whether a feature tag with this value is anything but false.
    fileprivate func says(_ value: Slice) -> Bool {
        var result = false
        forEachFeatureValue(in: value) { value in
            result = !value.isFalse
            return !result
        }
        return result
    }
}
