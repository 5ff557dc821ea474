// Scanner and essential fields (RFC 3261 §7, §8.1.1): a scan says the same each time and whatever was scanned before, all
// that it says stands in the message, and what is written of a message is that message again.

import SIPMessage
import SansIO

/// A scanner that has seen all inputs so far.
nonisolated(unsafe) private var veteran = MessageScanner()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = octets(start, count)
    var fresh = MessageScanner()
    var used = MessageScanner()
    swap(&used, &veteran)
    let reading = Reading(fresh.scan(bytes), fresh.message(bytes))
    check(reading == Reading(used.scan(bytes), used.message(bytes)), "two scans differ")
    swap(&used, &veteran)
    if reading.outcome == .message { checkMessage(fresh.message(bytes), reading) }
    return 0
}

/// What a scan and the essential fields come to, as a value.
private struct Reading: Equatable {
    enum Outcome: Equatable {
        case message, blank
        case fault(UInt16, HeaderName?, MessageFault.Reason)
        init(_ fault: MessageFault) { self = .fault(fault.status, fault.header, fault.reason) }
    }

    var outcome: Outcome
    /// Of the essential fields, if the scan found a message.
    var essentials = Outcome.blank
    var names: [HeaderName] = []
    var slices: [Slice] = []
    var sequence: UInt32 = 0

    init(_ verdict: MessageScanner.Verdict, _ message: borrowing Message) {
        switch verdict {
        case .message: outcome = .message
        case .blank:
            outcome = .blank
            return
        case .fault(let fault): outcome = Outcome(fault)
        }
        readFields(message)
        if outcome == .message { readEssentials(message) }
    }

    private mutating func readFields(_ message: borrowing Message) {
        let shape = message.shape
        slices = [shape.methodName, shape.requestURI, shape.reason, shape.body]
        for slice in slices { check(message.bytes.holds(slice), "a part of the message out of bounds") }
        var end = Int(shape.headerStart)
        for i in 0..<message.fields.count {
            let field = message.fields[i]
            check(message.bytes.holds(field.line) && field.line.lower >= end, "a field out of its place")
            check(field.nameSlice.isIn(field.line) && field.value.isIn(field.line), "a name or value outside of its field")
            check(field.value.isEmpty || field.nameSlice.upper < field.value.lower, "a value that reaches into its name")
            names.append(field.name)
            slices += [field.line, field.nameSlice, field.value]
            end = field.line.upper
        }
        check(shape.body.isEmpty || shape.body.lower >= end, "a body that reaches into the fields")
        checkChains(message)
    }

    /// The fields of each name are found by it, and no others.
    private func checkChains(_ message: borrowing Message) {
        for name in Set(names) {
            var expected = names.indices.filter { names[$0] == name }[...]
            var index = message.firstIndex(of: name)
            while let i = index {
                check(i == expected.popFirst(), "a chain of names that goes astray")
                index = message.nextIndex(after: i)
            }
            check(expected.isEmpty, "a chain of names that ends early")
        }
    }

    private mutating func readEssentials(_ message: borrowing Message) {
        let found: Essentials
        do {
            found = try message.essentials()
        } catch {
            essentials = Outcome(error)
            return
        }
        essentials = .message
        sequence = found.sequence
        check(found.from, in: message.bytes)
        check(found.to, in: message.bytes)
        let via = found.via
        for part in [via.transportName, via.host, via.parameters, via.branch, via.received, via.maddr, via.rport ?? .empty] {
            check(part.isIn(via.all), "a part of Via out of its place")
        }
        slices += [via.all, via.host, via.branch, found.from.all, found.from.tag, found.to.all, found.to.tag, found.callID]
        if let uri = found.requestURI {
            check(uri, in: message.bytes)
            slices += [uri.all, uri.user, uri.host]
        }
    }
}

private func checkMessage(_ message: borrowing Message, _ reading: Reading) {
    checkCopy(message, reading)
    guard message.isRequest, let essentials = try? message.essentials() else { return }
    checkResponse(message, essentials)
}

/// A message written field by field is the same message; only line ends may have been mended.
private func checkCopy(_ message: borrowing Message, _ reading: Reading) {
    var copy = OctetBuffer()
    if message.isRequest {
        copy.append(message[message.shape.methodName])
        copy.append(" ")
        copy.append(message[message.shape.requestURI])
        copy.append(" SIP/2.0\r\n")
    } else {
        copy.append("SIP/2.0 ")
        copy.appendDecimal(UInt64(message.status))
        copy.append(" ")
        copy.append(message[message.shape.reason])
        copy.append("\r\n")
    }
    copy.appendFields(of: message, except: [])
    copy.append("\r\n")
    copy.append(message.body)
    var scanner = MessageScanner()
    let again = Reading(scanner.scan(copy.bytes), scanner.message(copy.bytes))
    check(
        again.outcome == .message && again.essentials == reading.essentials && again.names == reading.names,
        "a copy that is another message")
    check(again.sequence == reading.sequence, "a copy with another sequence number")
    let copied = scanner.message(copy.bytes)
    check(copied.body.equals(message.body), "a copy with another body")
    for i in 0..<message.fields.count {
        let value = [UInt8](message[message.fields[i].value]).filter { $0 != 0x0D }
        check([UInt8](copied[copied.fields[i].value]).filter { $0 != 0x0D } == value, "a copy with another value")
    }
}

/// The answer to a request is a response that its sender recognizes (§8.2.6, §18.2.1).
private func checkResponse(_ request: borrowing Message, _ essentials: Essentials) {
    let source = Endpoint(address: IPAddress(v4: 0xC000_0207), port: 5099)
    var text = OctetBuffer()
    text.appendResponse(200, to: request, essentials, from: source, toTag: 0x0123_4567_89AB_CDEF)
    text.appendEmptyBody()
    var scanner = MessageScanner()
    guard case .message = scanner.scan(text.bytes) else { return check(false, "an answer that is no message") }
    let response = scanner.message(text.bytes)
    guard let answer = try? response.essentials() else { return check(false, "an answer without its essential fields") }
    check(
        response.status == 200 && answer.sequence == essentials.sequence && answer.method == essentials.method,
        "an answer to another request")
    check(response[answer.callID].equals(request[essentials.callID]), "an answer with another Call-ID")
    check(response[answer.from.tag].equals(request[essentials.from.tag]), "an answer with another From tag")
    check(response[answer.via.branch].equals(request[essentials.via.branch]), "an answer with another branch")
    check(
        essentials.to.tag.isEmpty
            ? response[answer.to.tag].equals("0123456789abcdef") : response[answer.to.tag].equals(request[essentials.to.tag]),
        "an answer with another To tag")
    let isNamed = IPAddress(request[essentials.via.host]) == source.address
    check(isNamed || IPAddress(response[answer.via.received]) == source.address, "an answer that does not say where it goes")
    if let rport = essentials.via.rport, rport.isEmpty {
        check(answer.via.rport.map { response[$0].equals("5099") } ?? false, "an answer without the port asked for")
    }
}
