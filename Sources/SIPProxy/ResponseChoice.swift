// Which of several final responses goes back (RFC 3261 §16.7 step 6).

/// The rank of a final response among those of one request; the lowest is the best.
public enum ResponseChoice {
    /// 6xx before all, then the lowest class; within 4xx those that help the caller to try again first and a 408 last, which
    /// tells nothing that another answer would not tell better; a 503 after all else.
    public static func rank(_ status: UInt16) -> Int {
        if status >= 600 { return 0 }
        if status == 503 { return 9_000 }
        let helpful: Bool =
            switch status {
            case 401, 407, 415, 420, 484: true
            default: false
            }
        return Int(status / 100) * 1000 + (helpful ? 0 : status == 408 ? 999 : Int(status % 100) + 1)
    }

    /// Whether `status` should take the place of the best so far (0: none yet).
    public static func isBetter(_ status: UInt16, than best: UInt16) -> Bool { best == 0 || rank(status) < rank(best) }
}
