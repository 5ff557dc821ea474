// Transactions as RFC 3261 §17 has them, seen from the wire: each request has one final response, and after the end of a
// transaction nothing is sent for it.

import SIPMessage
import SIPTransaction
import SansIO

struct TransactionChecker: Checker {
    private struct Key: Hashable {
        var station: Int
        /// Rises when the station's process dies: the next knows nothing of its transactions.
        var life: Int
        var transaction: UInt64
    }

    private struct Served {
        var message: WireMessage
        var requests = 1
        var responses = 0
        var final: (status: UInt16, toTag: UInt64, time: Instant)?
    }

    private struct Asked {
        var message: WireMessage
        var final: Instant?
    }

    private let cast: Cast
    /// How long a transaction lingers at most.
    private let patience: TimeSpan
    private var lives: [Int]
    private var served: [Key: Served] = [:]
    private var asked: [Key: Asked] = [:]
    /// The keys in the order in which they came: a run must end the same way each time.
    private var order: [Key] = []
    /// Requests that each station passed on, by what they are wherever they go.
    private var passedOn: [Key: [Key]] = [:]
    private(set) var violations: [Violation] = []

    init(_ cast: Cast, patience: TimeSpan) {
        self.cast = cast
        self.patience = patience
        lives = Array(repeating: 0, count: cast.stationCount)
    }

    mutating func observe(_ observation: Observation, at time: Instant) {
        switch observation {
        case .sent(let message) where message.transaction == 0:
            violate("\(cast.name(message.sender)) sent what is no SIP message", message, time)
        case .sent(let message) where message.method != .ack:
            if message.isRequest { requestSent(message, time) } else { responseSent(message, time) }
        case .delivered(let message) where message.transaction != 0 && message.method != .ack:
            if message.isRequest { requestDelivered(message, time) } else { responseDelivered(message, time) }
        // The machine of a server that cannot answer ends: what comes again is new (RFC 3261 §17.2.4).
        case .unreachable(let message) where !message.isRequest && message.method != .invite:
            served[key(message.sender, message)] = nil
        case .crashed(let station): lives[station] += 1
        case .rested: checkAnswers(time)
        default: break
        }
    }

    private func key(_ station: Int, _ message: WireMessage) -> Key {
        Key(station: station, life: lives[station], transaction: message.transaction)
    }

    private mutating func violate(_ text: String, _ message: WireMessage, _ time: Instant) {
        violations.append(Violation(checker: "transactions", text: text, time: time, call: message.call))
    }

    // MARK: Servers

    private mutating func requestDelivered(_ message: WireMessage, _ time: Instant) {
        let key = key(message.receiver, message)
        if let known = served[key], known.final.map({ time - $0.time < patience }) ?? true {
            served[key]?.requests += 1
        } else {
            if served[key] == nil { order.append(key) }
            served[key] = Served(message: message)
        }
    }

    private mutating func responseSent(_ message: WireMessage, _ time: Instant) {
        let name = cast.name(message.sender)
        let key = key(message.sender, message)
        guard var state = served[key] else {
            return violate("\(name) sent \(message.label) to a \(message.method.text) that it never received", message, time)
        }
        guard message.status >= 200 else {
            if let final = state.final {
                violate("\(name) sent \(message.label) after the final response \(final.status)", message, time)
            }
            return
        }
        state.responses += 1
        if let final = state.final {
            if final.status != message.status {
                violate("\(name) sent \(message.label) after the final response \(final.status) of the same transaction", message, time)
            } else if final.toTag != message.toTag {
                violate("\(name) sent the final response \(final.status) twice, with another tag", message, time)
            } else if message.method != .invite, state.responses > state.requests {
                violate("\(name) sent \(message.label) more often than it was asked", message, time)
            } else if time - final.time > patience {
                violate("\(name) sent \(message.label) after the end of its transaction", message, time)
            }
        } else {
            state.final = (message.status, message.toTag, time)
        }
        served[key] = state
    }

    // MARK: Clients

    private mutating func requestSent(_ message: WireMessage, _ time: Instant) {
        let name = cast.name(message.sender)
        let key = key(message.sender, message)
        guard let known = asked[key] else {
            asked[key] = Asked(message: message)
            passedOn[Key(station: key.station, life: key.life, transaction: message.request), default: []].append(key)
            return
        }
        if known.final != nil {
            violate("\(name) sent \(message.label) again, though it has its final response", message, time)
        } else if time - known.message.time > patience {
            violate("\(name) sent \(message.label) again after its transaction had timed out", message, time)
        } else if known.message.octets != message.octets {
            violate("\(name) sent \(message.label) again with other words", message, time)
        }
    }

    private mutating func responseDelivered(_ message: WireMessage, _ time: Instant) {
        guard message.status >= 200 else { return }
        let key = key(message.receiver, message)
        // What comes later than anybody waits for is nobody's.
        guard let known = asked[key], known.final == nil, time - known.message.time < patience else { return }
        asked[key]?.final = time
    }

    // MARK: The end

    /// Each request that came to a process which is still alive has its final response; a request that was passed on may have
    /// none if none came back: its sender runs out of time by itself (RFC 4320 §4.2).
    private mutating func checkAnswers(_ time: Instant) {
        for key in order where key.life == lives[key.station] {
            guard let state = served[key], state.final == nil else { continue }
            let forwarded = passedOn[Key(station: key.station, life: key.life, transaction: state.message.request)] ?? []
            if forwarded.contains(where: { asked[$0]?.final == nil }) { continue }
            violate("\(cast.name(key.station)) never answered a \(state.message.label)", state.message, time)
        }
    }
}
