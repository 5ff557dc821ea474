// The text format of Prometheus, version 0.0.4.

/// A metric with all its samples.
public struct MetricFamily: Hashable, Sendable {
    public enum Kind: String, Sendable {
        /// Only rises, from the start of the process; its name ends in `_total`.
        case counter
        /// Rises and falls.
        case gauge
    }

    public struct Label: Hashable, Sendable {
        public var name: String
        public var value: String
    }

    public enum Value: Hashable, Sendable {
        case integer(Int64)
        case real(Double)
    }

    public struct Sample: Hashable, Sendable {
        public var labels: [Label]
        public var value: Value

        public init(_ labels: KeyValuePairs<String, String> = [:], _ value: Value) {
            self.labels = labels.map { Label(name: $0.key, value: $0.value) }
            self.value = value
        }

        /// A count; one too large for the format stays at the largest.
        public init(_ labels: KeyValuePairs<String, String> = [:], count: some BinaryInteger) {
            self.init(labels, .integer(Int64(clamping: count)))
        }
    }

    public var name: String
    /// What it counts, in a sentence.
    public var help: String
    public var kind: Kind
    public var samples: [Sample]

    public init(_ name: String, _ kind: Kind, help: String, _ samples: [Sample]) {
        self.name = name
        self.help = help
        self.kind = kind
        self.samples = samples
    }
}

enum MetricsText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// All families in the order given.
    static func text(_ families: [MetricFamily]) -> String {
        var text = ""
        for family in families {
            text += "# HELP \(family.name) \(escaped(family.help, quotes: false))\n# TYPE \(family.name) \(family.kind.rawValue)\n"
            for sample in family.samples {
                text += "\(family.name)\(labels(sample.labels)) \(number(sample.value))\n"
            }
        }
        return text
    }

    private static func labels(_ labels: [MetricFamily.Label]) -> String {
        guard !labels.isEmpty else { return "" }
        return "{" + labels.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }.joined(separator: ",") + "}"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func number(_ value: MetricFamily.Value) -> String {
        switch value {
        case .integer(let number): "\(number)"
        case .real(let number) where number.isNaN: "NaN"
        case .real(let number) where number.isInfinite: number < 0 ? "-Inf" : "+Inf"
        case .real(let number): "\(number)"
        }
    }
}
