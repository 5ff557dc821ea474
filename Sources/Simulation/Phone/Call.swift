// A call of a phone: its dialog (RFC 3261 §12), how far it has come, and what the phone is going to do with it.

import SIPMessage
import SIPTransaction
import SansIO

struct Call {
    enum State {
        /// The INVITE has no final response.
        case calling
        /// It was answered, and the ACK has not come (of the called one).
        case answered
        /// There is a dialog.
        case up
        /// BYE is under way.
        case ending
    }

    /// What the phone does when the call's timer fires.
    enum Plan: UInt64 {
        /// Nobody has answered for long enough.
        case giveUp
        /// The one who is called makes up its mind.
        case decide
        /// The 200 once more, until its ACK comes (§13.3.1.4).
        case answerAgain
        /// Enough was said.
        case hangUp
    }

    var isCaller: Bool
    var state = State.calling
    var callID: [UInt8]
    var localTag: [UInt8]
    var remoteTag: [UInt8] = []
    /// Whole header values: the user's own and the other one's address, without tags.
    var local: [UInt8]
    var remote: [UInt8]
    /// The Request-URI of what is sent within the dialog: the other one's contact.
    var target: [UInt8]
    var routes: [[UInt8]] = []
    var sequence: UInt32 = 1
    /// Of the INVITE: the caller's client transaction, the other one's server transaction.
    var transaction: SlotID
    var timer = TimerID.none
    var interval = TimeSpan.zero
    var talk: TimeSpan
    /// Whether the caller has given up: what is answered all the same is ended at once.
    var isGivenUp = false
    /// Of the called one: the response fields, the final status that it has in mind, and when the 200 was first sent.
    var fields: [UInt8] = []
    var verdict: UInt16 = 200
    var answeredAt = Instant.zero

    /// The Call-ID as text.
    var name: String { String(octets: callID.span.bytes) }

    func isWithin(_ essentials: Essentials, of request: borrowing Message) -> Bool {
        request[essentials.callID].equals(callID) && request[essentials.from.tag].equals(remoteTag)
            && request[essentials.to.tag].equals(localTag)
    }

    /// Takes the way of the dialog from its INVITE, or from the 200 to it (§12.1).
    mutating func takeWay(from message: borrowing Message) {
        let bytes = message.bytes
        if let contact = message.firstValue(.contact), let address = bytes.nameAddress(contact) { target = [UInt8](bytes[address.uri.all]) }
        var recorded: [[UInt8]] = []
        message.forEachValue(.recordRoute) { value in
            recorded.append([UInt8](bytes[value]))
            return recorded.count < 16
        }
        routes = message.isRequest ? recorded : recorded.reversed()
    }

    /// A request of the call, but for Content-Length and what its method has of its own.
    func append(
        _ method: StaticString, _ number: UInt32, _ via: (inout OctetBuffer) -> Void, into bytes: inout OctetBuffer
    ) {
        bytes.append(method)
        bytes.append(" ")
        bytes.append(target)
        bytes.append(" SIP/2.0\r\n")
        via(&bytes)
        bytes.append("Max-Forwards: 70\r\n")
        for route in routes { bytes.appendField(.route, route.span.bytes) }
        bytes.append("From: ")
        bytes.append(local)
        bytes.append(";tag=")
        bytes.append(localTag)
        bytes.append("\r\nTo: ")
        bytes.append(remote)
        if !remoteTag.isEmpty {
            bytes.append(";tag=")
            bytes.append(remoteTag)
        }
        bytes.append("\r\n")
        bytes.appendField(.callID, callID.span.bytes)
        bytes.append("CSeq: ")
        bytes.appendDecimal(UInt64(number))
        bytes.append(" ")
        bytes.append(method)
        bytes.append("\r\n")
    }
}
