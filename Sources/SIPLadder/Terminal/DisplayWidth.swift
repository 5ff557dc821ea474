// How many columns a text takes on a terminal (Unicode Standard Annex #11): wide characters two, marks that sit on others none.

/// Texts as a terminal shows them.
enum DisplayWidth {
    static func of(_ text: some StringProtocol) -> Int { text.reduce(0) { $0 + of($1) } }

    static func of(_ character: Character) -> Int {
        if character.isASCII { return 1 }
        var width = 0
        var isEmoji = false
        for scalar in character.unicodeScalars {
            // A variation selector asks for the picture; a joiner makes one picture of several.
            isEmoji = isEmoji || scalar.properties.isEmojiPresentation || scalar.value == 0xFE0F || scalar.value == 0x200D
            width += of(scalar)
        }
        return isEmoji ? 2 : min(width, 2)
    }

    /// The beginning of a text that takes no more than this many columns; what is cut ends in `…`.
    static func cut(_ text: String, to columns: Int) -> String {
        guard of(text) > columns else { return text }
        var kept = ""
        var width = 0
        for character in text {
            width += of(character)
            guard width < columns else { break }
            kept.append(character)
        }
        return columns > 0 ? kept + "…" : ""
    }

    /// The text on one line, of characters that a terminal shows and does not obey: others become `·`.
    static func oneLine(_ text: String) -> String {
        String(text.map { $0.unicodeScalars.contains(where: isObeyed) ? "·" : $0 })
    }

    /// Controls, line ends, and what turns the direction of writing round.
    private static func isObeyed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned: true
        case .format: scalar.value != 0x200C && scalar.value != 0x200D && !(0xE0020...0xE007F).contains(scalar.value)
        default: false
        }
    }

    private static func of(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: return 0
        default: break
        }
        // Vowels and finals of Hangul syllables stand on their first letter.
        if (0x1160...0x11FF).contains(scalar.value) { return 0 }
        return wide.contains { $0.contains(scalar.value) } ? 2 : 1
    }

    /// East Asian Wide and Fullwidth, pictures left out: those have a property of their own.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2329...0x232A, 0x2E80...0x303E, 0x3041...0x4DBF, 0x4E00...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3,
        0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6B, 0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18D08, 0x1AFF0...0x1B2FB,
        0x1F200...0x1F265, 0x20000...0x2FFFD, 0x30000...0x3FFFD,
    ]
}
