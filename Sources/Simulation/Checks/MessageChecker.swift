// Messages in page mode (RFC 3428): a client shows each once, and each that was accepted reaches a recipient who is there.

import InstantMessaging
import SIPMessage
import SansIO

struct MessageChecker: Checker {
    /// A message by its body: no two have the same.
    private struct Sent {
        var sender: Int
        var recipient: Int
        var call: UInt64
        /// Whether its sender heard a 2xx.
        var isAccepted = false
        /// In which lives of its recipient's client it was shown, and how often in all.
        var shownIn: Set<Int> = []
        /// Whether its recipient was provisioned all the time.
        var isExcused = false
    }

    private let cast: Cast
    private var lives: [Int]
    private var sent: [String: Sent] = [:]
    private var order: [String] = []
    private var bodies: [UInt64: String] = [:]
    private var registered: Set<Int> = []
    private var gone: Set<Int> = []
    private(set) var violations: [Violation] = []

    init(_ cast: Cast) {
        self.cast = cast
        lives = Array(repeating: 0, count: cast.stationCount)
    }

    mutating func observe(_ observation: Observation, at time: Instant) {
        switch observation {
        case .sent(let message) where message.method == .message && message.isRequest && cast.isClient(message.sender):
            requestSent(message)
        case .delivered(let message) where message.method == .message && !message.isRequest && cast.isClient(message.receiver):
            if (200..<300).contains(message.status), let body = bodies[message.request] { sent[body]?.isAccepted = true }
        case .event(let client, .messageReceived(_, let body, _)): shown(body, at: client, time)
        case .crashed(let station): lives[station] += 1
        case .changed(let client, let variant): subscriberChanged(client, variant)
        case .registrations(let identities): noteRegistered(identities)
        case .settled: checkDelivery(time)
        default: break
        }
    }

    private mutating func requestSent(_ message: WireMessage) {
        bodies[message.request] = message.body
        guard sent[message.body] == nil, let recipient = recipient(of: message) else { return }
        sent[message.body] = Sent(
            sender: message.sender, recipient: recipient, call: message.call, isExcused: gone.contains(recipient))
        order.append(message.body)
    }

    private func recipient(of message: WireMessage) -> Int? {
        let line = String(decoding: message.octets.prefix { $0 != 0x0D }, as: UTF8.self)
        let words = line.split(separator: " ")
        return words.count > 1 ? cast.client(of: String(words[1])) : nil
    }

    private mutating func shown(_ body: String, at client: Int, _ time: Instant) {
        guard let message = sent[body] else {
            return violate("\(cast.name(client)) shows a message that nobody sent: \"\(body)\"", 0, time)
        }
        if message.recipient != client {
            violate("\(cast.name(client)) shows \"\(body)\", which is for \(cast.name(message.recipient))", message.call, time)
        }
        // A client that starts anew has forgotten what it has shown.
        if !(sent[body]?.shownIn.insert(lives[client]).inserted ?? false) {
            violate("\(cast.name(client)) shows \"\(body)\" a second time", message.call, time)
        }
    }

    /// What waits for a user who is not provisioned any more may be given up.
    private mutating func subscriberChanged(_ client: Int, _ variant: SubscriberVariant) {
        if variant == .planned { gone.remove(client) } else { gone.insert(client) }
        guard variant != .planned else { return }
        for body in order where sent[body]?.recipient == client { sent[body]?.isExcused = true }
    }

    private mutating func noteRegistered(_ identities: [RegisteredUser]) {
        registered = Set(identities.filter { !$0.contacts.isEmpty }.compactMap { cast.client(of: $0.identity) })
    }

    private mutating func checkDelivery(_ time: Instant) {
        for body in order {
            guard let message = sent[body], message.isAccepted, !message.isExcused, message.shownIn.isEmpty,
                registered.contains(message.recipient)
            else { continue }
            violate(
                "\(cast.name(message.recipient)) is registered and was never shown \"\(body)\", which \(cast.name(message.sender)) was told to be accepted",
                message.call, time)
        }
    }

    private mutating func violate(_ text: String, _ call: UInt64, _ time: Instant) {
        violations.append(Violation(checker: "messages", text: text, time: time, call: call))
    }
}
