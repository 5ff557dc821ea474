// What a core asks of the Domain Name System: the questions go to the node's name service, and each answer comes back by
// letter. The names of peers that were found are told to TLS.

import SansIO

extension ShardLoop where Node: ~Copyable {
    mutating func askNames() {
        let lane = effects.names
        effects.names.removeAll()
        if let security = wiring.configuration.security {
            for finding in lane.findings { security.learn(String(decoding: finding.name, as: UTF8.self), at: finding.endpoint) }
        }
        let mailbox = wiring.mailbox
        for question in lane.questions {
            let number = question.number
            guard let names = wiring.configuration.names else {
                nameAnswered(number, .unanswered(for: NameService.unansweredLifetime))
                continue
            }
            openQuestions += 1
            names.ask(question.query) { answer in
                mailbox.post { loop in
                    loop.openQuestions -= 1
                    loop.nameAnswered(number, answer)
                }
            }
        }
    }

    private mutating func nameAnswered(_ question: UInt64, _ answer: NameAnswer) {
        node.nameAnswered(question, answer, at: now, into: &effects)
    }
}
