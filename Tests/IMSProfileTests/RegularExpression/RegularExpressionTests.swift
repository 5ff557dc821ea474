import Testing

@testable import IMSProfile

@Suite("POSIX extended regular expressions")
struct RegularExpressionTests {
    private func matches(_ pattern: String, _ subject: String, ignoringCase: Bool = false) throws -> Bool {
        try RegularExpression(pattern, ignoringCase: ignoringCase).matches(Array(subject.utf8))
    }

    static let found: [(pattern: String, subject: String)] = [
        (#"\+g\.oma\.sip-im([;,]|$)"#, "*;+g.oma.sip-im"),
        (#"\+g\.oma\.sip-im([;,]|$)"#, "*;+g.oma.sip-im;require"),
        (#"\+g\.oma\.sip-im([;,]|$)"#, "*;audio,*;+g.oma.sip-im,*;video"),
        (#".*\+g\.oma\.sip-im([;,=[:space:]]|$).*"#, "*;+g.oma.sip-im =\"TRUE\""),
        (#".*\+g\.oma\.sip-im([;,=[:space:]]|$).*"#, "*;+g.oma.sip-im"),
        (#"^conference\.home1\.test"#, "conference.home1.test:5060"),
        ("", ""), ("", "anything"), ("^", ""), ("$", ""), ("^$", ""), ("$^", ""), ("()", ""), ("(^)($)", ""),
        ("a|", "b"), ("(;|)x", "x"), ("^(a|)b$", "b"),
        ("^a{2}$", "aa"), ("^a{2,}$", "aaaa"), ("^a{1,3}$", "aaa"), ("^(ab){2}$", "abab"), ("x{0}y", "y"), ("^a{0,2}b$", "b"),
        ("^[]a]+$", "]a]"), ("^[^]a]$", "b"), ("^[a-c]$", "b"), ("^[-a]$", "-"), ("^[a-]$", "-"), ("^[a\\]$", "\\"),
        ("^[[:alpha:][:digit:]_-]+$", "Ab1_-"), ("^[[.-.]]$", "-"), ("^[[=a=]]$", "a"), ("^[[.].]]$", "]"), ("^[+--]$", ","),
        ("^[[.a.]-c]$", "b"), ("[[:xdigit:]]{4}", "xx0aF9"),
        (#"\[a\]\{b\}\(c\)\*\+\?\|\^\$\\\."#, #"[a]{b}(c)*+?|^$\."#), (#"sip\:bob\@home1"#, "sip:bob@home1"),
        ("}", "}"), ("]", "]"), ("a.c", "a\nc"), ("^(ü){2}$", "üü"), ("^ü+$", "üüü"), ("(^|;)q=", "q=1"), ("(^|;)q=", "a;q=1"),
        ("(a*)*b", "aab"), ("((a|b)*c)+$", "abcac"), ("a$|^b", "bc"), ("a^|b", "b"),
    ]

    @Test("is found", arguments: found)
    func isFound(_ example: (pattern: String, subject: String)) throws {
        #expect(try matches(example.pattern, example.subject))
    }

    static let notFound: [(pattern: String, subject: String)] = [
        (#"\+g\.oma\.sip-im([;,]|$)"#, "*;+g.oma.sip-im.large-message"),
        (#"\+g\.oma\.sip-im([;,]|$)"#, "*;+gxoma.sip-im"),
        (#".*\+g\.oma\.sip-im([;,=[:space:]]|$).*"#, "*;+g.oma.sip-im.large-message"),
        (#"^conference\.home1\.test"#, "chat.conference.home1.test"),
        (#"^conference\.home1\.test"#, ""),
        ("a", ""), ("a", "A"), ("^$", "x"), ("a$", "ab"), ("a$", "a\n"), ("^b", "a\nb"), ("a^b", "ab"), ("a$b", "ab"), ("^a{2}$", "aaa"),
        ("^a{2,3}$", "a"), ("^a{2,3}$", "aaaa"), ("^[^a-c]$", "b"), ("^[a\\]$", "]"), ("[[:space:]]", "abc"), ("^(ü){2}$", "ü"),
        ("x^", "x"), ("$x", "x"),
    ]

    @Test("is not found", arguments: notFound)
    func isNotFound(_ example: (pattern: String, subject: String)) throws {
        #expect(try !matches(example.pattern, example.subject))
    }

    @Test("letters of ASCII match in both cases if asked")
    func ignoresCase() throws {
        #expect(try matches("User-Agent: IM-Serv", "user-agent: im-serv/1", ignoringCase: true))
        #expect(try matches("^[a-c]+$", "aBC", ignoringCase: true))
        #expect(try !matches("^[^a-c]$", "B", ignoringCase: true))
        #expect(try !matches("ü", "Ü", ignoringCase: true))
        #expect(try matches("^[[:lower:]]$", "Q", ignoringCase: true))
    }

    static let faults: [(pattern: String, column: Int, problem: String)] = [
        ("(a)\\1", 4, "back-reference \\1"), ("\\d+", 1, "\\d is not POSIX"), ("ab\\w", 3, "\\w is not POSIX"),
        ("(?i)abc", 1, "(? is not POSIX"), ("a.*?b", 4, "a lazy quantifier is not POSIX"), ("a**", 3, "* after a quantifier"),
        ("*a", 1, "nothing before * that could be repeated"), ("a|+b", 3, "nothing before + that could be repeated"),
        ("(*a)", 2, "nothing before * that could be repeated"), ("^*", 2, "nothing before * that could be repeated"),
        ("a{x", 2, "not an interval expression"), ("a{,3}", 2, "not an interval expression"), ("a{2", 2, "not an interval expression"),
        ("a{3,2}", 2, "an interval from 3 down to 2"), ("a{256}", 3, "too many repetitions"),
        ("a{99999999999999999999}", 3, "too many repetitions"),
        ("x(a", 2, "a ( without its )"), ("a)b", 2, "a ) without its ("), ("a[bc", 2, "a [ without its ]"), ("a[", 2, "a [ without its ]"),
        ("[]", 1, "a [ without its ]"), ("[c-a]", 2, "a range that runs backwards"),
        ("[a-c-e]", 5, "a - in the middle of a bracket expression"),
        ("[[:foo:]]", 2, "unknown character class [:foo:]"), ("[[:alpha", 2, "a [: without its :]"),
        ("[[.ab.]]", 2, "unknown collating element ab"), ("[ä]", 2, "a character outside ASCII in a bracket expression"),
        ("[a-[:digit:]]", 4, "a class as the end of a range"), ("ab\\", 3, "a backslash at the end"),
        ("((a{255}){255}){255}", 1, "the expression is too large"),
        (String(repeating: "a", count: 1025), 1024, "a pattern of 1025 characters"),
        (String(repeating: "(", count: 65), 65, "groups nested more than 64 deep"),
    ]

    @Test("a fault is told with its column", arguments: faults)
    func tellsFaults(_ example: (pattern: String, column: Int, problem: String)) {
        let fault = #expect(throws: RegularExpressionFault.self) { try RegularExpression(example.pattern) }
        #expect(fault?.column == example.column)
        #expect(fault?.problem == example.problem)
        #expect(fault?.remedy.isEmpty == false)
    }

    @Test("repeating nothing costs nothing")
    func repeatsNothing() throws {
        let nested = String(repeating: "(", count: 60) + String(repeating: "){255}", count: 60)
        #expect(try matches("^" + nested + "$", ""))
        #expect(try !matches("^" + nested + "$", "a"))
    }

    @Test("only the first 8 KiB of a subject are looked at, and their end is not its end")
    func looksAtTheFirstPart() throws {
        let long = String(repeating: "a", count: 8192)
        #expect(try matches("a$", long))
        #expect(try !matches("a$", long + "a"))
        #expect(try !matches("b", long + "b"))
        #expect(try matches("^a{200}", long + "b"))
    }

    @Test("what makes others backtrack for ever is answered", arguments: ["((a*)*)*b", "(a|a)*b", "(a|aa)+$b", "(a?){200}a{200}b"])
    func staysLinear(_ pattern: String) throws {
        #expect(try !matches(pattern, String(repeating: "a", count: 8192)))
    }

    @Test("a pattern whose automaton would be too large is simulated, with the same answers")
    func simulatesLargeAutomata() throws {
        let tree = try parse("(a|b)*a(a|b){12}$")
        #expect(DeterministicAutomaton(simulating: try NondeterministicAutomaton(accepting: tree)) == nil)
        #expect(try matches("(a|b)*a(a|b){12}$", "bbbabbbbbbbbbbbb"))
        #expect(try !matches("(a|b)*a(a|b){12}$", "bbbbbbbbbbbbbbbb"))
        #expect(try !matches("(a|b)*a(a|b){12}$", String(repeating: "ab", count: 5000)))
    }
}

func parse(_ pattern: String) throws -> SyntaxTree {
    var parser = try PatternParser(pattern, ignoringCase: false)
    return try parser.parse()
}

extension RegularExpression {
    func matches(_ subject: [UInt8]) -> Bool { matches(subject.span.bytes) }
}

extension NondeterministicAutomaton {
    func matches(_ subject: [UInt8]) -> Bool { matches(subject.span.bytes, isCut: false) }
}
