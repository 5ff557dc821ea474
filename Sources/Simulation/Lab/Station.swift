// A node of the lab with everything about it: its process, which may be dead, its database and what is wrong with it.

import InstantMessaging
import SCSCF
import SansIO

final class Station {
    let number: Int
    let name: String
    let address: Endpoint
    /// The process: several cells are shards; none: it is dead.
    var cells: [Cell] = []
    /// Rises when the process dies: what was meant for an earlier one does not reach a later one.
    var life = 0
    /// nil: what is stored lives as long as the process.
    var store: VirtualStore?
    /// How many faults of a kind hold just now.
    var isDown = 0
    var isDead = 0
    var isOverloaded = 0
    var storeFaults = 0
    var slowness: [TimeSpan] = []
    /// Transactions that were refused for overload, and those that were let in.
    var refused: Set<UInt64> = []
    var admitted: Set<UInt64> = []
    var deadline = Instant.distantFuture

    init(number: Int, name: String, address: Endpoint) {
        self.number = number
        self.name = name
        self.address = address
    }

    var isRunning: Bool { !cells.isEmpty }
    var delay: TimeSpan { slowness.max() ?? .zero }

    var core: [NodeCell<ServingCSCF>] { cells.compactMap { $0 as? NodeCell<ServingCSCF> } }
    var client: NodeCell<IMClient>? { cells.first as? NodeCell<IMClient> }
    var phone: NodeCell<Phone>? { cells.last as? NodeCell<Phone> }
    var imServer: NodeCell<IMServer>? { cells.first as? NodeCell<IMServer> }

    func noteDeadline() { deadline = cells.compactMap(\.nextDeadline).min() ?? .distantFuture }
}
