/// Why a criterion is left out of a service profile. The others of the profile are not affected.
public struct CriterionFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// The criterion's number in what was to be compiled, from 0.
    public let criterion: Int
    /// Where in the trigger point the fault is, numbers from 0; nil: not in the trigger point, or not in one condition.
    public let group: Int?
    public let condition: Int?
    /// The column in a regular expression, from 1.
    public let column: Int?
    /// What is wrong, and what to write instead.
    public let problem: String
    public let remedy: String

    /// One line that counts from 1: `criterion 1, group 2, condition 1, column 4: back-reference \1; write the expression out`.
    public var description: String {
        let place = [("group", group.map { $0 + 1 }), ("condition", condition.map { $0 + 1 }), ("column", column)]
        let path = place.reduce("criterion \(criterion + 1)") { path, step in
            step.1.map { "\(path), \(step.0) \($0)" } ?? path
        }
        return "\(path): \(problem); \(remedy)"
    }
}
