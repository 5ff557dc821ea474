// The table of keys of fault rules: in a topology, in a step of a scenario, and over HTTP.

import JSONText

enum FaultKeys {
    static let method = Key("method", .method, "Requests with this method, and their responses.")
    static let status = Key(
        "status", .statusRange, "Responses with this status, such as 200; 4xx is all of a class. Left out: requests and responses.")
    static let peer = Key("peer", .text, "The node at the other end by its name, or by its address such as 127.0.0.1:5080.")
    static let direction = Key("direction", .words([("in", false), ("out", true)]), "Seen from the core; in unless given.")
    static let transport = Key("transport", Codec<TransportName>.word, "Messages that go by this transport.")
    static let callID = Key("call_id", .text, "Messages with this Call-ID.")
    static let nth = Key("nth", .integer(1...1_000_000_000), "The first to be hit, of those that match; 1 unless given.")
    static let times = Key("times", .integer(1...1_000_000_000), "How many from that one on are hit. Left out: all.")
    static let probability = Key("probability", .probability, "How likely each of those is hit, from 0 to 1. Left out: surely.")
    static let seed = Key("seed", .integer(0...UInt64.max), "What decides where chance does.")
    static let action = Key("action", Codec<FaultAction.Word>.word, "What befalls a message.")
    static let delay = Key("delay", .milliseconds(0...31_536_000_000), "How long a message is held back, with 'action: delay'.")
    static let copies = Key("copies", .integer(1...100), "How many more of it there are, with 'action: duplicate'; 1 unless given.")
    static let behind = Key(
        "behind", .integer(1...1000),
        "How many that match pass it first, with 'action: reorder'; 1 unless given. It waits for 500ms at most.")
    static let answerStatus = Key("answer_status", .integer(100...699), "The status of the answer, with 'action: answer'.")
    static let answerHeaders = Key(
        "answer_headers", .names("header", .token("header", "Retry-After"), .oneOrMore(.text)), "Header fields of the answer.")
    static let set = Key(
        "set", .names("header", .token("header", "Expires"), .oneOrMore(.text)),
        "Header fields that a message gets in place of its own, with 'action: header'.")
    static let remove = Key(
        "remove", .oneOrMore(.token("header", "Accept-Contact")), "Header fields that it loses, with 'action: header'.")
    static let bytes = Key(
        "bytes", .integer(0...65_535),
        "With 'action: corrupt' how many bytes become others (1 unless given), with 'action: cut' how many are left (else half).")

    static let shape = ObjectShape(
        what: "a fault",
        keys: [
            method.any, status.any, peer.any, direction.any, transport.any, callID.any, nth.any, times.any, probability.any, seed.any,
            action.any, delay.any, copies.any, behind.any, answerStatus.any, answerHeaders.any, set.any, remove.any, bytes.any,
        ])
}

enum AdvanceKeys {
    static let by = Key("by", .milliseconds(0...315_360_000_000), "How far the clock moves, such as 1h.")
    static let shape = ObjectShape(what: "an advance", keys: [by.any])
}

extension Codec where Value == ClosedRange<UInt16> {
    /// One status, or a class of them.
    static var statusRange: Codec {
        .scalar([.init("type", .list([.text("integer"), .text("string")])), .init("pattern", .text("^[1-6]([0-9][0-9]|xx)$"))]) {
            text throws(Wrong) in
            if text.count == 3, text.hasSuffix("xx"), let digit = UInt16(text.prefix(1)), 1...6 ~= digit {
                return digit * 100...digit * 100 + 99
            }
            guard HostText.isDigits(text), let status = UInt16(text), 100...699 ~= status else {
                throw Wrong("'\(text)' is no status from 100 to 699; write one such as 200, or 4xx for all of a class")
            }
            return status...status
        }
    }
}

extension Codec where Value == Double {
    static var probability: Codec {
        .scalar([.init("type", .text("number")), .init("minimum", .integer(0)), .init("maximum", .integer(1))]) { text throws(Wrong) in
            guard let value = Double(text), 0...1 ~= value else { throw Wrong("'\(text)' is no number from 0 to 1; write one such as 0.1") }
            return value
        }
    }
}
