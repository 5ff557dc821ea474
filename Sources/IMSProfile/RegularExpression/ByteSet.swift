/// A set of bytes.
struct ByteSet: Hashable, Sendable, BitwiseCopyable {
    private var words: SIMD4<UInt64> = .zero

    static let all = ByteSet().inverted

    init() {}
    init(_ byte: UInt8) { insert(byte) }
    init(_ bytes: ClosedRange<UInt8>) { insert(bytes) }

    func contains(_ byte: UInt8) -> Bool {
        words[Int(byte >> 6)] & (1 << UInt64(byte & 63)) != 0
    }

    mutating func insert(_ byte: UInt8) {
        words[Int(byte >> 6)] |= 1 << UInt64(byte & 63)
    }

    mutating func insert(_ bytes: ClosedRange<UInt8>) {
        for byte in bytes { insert(byte) }
    }

    mutating func formUnion(_ other: ByteSet) {
        words |= other.words
    }

    var inverted: ByteSet {
        var set = self
        set.words = ~words
        return set
    }

    /// With each ASCII letter in both cases.
    var caseFolded: ByteSet {
        var set = self
        for letter in UInt8(ascii: "a")...UInt8(ascii: "z") where contains(letter) || contains(letter - 32) {
            set.insert(letter)
            set.insert(letter - 32)
        }
        return set
    }
}

extension ByteSet {
    /// A character class of the POSIX locale by its name (`alpha` of `[:alpha:]`), or nil.
    init?(className: String) {
        self.init()
        switch className {
        case "alnum":
            insertLetters()
            insertDigits()
        case "alpha": insertLetters()
        case "blank":
            insert(0x20)
            insert(0x09)
        case "cntrl":
            insert(0x00...0x1F)
            insert(0x7F)
        case "digit": insertDigits()
        case "graph": insert(0x21...0x7E)
        case "lower": insert(UInt8(ascii: "a")...UInt8(ascii: "z"))
        case "print": insert(0x20...0x7E)
        case "punct":
            insert(0x21...0x2F)
            insert(0x3A...0x40)
            insert(0x5B...0x60)
            insert(0x7B...0x7E)
        case "space":
            insert(0x20)
            insert(0x09...0x0D)
        case "upper": insert(UInt8(ascii: "A")...UInt8(ascii: "Z"))
        case "xdigit":
            insertDigits()
            insert(UInt8(ascii: "a")...UInt8(ascii: "f"))
            insert(UInt8(ascii: "A")...UInt8(ascii: "F"))
        default: return nil
        }
    }

    private mutating func insertLetters() {
        insert(UInt8(ascii: "a")...UInt8(ascii: "z"))
        insert(UInt8(ascii: "A")...UInt8(ascii: "Z"))
    }

    private mutating func insertDigits() {
        insert(UInt8(ascii: "0")...UInt8(ascii: "9"))
    }
}
