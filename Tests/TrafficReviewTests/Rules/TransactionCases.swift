// Answers, transactions, calls and dialogs.

import SansIO

extension RuleCase {
    static let answers: [RuleCase] = [
        RuleCase(
            "answer-unmatched", to: .toAlice, wrong: .toAlice.answer(200).with("Via", "SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKother"),
            right: .toAlice.answer(200)),
        RuleCase(
            "answer-via-changed", to: .toAlice.relayed(),
            wrong: .toAlice.answer(200).with("Via", "SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKrelay"),
            right: .toAlice.relayed().answer(200)),
        RuleCase(
            "answer-headers-changed", to: .toAlice, wrong: .toAlice.answer(200).with("From", "<sip:alice@home1.test>;tag=other"),
            right: .toAlice.answer(200).with("From", "\"Alice\" <sip:alice@home1.test>;tag=a1")),
        RuleCase(
            "answer-to-tag-missing", to: .toAlice, wrong: .toAlice.answer(200).with("To", "<sip:alice@127.0.0.1:5062>"),
            right: .toAlice.answer(200)),
        RuleCase(
            "answer-record-route", to: .inviteToAlice, wrong: .inviteToAlice.answer(180).without("Record-Route"),
            right: .inviteToAlice.answer(180)),
        RuleCase(
            "answer-contact-missing", to: .inviteToAlice, wrong: .inviteToAlice.answer(200),
            right: .inviteToAlice.answer(200, ["Contact: <sip:alice@127.0.0.1:5062>"])),
        RuleCase(
            "answer-without-description", to: .inviteToAlice.with(body: "v=0\r\n", type: "application/sdp"),
            wrong: .inviteToAlice.answer(200, ["Contact: <sip:alice@127.0.0.1:5062>"]),
            right: .inviteToAlice.answer(200, ["Contact: <sip:alice@127.0.0.1:5062>"]).with(body: "v=0\r\n", type: "application/sdp")),
        RuleCase("answer-provisional", to: .toAlice, wrong: .toAlice.answer(183), right: .toAlice.answer(202)),
        RuleCase(
            "answer-100-early",
            broken: {
                $0.send(.toAlice)
                $0.receive(Draft.toAlice.answer(100))
            },
            sound: {
                $0.send(.toAlice)
                $0.wait(milliseconds: 3500)
                $0.receive(Draft.toAlice.answer(100))
                $0.receive(Draft.toAlice.answer(200))
            }),
        RuleCase("answer-408", to: .toAlice, wrong: .toAlice.answer(408), right: .toAlice.answer(480)),
        RuleCase(
            "answer-changed",
            broken: {
                $0.send(.toAlice)
                $0.receive(Draft.toAlice.answer(200))
                $0.receive(Draft.toAlice.answer(500))
            },
            sound: {
                $0.send(.toAlice)
                $0.receive(Draft.toAlice.answer(200))
                $0.receive(Draft.toAlice.answer(200))
            }),
        RuleCase("answer-405-allow", to: .toAlice, wrong: .toAlice.answer(405), right: .toAlice.answer(405, ["Allow: INVITE"])),
        RuleCase("answer-415-accept", to: .toAlice, wrong: .toAlice.answer(415), right: .toAlice.answer(415, ["Accept: text/plain"])),
        RuleCase("answer-420-unsupported", to: .toAlice, wrong: .toAlice.answer(420), right: .toAlice.answer(420, ["Unsupported: x"])),
        RuleCase(
            "answer-423-min-expires", to: .thirdParty, wrong: .thirdParty.answer(423), right: .thirdParty.answer(423, ["Min-Expires: 60"])),
        RuleCase(
            "answer-401-challenge", to: .toAlice, wrong: .toAlice.answer(401),
            right: .toAlice.answer(401, ["WWW-Authenticate: Digest realm=\"a\""])),
        RuleCase(
            "answer-407-challenge", to: .toAlice, wrong: .toAlice.answer(407),
            right: .toAlice.answer(407, ["Proxy-Authenticate: Digest realm=\"a\""])),
    ]

    static let transactions: [RuleCase] = [
        RuleCase(
            "branch-reused",
            broken: {
                $0.exchange(.options, Draft.options.answer(200))
                $0.receive(Draft.options.with("CSeq", "2 OPTIONS"))
            },
            sound: {
                $0.exchange(.options, Draft.options.answer(200))
                $0.receive(Draft.options.next(2))
            }),
        RuleCase(
            "cseq-reused",
            broken: {
                $0.exchange(.message, Draft.message.answer(407))
                $0.receive(Draft.message.next(1))
            },
            sound: {
                $0.exchange(.message, Draft.message.answer(407))
                $0.receive(Draft.message.next(2))
            }),
        RuleCase(
            "retransmission-too-early",
            broken: { trace in
                for _ in 0..<3 { trace.receive(.options) }
            },
            sound: { trace in
                trace.receive(.options)
                trace.wait(milliseconds: 490)
                trace.receive(.options)
                trace.wait(milliseconds: 990)
                trace.receive(.options)
            }),
        RuleCase(
            "retransmission-over-stream",
            broken: {
                $0.receive(.options, over: .tcp)
                $0.receive(.options, over: .tcp)
            },
            sound: {
                $0.receive(.options, over: .tcp)
                $0.receive(Draft.options.next(2), over: .tcp)
            }),
        RuleCase(
            "answer-ignored",
            broken: { trace in
                trace.exchange(.options, Draft.options.answer(200))
                for _ in 0..<3 {
                    trace.wait(milliseconds: 1000)
                    trace.receive(.options)
                }
            },
            sound: { trace in
                trace.exchange(.options, Draft.options.answer(200))
                trace.wait(milliseconds: 500)
                trace.receive(.options)
                trace.wait(milliseconds: 1000)
                trace.receive(.options)
            }),
        RuleCase(
            "no-answer",
            broken: {
                $0.send(.toAlice)
                $0.wait(milliseconds: 34_000)
            },
            sound: {
                $0.send(.toAlice)
                $0.wait(milliseconds: 31_000)
                $0.receive(Draft.toAlice.answer(200))
                $0.wait(milliseconds: 31_000)
            }),
    ]

    private static let answered = Draft.invite.answer(200, ["Contact: <sip:bob@127.0.0.1:5072>", "Record-Route: <sip:127.0.0.1:5060;lr>"])
    private static let cancel = Draft("CANCEL", "sip:bob@home1.test", branch: "z9hG4bKINVITEc11")

    /// An ACK of the call.
    private static func ack(_ branch: String, cseq: Int = 1) -> Draft {
        Draft("ACK", "sip:bob@127.0.0.1:5072", cseq: cseq, branch: branch, ["Route: <sip:127.0.0.1:5060;lr>"])
            .with("To", "<sip:bob@home1.test>;tag=b1")
    }

    private static func bye(_ cseq: Int) -> Draft {
        Draft("BYE", "sip:bob@127.0.0.1:5072", cseq: cseq, ["Route: <sip:127.0.0.1:5060;lr>"]).with("To", "<sip:bob@home1.test>;tag=b1")
    }

    static let calls: [RuleCase] = [
        RuleCase(
            "ack-missing",
            broken: {
                $0.exchange(.invite, answered)
                $0.wait(milliseconds: 34_000)
            },
            sound: {
                $0.exchange(.invite, answered)
                $0.receive(ack("z9hG4bKack"))
                $0.wait(milliseconds: 34_000)
            }),
        RuleCase(
            "ack-branch",
            broken: {
                $0.exchange(.invite, answered)
                $0.receive(ack("z9hG4bKINVITEc11"))
            },
            sound: {
                $0.exchange(.invite, answered)
                $0.receive(ack("z9hG4bKack"))
            }),
        RuleCase(
            "ack-branch",
            broken: {
                $0.exchange(.invite, Draft.invite.answer(486))
                $0.receive(ack("z9hG4bKack"))
            },
            sound: {
                $0.exchange(.invite, Draft.invite.answer(486))
                $0.receive(ack("z9hG4bKINVITEc11"))
            }),
        RuleCase(
            "ack-cseq",
            broken: {
                $0.exchange(.invite, answered)
                $0.receive(ack("z9hG4bKack", cseq: 2))
            },
            sound: {
                $0.exchange(.invite, answered)
                $0.receive(ack("z9hG4bKack"))
            }),
        RuleCase(
            "cancel-mismatch",
            broken: {
                $0.exchange(.invite, Draft.invite.answer(100))
                $0.receive(cancel.with("Via", "SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKnew"))
            },
            sound: {
                $0.exchange(.invite, Draft.invite.answer(100))
                $0.receive(cancel)
            }),
        RuleCase(
            "cancel-mismatch",
            broken: {
                $0.exchange(.invite, Draft.invite.answer(100))
                $0.receive(cancel.with("To", "<sip:bob@home1.test>;tag=b1"))
            },
            sound: {
                $0.exchange(.invite, Draft.invite.answer(100))
                $0.receive(cancel)
            }),
        RuleCase(
            "cancel-too-early",
            broken: {
                $0.receive(.invite)
                $0.receive(cancel)
            },
            sound: {
                $0.exchange(.invite, Draft.invite.answer(100))
                $0.receive(cancel)
            }),
        RuleCase(
            "cancel-require",
            broken: {
                $0.exchange(.invite, Draft.invite.answer(100))
                $0.receive(cancel.adding("Require", "100rel"))
            },
            sound: {
                $0.exchange(.invite, Draft.invite.answer(100))
                $0.receive(cancel.adding("Reason", "SIP;cause=200"))
            }),
        // The dialog counts from the request that began it.
        RuleCase(
            "cseq-not-increasing",
            broken: {
                $0.exchange(.invite, answered)
                $0.receive(ack("z9hG4bKack"))
                $0.receive(bye(1))
            },
            sound: {
                $0.exchange(.invite, answered)
                $0.receive(ack("z9hG4bKack"))
                $0.receive(bye(2))
            }),
        RuleCase(
            "cseq-not-increasing",
            broken: {
                $0.exchange(.invite, answered)
                $0.receive(ack("z9hG4bKack"))
                $0.receive(bye(3))
                $0.receive(bye(2))
            },
            sound: {
                $0.exchange(.invite, answered)
                $0.receive(ack("z9hG4bKack"))
                $0.receive(bye(2))
                $0.receive(bye(3))
            }),
        RuleCase(
            "dialog-route-missing",
            broken: {
                $0.exchange(.invite, answered)
                $0.receive(ack("z9hG4bKack"))
                $0.receive(bye(2).without("Route"))
            },
            sound: {
                $0.exchange(.invite, answered.without("Record-Route"))
                $0.receive(ack("z9hG4bKack"))
                $0.receive(bye(2).without("Route"))
            }),
        RuleCase(
            "dialog-route-missing",
            broken: {
                $0.send(.inviteToAlice)
                $0.receive(Draft.inviteToAlice.answer(200, ["Contact: <sip:alice@127.0.0.1:5062>"]))
                $0.receive(fromCalled)
            },
            sound: {
                $0.send(.inviteToAlice)
                $0.receive(Draft.inviteToAlice.answer(200, ["Contact: <sip:alice@127.0.0.1:5062>"]))
                $0.receive(fromCalled.adding("Route", "<sip:127.0.0.1:5060;lr>"))
            }),
        RuleCase("event-missing", wrong: .subscribe.without("Event"), right: .subscribe.without("Event").adding("o", "reg")),
        RuleCase("subscription-state-missing", wrong: notify.without("Subscription-State"), right: notify),
        RuleCase("subscribe-expires-missing", wrong: .subscribe.without("Expires"), right: .subscribe),
        RuleCase(
            "subscribe-answer-expires", to: .subscribeToServer,
            wrong: .subscribeToServer.answer(200, ["Contact: <sip:127.0.0.1:5080>", "Expires: 601"]),
            right: .subscribeToServer.answer(200, ["Contact: <sip:127.0.0.1:5080>", "Expires: 600"])),
        RuleCase(
            "notify-missing",
            broken: {
                $0.send(toServer: .subscribeToServer)
                $0.receive(fromServer: .subscribeToServer.answer(200, ["Contact: <sip:127.0.0.1:5080>", "Expires: 600"]))
                $0.wait(milliseconds: 34_000)
            },
            sound: {
                $0.send(toServer: .subscribeToServer)
                $0.receive(fromServer: .subscribeToServer.answer(200, ["Contact: <sip:127.0.0.1:5080>", "Expires: 600"]))
                $0.receive(fromServer: notify)
                $0.wait(milliseconds: 34_000)
            }),
    ]

    private static let fromCalled = Draft("BYE", "sip:bob@127.0.0.1:5072", callID: "i1").with("From", "<sip:alice@home1.test>;tag=b1")
        .with("To", "<sip:bob@home1.test>;tag=a1")
    private static let notify = Draft(
        "NOTIFY", "sip:127.0.0.1:5060", callID: "s2",
        ["Event: presence", "Subscription-State: active;expires=600", "Contact: <sip:127.0.0.1:5080>"]
    ).with("From", "<sip:alice@home1.test>;tag=b1").with("To", "<sip:alice@home1.test>;tag=a1")
}
