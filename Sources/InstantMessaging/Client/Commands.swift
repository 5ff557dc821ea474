// Commands, one after the other: each begins when what it needs is free, and ends with an outcome.

import SIPMessage
import SansIO

extension IMClient {
    /// Begins the next command, if none is under way and nothing stands in its way.
    mutating func performNext(at now: Now, into effects: inout Effects) {
        while current == nil, let next = commands.first, !hasQuit {
            // A refresh of the client's own comes first; its end leads here again.
            if let lane = next.lane, exchanges[lane.rawValue] != nil { return }
            commands.removeFirst()
            current = next
            begin(next, at: now, into: &effects)
        }
    }

    mutating func finishCommand(_ outcome: CommandOutcome, at now: Now, into effects: inout Effects) {
        guard let command = current else { return performNext(at: now, into: &effects) }
        current = nil
        outcomes.append(outcome)
        if command == .quit {
            hasQuit = true
            commands.removeAll()
            return
        }
        performNext(at: now, into: &effects)
    }

    private mutating func begin(_ command: ClientCommand, at now: Now, into effects: inout Effects) {
        switch command {
        case .register(let expires):
            register(expires: expires ?? settings.registrationExpires, isCommanded: true, at: now, into: &effects)
        case .unregister:
            // Without a registration of this run too: an earlier one may have left a contact with the core.
            unregister(at: now, into: &effects)
        case .quit where isRegistered:
            unregister(at: now, into: &effects)
        case .quit:
            finishCommand(.succeeded, at: now, into: &effects)
        case .publishSettings(let changes):
            change(changes)
            publishSettings(isCommanded: true, at: now, into: &effects)
        case .removeSettings where entityTag.isEmpty:
            fail("no settings are published", at: now, into: &effects)
        case .removeSettings:
            removeSettings(at: now, into: &effects)
        case .message(let recipient, let text):
            sendMessage(to: recipient, text, at: now, into: &effects)
        case .wait(let span):
            waitTimer = schedule(.wait, after: span, now)
        }
    }

    mutating func fail(_ text: String, at now: Now, into effects: inout Effects) {
        report(.error(text: text), at: now)
        finishCommand(.failed, at: now, into: &effects)
    }

    /// Ends an exchange, and the command that waited for it.
    mutating func finish(_ lane: Lane, _ outcome: CommandOutcome, at now: Now, into effects: inout Effects) {
        let isCommanded = exchanges[lane.rawValue]?.isCommanded ?? false
        exchanges[lane.rawValue] = nil
        if isCommanded { finishCommand(outcome, at: now, into: &effects) } else { performNext(at: now, into: &effects) }
    }

    /// Whether the next command will do anew what the client is doing of itself: then the event is the command's.
    func isSuperseded(_ lane: Lane) -> Bool {
        guard let exchange = exchanges[lane.rawValue], !exchange.isCommanded else { return false }
        return current == nil && commands.first?.lane == lane
    }
}

extension ClientCommand {
    /// What has to be free before the command can begin.
    var lane: Lane? {
        switch self {
        case .register, .unregister, .quit: .registration
        case .publishSettings, .removeSettings: .publication
        case .message: .message
        case .wait: nil
        }
    }
}
