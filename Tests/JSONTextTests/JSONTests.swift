import JSONText
import Testing

@Suite struct JSONTests {
    @Test(arguments: [
        #"{"event":"ready","pid":4711,"sip":["udp://127.0.0.1:5060"],"x":null,"y":[true,false],"z":-1.5}"#,
        #"[]"#, #"{}"#, #""a\"b\\c\n\u0001""#,
    ])
    func whatIsReadIsWrittenAsItWas(text: String) { #expect(JSON(text.utf8)?.written == text) }

    @Test func escapesAreDecoded() {
        #expect(JSON(#"  "\u00fc\ud83d\ude00\/\t" "#.utf8) == .text("ü😀/\t"))
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\"}", "{\"a\":1,}", "nul", "1 2", "\"\n\"", #""\ud800""#, #""\x""#, "+1", ".5", "\"abc",
        String(repeating: "[", count: 100_000),
    ])
    func anythingElseIsRefused(text: String) { #expect(JSON(text.utf8) == nil) }

    /// Numbers as RFC 8259 §6 has them, kept to the digit.
    @Test(arguments: [
        ("0", JSON.integer(0)), ("-17", .integer(-17)), ("1.50", .number("1.50")), ("1e3", .number("1e3")), ("-0.1E+2", .number("-0.1E+2")),
        ("9223372036854775808", .number("9223372036854775808")),
    ])
    func numbersAreKept(text: String, value: JSON) {
        #expect(JSON(number: text) == value)
        #expect(JSON(text.utf8) == value)
        #expect(value.written == text)
    }

    @Test(arguments: ["", "-", "01", "1.", ".1", "1e", "1e+", "+1", "0x1", "1 ", "Infinity", "nan"])
    func otherTextsAreNoNumbers(text: String) { #expect(JSON(number: text) == nil) }

    @Test func fractionsAreWrittenUnlessThereAreNone() {
        #expect(JSON.number(0.25).written == "0.25")
        #expect(JSON.number(.infinity) == .null)
    }

    /// Nothing that could be taken for the end of a line stands in a text.
    @Test(arguments: [
        ("a\"b\\c", #"a\"b\\c"#), ("\r\n\t", #"\r\n\t"#), ("\u{0}\u{1f}\u{7f}", #"\u0000\u001f\u007f"#),
        ("\u{2028}\u{2029}", #"\u2028\u2029"#), ("zoë 📞", "zoë 📞"),
    ])
    func textsAreEscaped(text: String, written: String) {
        #expect(JSON.text(text).written == "\"\(written)\"")
        #expect(JSON.escaped(text) == written)
    }

    @Test func membersAreAskedForByTheirName() {
        let value = JSON.members(["a": .integer(1), "b": nil, "c": .list([.text("x"), .null])])
        #expect(value.written == #"{"a":1,"c":["x",null]}"#)
        #expect(value["a"]?.integer == 1)
        #expect(value["b"] == nil)
        #expect(value["c"]?.list?.first?.text == "x")
        #expect(value["c"]?["x"] == nil)
    }

    @Test func forPeopleItIsIndented() {
        let value = JSON.members(["a": .list([.integer(1), .boolean(true)]), "b": .list([.members(["c": .object([])])])])
        #expect(
            value.indented() == """
                {
                  "a": [1, true],
                  "b": [
                    {
                      "c": {}
                    }
                  ]
                }
                """)
    }
}
