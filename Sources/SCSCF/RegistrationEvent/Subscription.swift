// One subscription to the registration state of a user (RFC 6665 §4.2): its dialog (RFC 3261 §12) and how much it was told.
// Several may share a dialog, told apart by the `id` of their Event (RFC 6665 §4.5.2, RFC 5057); each keeps the dialog as its own
// SUBSCRIBE left it, and all count NOTIFYs together.
// Numbers in a slab, text in the core's pool.

import SIPMessage
import SansIO

struct Subscription: BitwiseCopyable {
    /// The identity that the first SUBSCRIBE named.
    var watched: IdentityReference
    /// Our tag: 64 bits that nobody guesses, and so the key under which the dialog is found.
    var tag: UInt64
    /// What tells it from others in its dialog; 0: the one that made the dialog.
    var usage: UInt64 = 0
    /// Whether the dialog asks for SIPS URIs (RFC 3261 §12.1.1).
    var isSecure: Bool
    /// Whether an application server watches: it is within the trust domain, and told what belongs to charging.
    var isForServer: Bool
    var dialog: Dialog
    /// Of the next document (RFC 3680 §5.1).
    var version: UInt32 = 0
    /// CSeq of the last NOTIFY in the dialog: never below the version.
    var sequence: UInt32 = 0
    /// The first number that the database has not set aside for this process, neither as a version nor for a CSeq above it; without
    /// a database there is none.
    var limit: UInt32
    /// Whether the database has it, or soon will.
    var isStored = false
    /// Whether more versions are being set aside.
    var isReserving = false
    /// SUBSCRIBE requests whose commit is not yet reported: nothing is told until then.
    var pending: UInt8 = 0
    /// Whether a NOTIFY has no final response yet: the next waits for it.
    var isAwaited = false
    /// Whether everything is to be told, whatever was told before: after each SUBSCRIBE (RFC 3680 §4.7), after a restart, and
    /// after a NOTIFY that was not taken.
    var mustTellAll = true
    /// The change (`Watch.serial`) up to which the watcher was told.
    var told: UInt32 = 0
    var lastTold = Instant.zero
    /// Nothing is told before: the watcher or our own load asked for it.
    var notBefore = Instant.zero
    var timer = TimerID.none

    /// What each SUBSCRIBE may change, so that it can be taken back.
    struct Dialog: BitwiseCopyable {
        var expiry: Instant
        /// The way on which the last SUBSCRIBE came.
        var flow: Flow
        /// Its CSeq.
        var remoteSequence: UInt32
        var text: DialogText
        var octets: PacketID
    }
}

/// The parts of a dialog's octets: how long each is, in this order.
struct DialogText: BitwiseCopyable, Equatable {
    var callID: UInt16 = 0
    /// From of the SUBSCRIBE with its tag, and To without ours.
    var remote: UInt16 = 0
    var local: UInt16 = 0
    /// The URI of the watcher's Contact.
    var target: UInt16 = 0
    /// The Record-Route values in their order, separated by commas (RFC 3261 §12.1.1). Empty: none.
    var routes: UInt16 = 0
    /// `id` of Event; empty: none.
    var eventID: UInt16 = 0

    var callIDSlice: Slice { Slice(0, Int(callID)) }
    var remoteSlice: Slice { Slice(start: UInt32(callIDSlice.upper), count: UInt32(remote)) }
    var localSlice: Slice { Slice(start: UInt32(remoteSlice.upper), count: UInt32(local)) }
    var targetSlice: Slice { Slice(start: UInt32(localSlice.upper), count: UInt32(target)) }
    var routesSlice: Slice { Slice(start: UInt32(targetSlice.upper), count: UInt32(routes)) }
    var eventIDSlice: Slice { Slice(start: UInt32(routesSlice.upper), count: UInt32(eventID)) }
    /// Octets of all parts.
    var total: Int { eventIDSlice.upper }

    /// The most octets kept of one dialog; a SUBSCRIBE with more is answered 513.
    static let limit = 4096
}

extension OctetBuffer {
    /// The user part of our Contact: `reg-` and the watched identity, escaped. It leads what comes within the dialog to the
    /// user's shard, however many shards there are when it comes.
    mutating func appendSubscriptionUser(_ identity: RawSpan) {
        append("reg-")
        for i in 0..<identity.byteCount {
            let octet = identity[i]
            if octet.isPlainInUser {
                append(byte: octet)
            } else {
                append(byte: 0x25)
                for digit in [octet >> 4, octet & 15] { append(byte: digit < 10 ? 0x30 + digit : 0x37 + digit) }
            }
        }
    }

    /// The identity in the user part of a Contact of ours.
    ///
    /// - Returns: false, with nothing written: it is none of ours.
    mutating func appendIdentity(inSubscriptionUser user: RawSpan) -> Bool {
        guard user.byteCount > 4, user.part(0, 4).equals("reg-") else { return false }
        var i = 4
        while i < user.byteCount {
            if user[i] == 0x25, i + 2 < user.byteCount, let high = user[i + 1].hexDigitValue, let low = user[i + 2].hexDigitValue {
                append(byte: high << 4 | low)
                i += 3
            } else {
                append(byte: user[i])
                i += 1
            }
        }
        return true
    }
}

extension UInt8 {
    /// Characters that nobody is tempted to escape or unescape on the way: letters, digits and `+ - . _`.
    fileprivate var isPlainInUser: Bool {
        switch self {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, 0x2D, 0x2E, 0x5F: true
        default: false
        }
    }
}
