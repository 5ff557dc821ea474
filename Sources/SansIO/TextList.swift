// Texts that are written at start and copied into many messages.

/// A list of texts in one run of octets.
public struct TextList: ~Copyable, Sendable {
    private var text = OctetBuffer(capacity: 64)
    /// Where each text begins, and behind the last one where it ends.
    private var starts: ContiguousArray<Int> = [0]

    public init() {}

    /// The addresses of listeners as they stand in what we send (`core.advertise`, else the bound ones): `192.0.2.1:5060`.
    public init(advertisedBy listeners: [Listener]) {
        for listener in listeners {
            text.append(listener.advertised)
            starts.append(text.count)
        }
    }

    /// Adds the text that `write` appends to what it is given.
    public mutating func add(_ write: (inout OctetBuffer) -> Void) {
        write(&text)
        starts.append(text.count)
    }

    /// Writes the text with this number, counted from 0.
    public func append(_ number: Int, into buffer: inout OctetBuffer) {
        let start = starts[number]
        buffer.append(text.bytes(from: start, count: starts[number + 1] - start))
    }
}
