// The only file that knows the YAML library: libyaml, which Yams carries. Its events are taken as they come; the tree
// that Yams makes of them costs three times as much, and 100,000 subscribers are to load in a blink.
import CYaml

/// What is not YAML.
struct YAMLSyntaxFault: Error {
    var position: Position
    var text: String

    /// - Parameter doing: what was being read, and where that began.
    init(_ position: Position, _ problem: String, while doing: String? = nil, at start: Position? = nil) {
        let context = if let doing, let start { " \(doing) (line \(start.line), column \(start.column))" } else { "" }
        self.position = position
        text = "this is not YAML: \(problem)\(context); mend the syntax here or just before"
    }

    init(_ position: Position, text: String) {
        self.position = position
        self.text = text
    }
}

/// The events of a text, one after another.
struct YAMLEvents: ~Copyable {
    enum Kind { case alias, scalar, sequenceStart, sequenceEnd, mappingStart, mappingEnd, streamEnd, other }

    private let octets: UnsafeBufferPointer<UInt8>
    /// The library keeps its own address.
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let event: UnsafeMutablePointer<yaml_event_t>
    private let firstLine: Int

    /// - Parameters:
    ///   - octets: must live as long as this.
    ///   - firstLine: the number of their first line.
    init(_ octets: UnsafeBufferPointer<UInt8>, firstLine: Int) {
        self.octets = octets
        self.firstLine = firstLine
        parser = .allocate(capacity: 1)
        event = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        event.initialize(to: yaml_event_t())
        yaml_parser_initialize(parser)
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, octets.baseAddress, octets.count)
    }

    deinit {
        yaml_event_delete(event)
        yaml_parser_delete(parser)
        event.deallocate()
        parser.deallocate()
    }

    /// Goes to the next event.
    mutating func advance() throws(YAMLSyntaxFault) {
        yaml_event_delete(event)
        guard yaml_parser_parse(parser, event) == 1 else { throw fault }
    }

    var kind: Kind {
        switch event.pointee.type {
        case YAML_SCALAR_EVENT: .scalar
        case YAML_MAPPING_START_EVENT: .mappingStart
        case YAML_MAPPING_END_EVENT: .mappingEnd
        case YAML_SEQUENCE_START_EVENT: .sequenceStart
        case YAML_SEQUENCE_END_EVENT: .sequenceEnd
        case YAML_ALIAS_EVENT: .alias
        case YAML_STREAM_END_EVENT: .streamEnd
        default: .other
        }
    }

    var position: Position { position(event.pointee.start_mark) }

    /// A scalar's text.
    var text: String {
        let scalar = event.pointee.data.scalar
        return String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
    }

    /// Whether a scalar may refer to the environment.
    var holdsDollar: Bool {
        let scalar = event.pointee.data.scalar
        for octet in UnsafeBufferPointer(start: scalar.value, count: scalar.length) where octet == UInt8(ascii: "$") { return true }
        return false
    }

    /// Whether a scalar is without quotes, and no block.
    var isPlain: Bool { event.pointee.data.scalar.style == YAML_PLAIN_SCALAR_STYLE }

    /// The name that a value is given, or that an alias has.
    var anchor: String? {
        let name: UnsafeMutablePointer<yaml_char_t>? =
            switch kind {
            case .alias: event.pointee.data.alias.anchor
            case .scalar: event.pointee.data.scalar.anchor
            case .sequenceStart: event.pointee.data.sequence_start.anchor
            case .mappingStart: event.pointee.data.mapping_start.anchor
            default: nil
            }
        return name.map { String(cString: $0) }
    }

    /// Passes over the value that begins with the present event, to its last one.
    mutating func skipValue() throws(YAMLSyntaxFault) {
        var depth = 0
        while true {
            switch kind {
            case .sequenceStart, .mappingStart: depth += 1
            case .sequenceEnd, .mappingEnd: depth -= 1
            default: break
            }
            if depth == 0 { return }
            try advance()
        }
    }

    private var fault: YAMLSyntaxFault {
        let parser = parser.pointee
        guard let problem = parser.problem.map({ String(cString: $0) }) else {
            return YAMLSyntaxFault(Position(line: 1, column: 1), text: "the file cannot be read as YAML; write YAML")
        }
        if parser.error == YAML_READER_ERROR {
            return YAMLSyntaxFault(
                position(ofOctet: Int(parser.problem_offset)),
                text: "this character may not stand in YAML (\(problem)); write it as an escape in double quotes")
        }
        return YAMLSyntaxFault(
            position(parser.problem_mark), problem, while: parser.context.map { String(cString: $0) }, at: position(parser.context_mark))
    }

    private func position(ofOctet offset: Int) -> Position {
        let before = String(decoding: octets.prefix(offset), as: UTF8.self)
        let line = before.split(omittingEmptySubsequences: false) { $0.isNewline }
        return Position(line: line.count + firstLine - 1, column: (line.last?.count ?? 0) + 1)
    }

    private func position(_ mark: yaml_mark_t) -> Position { Position(line: Int(mark.line) + firstLine, column: Int(mark.column) + 1) }
}
