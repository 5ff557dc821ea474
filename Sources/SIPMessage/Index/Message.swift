// A message as its octets and an index of them. It is a view: it lives no longer than the octets and the scanner that
// made the index, and nothing in it was copied.

import SansIO

/// One header field: its name's number and where its parts stand.
public struct HeaderField: BitwiseCopyable, Sendable {
    public var name: HeaderName
    /// Whether the value goes over several lines.
    public var isFolded: Bool
    /// The whole field, from the name to the end of its last line, line end included.
    public var line: Slice
    /// The name as it stands there.
    public var nameSlice: Slice
    /// The value without white space at its ends. A folded value still holds its line ends.
    public var value: Slice
    /// The number of the next field with the same name, or `none`.
    var next: UInt16 = HeaderField.none

    static let none = UInt16.max

    /// Whether it is a name, a colon, one character of white space, a value and two octets of line end.
    var isPlain: Bool {
        @inline(__always) get { !isFolded && value.lower == nameSlice.upper + 2 && line.upper == value.upper + 2 }
    }
}

/// What a scan found outside of the header fields.
public struct MessageShape: BitwiseCopyable, Sendable {
    public var isRequest = true
    public var method = Method.other
    /// Of a request: the method's name and the Request-URI. Of a response: empty.
    public var methodName = Slice.empty
    public var requestURI = Slice.empty
    /// Of a response.
    public var status: UInt16 = 0
    public var reason = Slice.empty
    /// The first octet after the start line, and the octets of the body.
    public var headerStart: UInt32 = 0
    public var body = Slice.empty

    init() {}
}

/// A scanned message.
public struct Message: ~Escapable {
    public let bytes: RawSpan
    /// All header fields in order.
    public let fields: Span<HeaderField>
    public let shape: MessageShape
    /// By a name's number the number of its first field, or `HeaderField.none`.
    let firstOfName: Span<UInt16>

    @_lifetime(copy bytes, copy fields, copy firstOfName)
    init(bytes: RawSpan, fields: Span<HeaderField>, firstOfName: Span<UInt16>, shape: MessageShape) {
        self.bytes = bytes
        self.fields = fields
        self.firstOfName = firstOfName
        self.shape = shape
    }

    @inlinable public var isRequest: Bool { shape.isRequest }
    @inlinable public var method: Method { shape.method }
    @inlinable public var status: UInt16 { shape.status }

    /// The octets of a slice of this message.
    public subscript(_ slice: Slice) -> RawSpan {
        @_lifetime(copy self)
        get { bytes[slice] }
    }

    public var body: RawSpan {
        @_lifetime(copy self)
        get { bytes[shape.body] }
    }

    /// The number of the first field with this name.
    public func firstIndex(of name: HeaderName) -> Int? {
        let index = firstOfName[Int(name.rawValue)]
        return index == HeaderField.none ? nil : Int(index)
    }

    /// The number of the next field with the same name as field `index`.
    public func nextIndex(after index: Int) -> Int? {
        let next = fields[index].next
        return next == HeaderField.none ? nil : Int(next)
    }

    public func has(_ name: HeaderName) -> Bool { firstIndex(of: name) != nil }

    /// The value of the first field with this name.
    public func value(_ name: HeaderName) -> Slice? {
        guard let index = firstIndex(of: name) else { return nil }
        return fields[index].value
    }

    /// How many fields have this name.
    public func count(of name: HeaderName) -> Int {
        var count = 0
        var index = firstIndex(of: name)
        while let i = index {
            count += 1
            index = nextIndex(after: i)
        }
        return count
    }

    /// Calls `body` with each value of a list header, over all its lines and commas, in order, until it returns false.
    public func forEachValue(_ name: HeaderName, _ body: (Slice) -> Bool) {
        var index = firstIndex(of: name)
        while let i = index {
            var rest = fields[i].value
            while !rest.isEmpty {
                let value = bytes.nextListValue(&rest)
                if !value.isEmpty, !body(value) { return }
            }
            index = nextIndex(after: i)
        }
    }

    /// The first value of a list header.
    public func firstValue(_ name: HeaderName) -> Slice? {
        guard let index = firstIndex(of: name) else { return nil }
        var rest = fields[index].value
        let value = bytes.nextListValue(&rest)
        return value.isEmpty ? nil : value
    }

    /// Whether a list of tokens (Supported, Require, Allow ...) names this one, without case. `token` is lower case.
    public func lists(_ token: StaticString, in name: HeaderName) -> Bool {
        var found = false
        forEachValue(name) { value in
            found = bytes[value].equalsIgnoringCase(token)
            return !found
        }
        return found
    }
}
