// Faults that are built in on purpose: a checker that finds none of them is none.

import SIPMessage
import SansIO

/// What may be wrong with the house in a simulation.
public enum Flaw: String, CaseIterable, Sendable {
    /// The core answers some requests a second time, and otherwise.
    case answersTwice = "answers-twice"
    /// It sends some responses once more when their transactions are over.
    case answersLate = "answers-late"
    /// It is told that changes are stored which are not.
    case forgetsStored = "forgets-stored"
    /// It leaves out some third-party REGISTER requests.
    case tellsNobody = "tells-nobody"
    /// Clients show some messages twice.
    case showsTwice = "shows-twice"
    /// The IM Server accepts messages that it does not deliver.
    case losesMessages = "loses-messages"
    /// The core lets the ACKs to some 2xx go astray.
    case losesAcknowledgements = "loses-acknowledgements"
    /// Its timers stop before all that was begun has ended.
    case stopsTimers = "stops-timers"

    /// The checker that is to find it.
    public var checker: String {
        switch self {
        case .answersTwice, .answersLate: "transactions"
        case .forgetsStored: "registrations"
        case .tellsNobody: "third-party registration"
        case .showsTwice, .losesMessages: "messages"
        case .losesAcknowledgements: "calls"
        case .stopsTimers: "rest"
        }
    }
}

extension VirtualLab {
    /// Whether a message of a node is swallowed before anybody sees it.
    func swallows(_ message: WireMessage) -> Bool {
        switch flaw {
        case .tellsNobody:
            message.sender == cast.core && message.isRequest && message.method == .register && message.sequence.isMultiple(of: 3)
        case .losesAcknowledgements: message.sender == cast.core && message.method == .ack
        case .losesMessages:
            cast.server(of: message.sender) != nil && message.isRequest && message.method == .message && isDelivery(message)
        default: false
        }
    }

    /// A MESSAGE that the IM Server begins itself has its Via alone.
    private func isDelivery(_ message: WireMessage) -> Bool {
        String(decoding: message.octets, as: UTF8.self).components(of: "\r\nVia:") == 1
    }

    /// What a node sends beside a message, and when.
    func addition(to message: WireMessage) -> (octets: [UInt8], delay: TimeSpan)? {
        guard message.sender == cast.core, !message.isRequest, message.status >= 200, message.method == .register else { return nil }
        switch flaw {
        case .answersTwice where message.status == 200:
            let text = String(decoding: message.octets, as: UTF8.self).replacing("SIP/2.0 200 OK", with: "SIP/2.0 480 Gone")
            return (Array(text.utf8), .milliseconds(50))
        case .answersLate: return (message.octets, .seconds(50))
        default: return nil
        }
    }

    /// Whether the core's timers have stopped.
    var hasStoppedTimers: Bool { flaw == .stopsTimers && isResting }
}

extension String {
    fileprivate func components(of text: String) -> Int { ranges(of: text).count }
}
