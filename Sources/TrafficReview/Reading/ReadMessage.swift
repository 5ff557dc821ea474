// An observed message with what the rules ask of it, read once. A review is made when somebody asks for it, not while messages
// pass, so texts are texts here.

import SIPMessage
import SansIO

/// A message, its header fields as texts and those that every rule needs as values.
final class ReadMessage: Sendable {
    struct Field: Sendable {
        var name: HeaderName
        /// The name as it stands there.
        var spelling: String
        var value: String
    }

    let observed: ObservedMessage
    /// Why the octets are no message; header fields up to the fault are there.
    let fault: MessageFault?
    /// Whether the octets are line ends only, which keep a flow alive.
    let isBlank: Bool
    let isRequest: Bool
    /// Of a response: that of the request it answers.
    let method: String
    let requestURI: String
    /// 0 in a request.
    let status: Int
    let fields: [Field]
    let body: [UInt8]
    /// How many octets follow the body that Content-Length tells.
    let surplus: Int
    /// Via values in order; nil for one that is malformed.
    let vias: [ViaValue?]
    let from: AddressValue?
    let to: AddressValue?
    let sequenceNumber: UInt64?

    init(_ observed: ObservedMessage, _ scanner: inout MessageScanner) {
        self.observed = observed
        let octets = observed.octets.span.bytes
        let verdict = scanner.scan(octets)
        let message = scanner.message(octets)
        if case .blank = verdict { isBlank = true } else { isBlank = false }
        fault = ReadMessage.fault(verdict, message)
        isRequest = message.isRequest
        status = message.isRequest ? 0 : Int(message.status)
        requestURI = String(octets: message[message.shape.requestURI])
        body = [UInt8](message.body)
        surplus = max(0, observed.octets.count - message.shape.body.upper)
        var fields: [Field] = []
        for index in message.fields.indices {
            let field = message.fields[index]
            fields.append(
                Field(
                    name: field.name, spelling: String(octets: message[field.nameSlice]), value: String(octets: message[field.value])))
        }
        self.fields = fields
        vias = ReadMessage.values(of: .via, in: fields).map { ViaValue($0) }
        from = fields.first { $0.name == .from }.flatMap { AddressValue($0.value) }
        to = fields.first { $0.name == .to }.flatMap { AddressValue($0.value) }
        let words = fields.first { $0.name == .cseq }?.value.split(whereSeparator: { " \t\r\n".contains($0) }) ?? []
        sequenceNumber = words.first.flatMap { UInt64($0) }
        method = message.isRequest ? String(octets: message[message.shape.methodName]) : words.count == 2 ? String(words[1]) : ""
    }

    private static func fault(_ verdict: MessageScanner.Verdict, _ message: borrowing Message) -> MessageFault? {
        if case .fault(let fault) = verdict { return fault }
        if case .blank = verdict { return nil }
        do throws(MessageFault) {
            _ = try message.essentials()
            return nil
        } catch {
            return error
        }
    }

    // MARK: Header fields

    func has(_ name: HeaderName) -> Bool { fields.contains { $0.name == name } }
    func count(of name: HeaderName) -> Int { fields.count { $0.name == name } }
    /// The first field's value.
    func value(_ name: HeaderName) -> String? { fields.first { $0.name == name }?.value }
    /// The value of a field whose name has no number.
    func value(named name: String) -> String? { fields.first { $0.name == .other && $0.spelling.lowercased() == name.lowercased() }?.value }
    /// All values of a list, over all its fields and commas.
    func values(_ name: HeaderName) -> [String] { ReadMessage.values(of: name, in: fields) }
    func addresses(_ name: HeaderName) -> [AddressValue] { values(name).compactMap { AddressValue($0) } }
    /// Whether a list of tokens names this one.
    func lists(_ token: String, in name: HeaderName) -> Bool { values(name).contains { $0.lowercased() == token } }
    func number(_ name: HeaderName) -> UInt64? { value(name).flatMap { UInt64($0) } }

    private static func values(of name: HeaderName, in fields: [Field]) -> [String] {
        fields.filter { $0.name == name }.flatMap { listValues($0.value) }
    }

    // MARK: What it is

    var callID: String { value(.callID) ?? "" }
    /// The topmost Via.
    var via: ViaValue? { vias.first ?? nil }
    var isReliable: Bool { observed.transport.isReliable }
    var isFinal: Bool { status >= 200 }
    var isSuccess: Bool { (200..<300).contains(status) }
    /// The type and subtype of the body, in small letters; empty: none is told.
    var mediaType: String {
        let text = value(.contentType)?.prefix { $0 != ";" } ?? ""
        return text.filter { !$0.isWhitespace }.lowercased()
    }
    /// The event package; empty: none.
    var package: String { String((value(.event) ?? "").prefix { $0 != ";" }).filter { !$0.isWhitespace } }
    /// `REGISTER`, `401 to REGISTER`.
    var name: String { isRequest ? method : "\(status) to \(method)" }
}

/// The values of a list as texts.
func listValues(_ text: String) -> [String] {
    let octets = Array(text.utf8)
    let bytes = octets.span.bytes
    var rest = Slice(0, octets.count)
    var values: [String] = []
    while !rest.isEmpty {
        let value = bytes.nextListValue(&rest)
        if !value.isEmpty { values.append(String(octets: bytes[value])) }
    }
    return values
}
