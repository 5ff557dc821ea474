import Testing

@testable import SIPLadder

@Suite struct DisplayWidthTests {
    @Test(arguments: [
        ("", 0), ("alice", 5), ("é", 1), ("e\u{301}", 1), ("日本", 4), ("한글", 4), ("\u{1112}\u{1161}\u{11AB}", 2), ("ｱ", 1), ("Ａ", 2),
        ("😀", 2), ("👩‍👩‍👧", 2), ("🇩🇪", 2), ("☎", 1), ("☎\u{FE0F}", 2), ("│─╌>…", 5), ("\u{200B}", 0), ("ﷺ", 1),
    ])
    func aTextTakesSoManyColumns(text: String, columns: Int) {
        #expect(DisplayWidth.of(text) == columns)
    }

    @Test(arguments: 0...12)
    func whatIsCutFits(columns: Int) {
        for text in ["日本語の名前", "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}", "abcdefghijklmnop", "a😀b😀c😀", "short"] {
            let cut = DisplayWidth.cut(text, to: columns)
            #expect(DisplayWidth.of(cut) <= columns)
            if DisplayWidth.of(text) <= columns { #expect(cut == text) } else if columns > 0 { #expect(cut.hasSuffix("…")) }
        }
    }

    @Test func aTerminalIsNotToldWhatToDo() {
        #expect(DisplayWidth.oneLine("a\u{1B}[31mb\r\nc\td\u{7F}\u{9B}e\u{202E}f\u{2028}g") == "a·[31mb·c·d··e·f·g")
        #expect(DisplayWidth.oneLine("日本 👩‍👩‍👧") == "日本 👩‍👩‍👧")
    }
}
