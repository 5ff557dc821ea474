// Header fields about other transactions and dialogs: Session-Expires and Min-SE (RFC 4028), RAck (RFC 3262), Replaces and
// Join (RFC 3891, RFC 3911).

import SansIO

/// Session-Expires (RFC 4028 §4): how long a session lives without a refresh, and who refreshes it. Min-SE is one without.
public struct SessionExpires: BitwiseCopyable, Sendable {
    public enum Refresher: UInt8, BitwiseCopyable, Sendable { case uac, uas }

    /// Seconds.
    public var interval: UInt32
    /// nil: not settled yet.
    public var refresher: Refresher?
}

/// RAck (RFC 3262 §7.2): which reliable provisional response a PRACK acknowledges.
public struct ResponseAcknowledgement: BitwiseCopyable, Sendable {
    /// The RSeq of the response, and the CSeq of the request that it answered.
    public var responseNumber: UInt32
    public var sequence: UInt32
    public var method: Slice
}

/// Replaces and Join: a dialog, as the one who gets the header knows it (RFC 3891 §3).
public struct DialogReference: BitwiseCopyable, Sendable {
    public var callID: Slice
    /// Of the one who gets the header.
    public var localTag: Slice
    public var remoteTag: Slice
    /// `early-only`: the dialog must not be confirmed.
    public var isEarlyOnly = false
}

extension RawSpan {
    /// Reads the value of Session-Expires or Min-SE; nil: it breaks the grammar.
    public func sessionExpires(_ slice: Slice) -> SessionExpires? {
        guard let (number, parameters) = tokenAndParameters(slice), let interval = deltaSeconds(number) else { return nil }
        var result = SessionExpires(interval: interval)
        var rest = parameters
        while let (name, value) = nextParameter(&rest) {
            if name.isEmpty { return nil }
            if self[name].equalsIgnoringCase("refresher") {
                guard let isClient = choice(value, "uac", "uas") else { return nil }
                result.refresher = isClient ? .uac : .uas
            }
        }
        return result
    }

    /// Reads the value of RAck; nil: it breaks the grammar, or a number is past its range (1 to 2³²-1, 0 to 2³¹-1).
    public func responseAcknowledgement(_ slice: Slice) -> ResponseAcknowledgement? {
        var rest = trimmed(slice)
        guard let responseNumber = decimal(nextWord(&rest)), let sequence = decimal(nextWord(&rest), maximum: 1 << 31 - 1),
            responseNumber > 0, isToken(rest)
        else { return nil }
        return ResponseAcknowledgement(responseNumber: UInt32(responseNumber), sequence: UInt32(sequence), method: rest)
    }

    /// Takes what stands before white space, and that.
    private func nextWord(_ rest: inout Slice) -> Slice {
        let end = run(of: .token, from: rest.lower, to: rest.upper)
        let word = Slice(rest.lower, end)
        rest = Slice(run(of: .whiteSpace, from: end, to: rest.upper), rest.upper)
        return word
    }

    /// Reads the value of Replaces or Join; nil: it breaks the grammar, or a tag is missing.
    public func dialogReference(_ slice: Slice) -> DialogReference? {
        let value = trimmed(slice)
        let end = firstSemicolon(in: value)
        let callID = trimmed(Slice(value.lower, end))
        guard !callID.isEmpty, run(of: .word, from: callID.lower, to: callID.upper) == callID.upper else { return nil }
        var dialog = DialogReference(callID: callID, localTag: .empty, remoteTag: .empty)
        var rest = Slice(end, value.upper)
        while let (name, value) = nextParameter(&rest) {
            if name.isEmpty { return nil }
            if self[name].equalsIgnoringCase("to-tag") {
                dialog.localTag = value
            } else if self[name].equalsIgnoringCase("from-tag") {
                dialog.remoteTag = value
            } else if self[name].equalsIgnoringCase("early-only") {
                dialog.isEarlyOnly = true
            }
        }
        return isToken(dialog.localTag) && isToken(dialog.remoteTag) ? dialog : nil
    }

    private func firstSemicolon(in slice: Slice) -> Int {
        var i = slice.lower
        while i < slice.upper, self[i] != 0x3B { i += 1 }
        return i
    }
}
