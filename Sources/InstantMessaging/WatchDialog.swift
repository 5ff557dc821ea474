// A watcher's end of a subscription (RFC 6665 §4.1): the dialog that its SUBSCRIBE and the NOTIFYs to it make (RFC 3261 §12).

import SIPMessage
import SansIO

struct WatchDialog: Sendable {
    var callID: [UInt8]
    var tag: [UInt8]
    /// CSeq of the last SUBSCRIBE, and of the last NOTIFY.
    var sequence: UInt32 = 0
    var notified: UInt32?
    /// The notifier's tag and Contact, and the way to it; empty: not known yet.
    var remoteTag: [UInt8] = []
    var target: [UInt8] = []
    var routes: [[UInt8]] = []

    init(callID: [UInt8], tag: [UInt8]) {
        self.callID = callID
        self.tag = tag
    }

    /// The notifier's end, from whatever of it comes first: the 200 or a NOTIFY (RFC 6665 §4.4.1).
    ///
    /// - Parameter remoteTag: the tag of To in the 200, or of From in the NOTIFY.
    mutating func learn(_ message: Message, remoteTag: Slice) {
        guard self.remoteTag.isEmpty else { return }
        let bytes = message.bytes
        self.remoteTag = [UInt8](bytes[remoteTag])
        if let contact = message.firstValue(.contact).flatMap({ bytes.nameAddress($0) }) { target = [UInt8](bytes[contact.uri.all]) }
        var values: [[UInt8]] = []
        message.forEachValue(.recordRoute) { value in
            values.append([UInt8](bytes[value]))
            return values.count < 16
        }
        routes = message.isRequest ? values : values.reversed()
    }

    /// Whether a request belongs to the dialog.
    func owns(_ request: Message, _ essentials: Essentials) -> Bool {
        request[essentials.callID].equals(callID.span.bytes) && request[essentials.to.tag].equals(tag.span.bytes)
            && (remoteTag.isEmpty || request[essentials.from.tag].equals(remoteTag.span.bytes))
    }

    /// Whether a NOTIFY comes after those that came before (RFC 3261 §12.2.2).
    func isNews(_ essentials: Essentials) -> Bool { notified.map { essentials.sequence > $0 } ?? true }
}

extension TimeSpan {
    /// When what was granted for so many seconds is to be refreshed: 600 s before the end of what lasts over 1200 s, else at half
    /// the time (TS 24.229 §5.1.1.4).
    static func refreshDelay(of granted: UInt32) -> TimeSpan {
        granted > 1200 ? .seconds(Int(granted) - 600) : .milliseconds(Int(granted) * 500)
    }
}
