// How messages are written.

import SansIO

extension RuleCase {
    static let messages: [RuleCase] = [
        RuleCase(
            "malformed-message", wrong: .options.with("To", "\"bob <sip:bob@home1.test>"),
            right: .options.with("To", "\"bob\" <sip:bob@home1.test>")),
        RuleCase("header-missing", wrong: .options.without("Call-ID"), right: .options.without("Call-ID").adding("i", "c1")),
        RuleCase(
            "header-repeated", wrong: .options.adding("CSeq", "1 OPTIONS"),
            right: .options.adding("Supported", "path").adding("Supported", "gruu")),
        RuleCase("cseq-method", wrong: .options.with("CSeq", "1 INVITE"), right: .options.with("CSeq", "7 OPTIONS")),
        RuleCase("cseq-range", wrong: .options.with("CSeq", "2147483648 OPTIONS"), right: .options.with("CSeq", "2147483647 OPTIONS")),
        RuleCase(
            "content-length-missing", broken: { $0.receive(Draft.options.adding("No-Length", "x"), over: .tcp) },
            sound: {
                $0.receive(.options, over: .tcp)
                $0.receive(Draft.options.next(2, ["No-Length: x"]), over: .ws)
                $0.receive(Draft.options.next(3, ["No-Length: x"]))
            }),
        RuleCase("content-length-wrong", wrong: .message.with("Content-Length", "3"), right: .message.with("Content-Length", "5")),
        RuleCase("content-length-wrong", wrong: .message.with("Content-Length", "9"), right: .message),
        RuleCase(
            "via-branch-cookie", wrong: .options.with("Via", "SIP/2.0/UDP 127.0.0.1:5062;branch=1"),
            right: .options.with("v", "SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bK1").without("Via")),
        RuleCase(
            "from-tag-missing", wrong: .options.with("From", "<sip:alice@home1.test>"),
            right: .options.with("From", "sip:alice@home1.test;tag=1")),
        RuleCase("to-tag-outside-dialog", wrong: .register.with("To", "<sip:alice@home1.test>;tag=1"), right: .register),
        RuleCase("max-forwards-missing", wrong: .options.without("Max-Forwards"), right: .options),
        RuleCase("max-forwards-initial", wrong: .options.with("Max-Forwards", "10"), right: .options.with("Max-Forwards", "70")),
        RuleCase(
            "content-type-missing", wrong: .message.without("Content-Type"), right: .message.without("Content-Type").with("c", "text/plain")
        ),
        RuleCase(
            "multipart-boundary", wrong: .message.with("Content-Type", "multipart/mixed"),
            right: .message.with("Content-Type", "multipart/mixed;boundary=b")),
        RuleCase(
            "contact-missing", wrong: .invite.without("Contact"), right: .invite.without("Contact").with("m", "<sip:alice@127.0.0.1:5062>")),
        RuleCase("contact-missing", wrong: .subscribe.adding("Contact", "<sip:alice@127.0.0.1:5063>"), right: .subscribe),
        RuleCase(
            "instance-form", wrong: .register.with("Contact", "<sip:alice@127.0.0.1>;+sip.instance=\"urn:uuid:1\""),
            right: .register.with("Contact", "<sip:alice@127.0.0.1>;+sip.instance=\"<urn:uuid:1>\"")),
        RuleCase(
            "request-too-large", broken: { $0.receive(Draft.options.adding("Subject", String(repeating: "x", count: 1300))) },
            sound: {
                $0.receive(Draft.options.adding("Subject", String(repeating: "x", count: 1300)), over: .tcp)
                $0.receive(Draft.options.next(2, ["Subject: \(String(repeating: "x", count: 900))"]))
            }),
        RuleCase(
            "date-form", wrong: .message.with("Date", "Sat, 13 Nov 2010 23:29:00 EST"),
            right: .message.with("Date", "Sat, 13 Nov 2010 23:29:00 GMT")),
        RuleCase("expires-form", wrong: .register.with("Expires", "4294967296"), right: .register.with("Expires", "4294967295")),
        RuleCase("accept-contact-form", wrong: .message.adding("Accept-Contact", "+g.x"), right: .message.adding("a", "*;+g.x")),
        RuleCase("message-contact", wrong: .message.adding("Contact", "<sip:alice@127.0.0.1>"), right: .message),
        RuleCase(
            "message-too-large", broken: { $0.receive(Draft.message.with(body: String(repeating: "x", count: 1300), type: "text/plain")) },
            sound: {
                $0.receive(Draft.message.with(body: String(repeating: "x", count: 1300), type: "text/plain"), over: .tcp)
                $0.receive(Draft.message.next(2).with(body: String(repeating: "x", count: 900), type: "text/plain"))
            }),
        RuleCase(
            "message-answer-contact", to: .toAlice, wrong: .toAlice.answer(200, ["Contact: <sip:alice@127.0.0.1>"]),
            right: .toAlice.answer(200)),
        RuleCase(
            "message-answer-body", to: .toAlice, wrong: .toAlice.answer(200).with(body: "thanks", type: "text/plain"),
            right: .toAlice.answer(200)),
    ]
}
