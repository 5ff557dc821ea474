// Which requests still get a transaction when there are nearly as many as there may be (RFC 3261 §21.5.4): the last of the
// room is for what is under way, so that dialogs can go on and end while new work is refused (RFC 7339 §5.10.1).
//
//   new work                                    7/8 of the room
//   within a dialog, and what we forward        31/32
//   BYE                                         all of it
//   the CANCEL of a request that is here        always: it makes room, and there is one at most for each request
//
// Responses and ACKs need no transaction of their own and always pass.

public import SIPMessage
import SansIO

/// How many transactions there may be, and how many octets they may keep, for each of these.
struct TransactionRoom: BitwiseCopyable {
    struct Share: BitwiseCopyable {
        var transactions: Int
        var octets: Int
    }
    let newWork: Share
    let underWay: Share
    let all: Share

    init(transactions: Int, octets: Int) {
        all = Share(transactions: transactions, octets: octets)
        underWay = Share(transactions: transactions - transactions / 32, octets: octets - octets / 32)
        newWork = Share(transactions: transactions - transactions / 8, octets: octets - octets / 8)
    }
}

extension TransactionLayer {
    /// Whether as much is kept as may be, so that it is not the number of transactions that lets requests be refused.
    public var isKeepingTooMuch: Bool { pool.bytesInUse >= room.newWork.octets }

    /// Whether any request would be taken: the one question that is asked of each.
    @inline(__always)
    var hasRoomForNewWork: Bool { has(room.newWork) }

    /// Whether a request that opens a transaction would be taken.
    func hasRoom(for method: Method, isWithinDialog: Bool) -> Bool {
        guard isWithinDialog else { return has(room.newWork) }
        return has(method == .bye ? room.all : room.underWay)
    }

    /// Whether a request of ours may be sent.
    public func hasRoomToSend(_ method: Method) -> Bool { has(method == .bye ? room.all : room.underWay) }

    @inline(__always)
    private func has(_ share: TransactionRoom.Share) -> Bool {
        guard slab.count < share.transactions else { return false }
        return pool.bytesInUse < share.octets
    }
}
