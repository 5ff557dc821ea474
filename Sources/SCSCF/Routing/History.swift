// History-Info (RFC 7044): by which addresses a request came to where it is. The core adds what it does itself where the sender
// or one on the way asks for that: a user's address taken for one of the user's contacts, and what a 3xx leads to in place of the
// address that gave it. What others have written is passed on as it came.
//
//   <sip:bob@home1.test>;index=1, <sip:bob@192.0.2.4?Reason=SIP%3Bcause%3D302>;index=1.1;rc=1, <sip:desk@home1.test>;index=1.2;mp=1.1
//
// A place that was tried in vain says so (§10.2); places that are tried at the same time do not know of each other.

import SIPMessage
import SIPProxy
import SIPRegistrar
import SansIO

/// One address that a request went to.
private struct HistoryEntry {
    /// How it came about (§10.4).
    enum Origin {
        /// Registered for the address before it.
        case registered
        /// Another user's.
        case mapped
    }
    var uri: [UInt8]
    var index: [UInt8]
    /// With the index of the address that it stands for.
    var origin: (Origin, [UInt8])?
    /// The status that it answered with; 0: none yet.
    var cause: UInt16 = 0
    /// Whether the one who is there does not want others to hear of it (§10.1).
    var isPrivate = false
}

extension ServingCSCF {
    /// Writes History-Info for a request that goes to a contact or to what one has redirected to: the entries that it has; one of
    /// the address that it came for, unless the last is that (§9.1); those of the places that have been tried in vain; and its own.
    ///
    /// - Parameters:
    ///   - uri: where the request goes.
    ///   - isTrusted: whether that may hear what the sender wants to be kept.
    ///   - leftOut: told that the field is written.
    func appendHistory(
        _ request: borrowing Message, _ essentials: Essentials, of branch: SlotID, to uri: RawSpan, isTrusted: Bool,
        _ leftOut: inout HeaderSet, into bytes: inout OctetBuffer
    ) {
        guard asksForHistory(request) else { return }
        let isHidden = !isTrusted && asksToHideHistory(request)
        appendHistory(of: request, isHidden: isHidden, isTrusted: isTrusted, &leftOut, into: &bytes)
        guard essentials.to.tag.isEmpty, let requestURI = essentials.requestURI,
            let (entries, root) = pathToHere(request, requestURI)
        else { return }
        var added = entries + failedPlaces(before: branch, root)
        added.append(entry(of: branch, [UInt8](uri), root))
        bytes.append("History-Info: ")
        for (place, entry) in added.enumerated() {
            if place > 0 { bytes.append(", ") }
            bytes.append(entry, isHidden: isHidden || (entry.isPrivate && !isTrusted))
        }
        bytes.append("\r\n")
    }

    /// The entries that a request has, as they came, but for what the receiver may not hear: of that the index remains (§10.1.2).
    func appendHistory(
        of request: borrowing Message, isHidden: Bool, isTrusted: Bool, _ leftOut: inout HeaderSet, into bytes: inout OctetBuffer
    ) {
        guard request.has(.historyInfo) else { return }
        leftOut.insert(.historyInfo)
        guard isHidden || (!isTrusted && hasPrivateEntry(request)) else { return bytes.appendFields(of: request, .historyInfo) }
        request.forEachValue(.historyInfo) { value in
            let entry = request.bytes.nameAddress(value)
            if let entry, isHidden || request.bytes.isPrivate(entry.uri) {
                bytes.append("History-Info: <sip:anonymous@anonymous.invalid>")
                bytes.append(request[entry.parameters])
                bytes.append("\r\n")
            } else if !isHidden {
                bytes.appendField(.historyInfo, request[value])
            }
            return true
        }
    }

    private func hasPrivateEntry(_ request: borrowing Message) -> Bool {
        var isFound = false
        request.forEachAddress(.historyInfo) { entry in
            isFound = request.bytes.isPrivate(entry.uri)
            return !isFound
        }
        return isFound
    }

    /// Whether somebody on the way wants to hear (§6.1).
    private func asksForHistory(_ request: borrowing Message) -> Bool {
        request.has(.historyInfo) || (request.has(.supported) && request.lists("histinfo", in: .supported))
    }

    /// Whether Privacy has `history`, or `header` or `session`, which mean all that tells of the sender's way (§10.1, RFC 3323 §4.2).
    func asksToHideHistory(_ message: borrowing Message) -> Bool {
        guard let privacy = message.value(.privacy) else { return false }
        return message.bytes.parameter("history", in: privacy) != nil || message.bytes.parameter("header", in: privacy) != nil
            || message.bytes.parameter("session", in: privacy) != nil
    }

    // MARK: What the core adds

    /// The entry that is missing for the address which a request came for, if it is, and the index of that.
    ///
    /// - Returns: nil if nothing can be added behind the entries that it has.
    private func pathToHere(_ request: borrowing Message, _ requestURI: SIPURI) -> (entries: [HistoryEntry], root: [UInt8])? {
        guard request.has(.historyInfo) else {
            let root = Array("1".utf8)
            return ([HistoryEntry(uri: [UInt8](request[requestURI.all]), index: root)], root)
        }
        guard let last = lastHistoryEntry(of: request) else { return nil }
        var root = [UInt8](request[last.index])
        if request.bytes.isEquivalent(last.uri, to: requestURI, in: request.bytes) { return ([], root) }
        root += Array(".1".utf8)
        return ([HistoryEntry(uri: [UInt8](request[requestURI.all]), index: root)], root)
    }

    /// The contacts and redirections that have answered before a branch was sent.
    private func failedPlaces(before branch: SlotID, _ root: [UInt8]) -> [HistoryEntry] {
        var places: [(number: UInt8, entry: HistoryEntry)] = []
        var other = contexts[branches[branch.index].context.index].firstBranch
        while !other.isNone {
            let one = branches[other.index]
            if other != branch, one.number > 0, one.status >= 300, let uri = triedURI(one) {
                places.append((one.number, entry(of: other, uri, root)))
            }
            other = one.next
        }
        return places.sorted { $0.number < $1.number }.map(\.entry)
    }

    private func triedURI(_ branch: Branch) -> [UInt8]? {
        if branch.kind == .redirection { return [UInt8](pool.bytes(branch.uri)) }
        guard let binding = registrar.binding(branch.binding) else { return nil }
        let contact = binding.uri
        return contact.uri(Slice(0, contact.byteCount)).map { contact.target($0) }
    }

    /// What a redirection leads to counts on from the place that gave it (§10.3).
    private func entry(of branch: SlotID, _ uri: [UInt8], _ root: [UInt8]) -> HistoryEntry {
        let one = branches[branch.index]
        var entry = HistoryEntry(uri: uri, index: root.child(one.number))
        if one.kind == .redirection {
            entry.origin = (one.isOfSameUser ? .registered : .mapped, root.child(one.redirector))
        } else {
            entry.origin = (.registered, root)
        }
        entry.cause = one.status >= 300 ? one.status : 0
        entry.isPrivate = one.hidesHistory
        return entry
    }

    // MARK: Entries that are there

    /// The URI, without its headers, and the index of the last entry; nil: it has none, and nothing can be added to it.
    private func lastHistoryEntry(of request: borrowing Message) -> (uri: SIPURI, index: Slice, value: Slice)? {
        var last: Slice?
        request.forEachValue(.historyInfo) { value in
            last = value
            return true
        }
        guard let last, let entry = request.bytes.nameAddress(last),
            let index = request.bytes.parameter("index", in: entry.parameters), isHistoryIndex(request[index])
        else { return nil }
        var uri = entry.uri
        if !uri.headers.isEmpty {
            uri.all = Slice(uri.all.lower, uri.headers.lower)
            uri.headers = .empty
        }
        return (uri, index, last)
    }

    /// `1.2.1`: numbers with dots between, of a length that grows no message out of bounds.
    private func isHistoryIndex(_ text: RawSpan) -> Bool {
        guard text.byteCount > 0, text.byteCount <= 64 else { return false }
        var isAfterDigit = false
        for i in 0..<text.byteCount {
            switch text[i] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): isAfterDigit = true
            case UInt8(ascii: ".") where isAfterDigit: isAfterDigit = false
            default: return false
            }
        }
        return isAfterDigit
    }

    // MARK: Another Request-URI

    /// Writes History-Info of a request that gets another Request-URI, since an application server has redirected it: the entry of
    /// the old one says why, and the new one stands for it.
    ///
    /// - Parameters:
    ///   - uri: the new one.
    ///   - status: of the redirection.
    ///   - isPrivate: whether the one who redirected wants that to be kept.
    ///   - isOfSameUser: whether the new one is another address of the same user.
    func appendHistory(
        of request: borrowing Message, from requestURI: SIPURI, to uri: [UInt8], after status: UInt16, isPrivate: Bool,
        isOfSameUser: Bool, into bytes: inout OctetBuffer
    ) {
        guard asksForHistory(request) else { return }
        guard let (entries, root) = pathToHere(request, requestURI) else { return bytes.appendFields(of: request, .historyInfo) }
        let explained = entries.isEmpty ? lastHistoryEntry(of: request)?.value : nil
        request.forEachValue(.historyInfo) { value in
            bytes.append("History-Info: ")
            if value.lower == explained?.lower, let entry = request.bytes.nameAddress(value) {
                bytes.append("<")
                bytes.append(request[entry.uri.all])
                bytes.appendExplanation(of: entry.uri.isSIP, hasHeaders: !entry.uri.headers.isEmpty, status, isPrivate)
                bytes.append(">")
                bytes.append(request[entry.parameters])
            } else {
                bytes.append(request[value])
            }
            bytes.append("\r\n")
            return true
        }
        bytes.append("History-Info: ")
        for var entry in entries {
            entry.cause = status
            entry.isPrivate = isPrivate
            bytes.append(entry, isHidden: false)
            bytes.append(", ")
        }
        var entry = HistoryEntry(uri: uri, index: root.child(1))
        entry.origin = (isOfSameUser ? .registered : .mapped, root)
        bytes.append(entry, isHidden: false)
        bytes.append("\r\n")
    }
}

extension [UInt8] {
    /// The index of a place below the one with this index.
    fileprivate func child(_ number: UInt8) -> [UInt8] { self + Array(".\(number)".utf8) }
}

extension RawSpan {
    /// Whether the headers of an entry's URI have `Privacy=history`.
    fileprivate func isPrivate(_ uri: SIPURI) -> Bool {
        var start = uri.headers.lower + 1
        while start < uri.headers.upper {
            let end = Swift.min(firstOffset(of: 0x26, from: start) ?? uri.headers.upper, uri.headers.upper)
            if self[Slice(start, end)].equalsIgnoringCase("privacy=history") { return true }
            start = end + 1
        }
        return false
    }
}

extension OctetBuffer {
    fileprivate mutating func append(_ entry: HistoryEntry, isHidden: Bool) {
        if isHidden {
            append("<sip:anonymous@anonymous.invalid>")
        } else {
            append("<")
            append(entry.uri)
            appendExplanation(of: entry.uri.starts(with: "sip".utf8), hasHeaders: false, entry.cause, entry.isPrivate)
            append(">")
        }
        append(";index=")
        append(entry.index)
        guard let (origin, index) = entry.origin else { return }
        switch origin {
        case .registered: append(";rc=")
        case .mapped: append(";mp=")
        }
        append(index)
    }

    /// Why the request did not stay at a URI, and whether others may hear of it, as headers of the URI; a tel URI has none.
    fileprivate mutating func appendExplanation(of isSIP: Bool, hasHeaders: Bool, _ cause: UInt16, _ isPrivate: Bool) {
        guard isSIP else { return }
        var isFirst = !hasHeaders
        if isPrivate {
            append(isFirst ? "?" : "&")
            append("Privacy=history")
            isFirst = false
        }
        guard cause > 0 else { return }
        append(isFirst ? "?" : "&")
        append("Reason=SIP%3Bcause%3D")
        appendDecimal(UInt64(cause))
    }
}
