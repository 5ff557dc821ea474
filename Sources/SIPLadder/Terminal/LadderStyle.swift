// How a ladder is to look on a terminal.

/// The room and the colours that there are.
public struct LadderStyle: Hashable, Sendable {
    /// The columns of the screen; nil: as many as are needed.
    public var width: Int?
    /// Whether colours are written (ECMA-48 §8.3.117, select graphic rendition).
    public var isColoured: Bool

    /// As wide as it gets, without colours: for files and tests.
    public static let plain = LadderStyle()

    public init(width: Int? = nil, isColoured: Bool = false) {
        self.width = width
        self.isColoured = isColoured
    }
}

/// A colour, by its parameter.
enum Rendition: String {
    case cyan = "36"
    case green = "32"
    case yellow = "33"
    case red = "31"
    case magenta = "35"
    case faint = "2"

    /// Of what happened.
    init(_ event: LadderEvent) {
        self =
            switch (event.kind, event.status ?? 0) {
            case (.fault, _): .magenta
            case (.timer, _): .yellow
            case (.retransmission, _), (.note, _), (_, 100..<200): .faint
            case (_, 200..<300): .green
            case (_, 300..<400): .yellow
            case (_, 400...): .red
            default: .cyan
            }
    }

    var begin: String { "\u{1B}[\(rawValue)m" }
    static let end = "\u{1B}[0m"
}
