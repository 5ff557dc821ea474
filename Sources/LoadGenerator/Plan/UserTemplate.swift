// The names of a load's users, written as a topology writes a range of subscribers: `u{0000000..0009999}`.

import SIPMessage
import SansIO

/// A numeric range in a name, and the numbers' width.
public struct UserTemplate: Hashable, Sendable {
    /// What stands before and behind the number.
    public let prefix: [UInt8]
    public let suffix: [UInt8]
    /// The number of the first user.
    public let first: UInt64
    /// How many users there are.
    public let count: Int
    /// The least number of digits.
    public let width: Int

    /// The most users of one load.
    public static let maximumCount = 10_000_000

    /// Reads `u{0000000..0009999}`. The numbers are written as wide as the first one.
    ///
    /// - Throws: what is wrong, and what would be right, as one line.
    public init(_ text: String) throws(LoadPlanFault) {
        func fault(_ what: String) -> LoadPlanFault {
            LoadPlanFault("the user template \(text): \(what); write u{0000000..0009999}, as a topology names a range of subscribers")
        }
        let halves = text.split(separator: "{", omittingEmptySubsequences: false)
        guard halves.count == 2, let close = halves[1].firstIndex(of: "}") else { throw fault("there is not one range in braces") }
        let bounds = halves[1][..<close].split(separator: ".", omittingEmptySubsequences: false)
        guard bounds.count == 3, bounds[1].isEmpty, let low = UserTemplate.number(bounds[0]), let high = UserTemplate.number(bounds[2])
        else { throw fault("the braces hold no range of numbers") }
        guard low <= high, high - low < UInt64(UserTemplate.maximumCount) else {
            throw fault("the range is empty, or has more than \(UserTemplate.maximumCount) users")
        }
        prefix = Array(halves[0].utf8)
        suffix = Array(halves[1][close...].dropFirst().utf8)
        guard !prefix.isEmpty || !suffix.isEmpty, (prefix + suffix).allSatisfy(UserTemplate.isPlain) else {
            throw fault("a name is letters, digits and - _ .")
        }
        first = low
        count = Int(high - low + 1)
        width = bounds[0].utf8.count
    }

    /// At most 18 digits, so that no number overflows.
    private static func number(_ text: Substring) -> UInt64? {
        guard (1...18).contains(text.utf8.count), text.utf8.allSatisfy(\.isASCIIDigit) else { return nil }
        return UInt64(text)
    }

    private static func isPlain(_ octet: UInt8) -> Bool {
        octet.isASCIIDigit || octet.asciiLowercased &- 0x61 < 26 || octet == 0x2D || octet == 0x2E || octet == 0x5F
    }

    /// The user, counted from 0, whose name this is; nil: none of ours.
    func user(named name: RawSpan) -> Int? {
        let digits = Slice(prefix.count, name.byteCount - suffix.count)
        guard name.byteCount > prefix.count + suffix.count, digits.count >= width, name[Slice(0, prefix.count)].equals(prefix),
            name[Slice(digits.upper, name.byteCount)].equals(suffix), let number = name.decimal(digits, maximum: 1 << 60),
            number >= first, number - first < UInt64(count)
        else { return nil }
        return Int(number - first)
    }
}

extension OctetBuffer {
    /// The name of a user, counted from 0.
    mutating func append(_ user: Int, of template: UserTemplate) {
        append(template.prefix)
        appendDecimal(template.first + UInt64(user), digits: template.width)
        append(template.suffix)
    }
}
