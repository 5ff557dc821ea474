// History-Info (RFC 7044): by which addresses a request came to where it is. The core adds what it does itself, a user's
// address taken for one of the user's contacts, where the sender or one on the way asks for that. What others have written is
// passed on as it came.

import SIPMessage
import SIPProxy
import SansIO

extension ServingCSCF {
    /// Writes History-Info for a request that goes to a contact: the entries that it has; one of the address that it came for,
    /// unless the last is that (§9.1); and the contact's, which was registered for it (`rc`, §10.4).
    ///
    /// - Parameters:
    ///   - fork: which of the user's contacts this is, in the order of sending, from 1 (§10.3).
    ///   - leftOut: told that the field is written.
    func appendHistory(
        _ request: borrowing Message, _ essentials: Essentials, fork: Int, contact: RawSpan, _ leftOut: inout HeaderSet,
        into bytes: inout OctetBuffer
    ) {
        guard request.has(.historyInfo) || (request.has(.supported) && request.lists("histinfo", in: .supported)) else { return }
        // A contact is outside of the trust domain: it does not hear what the sender wants to be kept (§10.1).
        guard !asksToHideHistory(request) else {
            leftOut.insert(.historyInfo)
            return
        }
        guard essentials.to.tag.isEmpty, let requestURI = essentials.requestURI else { return }
        var parent: [UInt8] = []
        var isNamed = false
        if request.has(.historyInfo) {
            guard let (uri, index) = lastHistoryEntry(of: request) else { return }
            parent = [UInt8](request[index])
            isNamed = request.bytes.isEquivalent(uri, to: requestURI, in: request.bytes)
        }
        leftOut.insert(.historyInfo)
        bytes.appendFields(of: request, .historyInfo)
        bytes.append("History-Info: ")
        if !isNamed {
            parent += parent.isEmpty ? Array("1".utf8) : Array(".1".utf8)
            bytes.append("<")
            bytes.append(request[requestURI.all])
            bytes.append(">;index=")
            bytes.append(parent)
            bytes.append(", ")
        }
        bytes.append("<")
        bytes.append(contact)
        bytes.append(">;index=")
        bytes.append(parent)
        bytes.append(".")
        bytes.appendDecimal(UInt64(fork))
        bytes.append(";rc=")
        bytes.append(parent)
        bytes.append("\r\n")
    }

    /// The URI and the index of the last entry; nil: it has none, and nothing can be added to it.
    private func lastHistoryEntry(of request: borrowing Message) -> (uri: SIPURI, index: Slice)? {
        var last: Slice?
        request.forEachValue(.historyInfo) { value in
            last = value
            return true
        }
        guard let last, let entry = request.bytes.nameAddress(last),
            let index = request.bytes.parameter("index", in: entry.parameters), isHistoryIndex(request[index])
        else { return nil }
        return (entry.uri, index)
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

    /// Whether Privacy has `history`, or `header`, which means all that tells of the sender's way (RFC 7044 §10.1, RFC 3323 §4.2).
    func asksToHideHistory(_ request: borrowing Message) -> Bool {
        guard let privacy = request.value(.privacy) else { return false }
        return request.bytes.parameter("history", in: privacy) != nil || request.bytes.parameter("header", in: privacy) != nil
    }
}
