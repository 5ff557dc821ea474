import Testing
import XMLTree

@Suite struct XMLTreeTests {
    @Test func elementsAttributesAndTextCarryTheirNamespacesAndPlaces() throws {
        let document = """
            <?xml version="1.0" encoding="UTF-8"?>
            <!-- before --><settings xmlns="urn:a" xmlns:im="urn:b"
               id='one' im:id="two">
              é<im:state active="true"/>&lt;<![CDATA[<&>]]>&#x41;<plain xmlns="">x</plain>
            </settings><?after it?>
            """
        let root = try XMLTree.parse(Array(document.utf8))
        #expect(root.name == "settings" && root.namespace == "urn:a")
        #expect(root.position == XMLPosition(line: 2, column: 16))
        #expect(root.attribute("id") == "one" && root.attribute("id", namespace: "urn:b") == "two")
        #expect(root.attributes.count == 2)
        let state = try #require(root.element("state", namespace: "urn:b"))
        #expect(state.attribute("active") == "true" && state.position == XMLPosition(line: 4, column: 4))
        #expect(root.element("plain", namespace: "")?.text == "x")
        #expect(root.text == "\n  é<<&>A\n" && root.trimmedText == "é<<&>A")
        #expect(root.children.count == 5)
        #expect(root.elements.map(\.name) == ["state", "plain"])
    }

    @Test func lineEndsAndAttributeWhiteSpaceAreNormalised() throws {
        let root = try XMLTree.parse(Array("\u{FEFF}<a b='1\r\n2\t3&#10;4'>x\r\ny\rz</a>".utf8))
        #expect(root.attribute("b") == "1 2 3\n4" && root.text == "x\ny\nz")
        #expect(root.position == XMLPosition(line: 1, column: 1))
    }

    @Test(arguments: [
        ("", "1:1: the document has no root element"),
        ("  text", "1:3: the document has no root element"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "1:1: a document type declaration is not taken"),
        (
            "<?xml version='1.0'?>\n<!-- x -->\n <!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
            "3:2: a document type declaration is not taken"
        ),
        ("<a>&b;</a>", "1:4: the entity '&b;' is not declared"),
        ("<a>&b</a>", "1:4: '&' begins no reference; write &amp;"),
        ("<a>&#0;</a>", "1:4: '&#0;' is no character of XML"),
        ("<a>&#+65;</a>", "1:4: '&#+65;' is no character of XML"),
        ("<a><b></a>", "1:7: '<b>' is closed by '</a>'"),
        ("<a><b/>", "1:8: the document ends before '</a>'"),
        ("</a>", "1:1: '</a>' closes nothing"),
        ("<a/><b/>", "1:5: something follows the root element"),
        ("<a b='1' b='2'/>", "1:10: the attribute 'b' stands here twice"),
        ("<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>", "1:36: the attribute 'q:b' stands here twice"),
        ("<a b='1'c='2'/>", "1:9: white space is missing before 'c'"),
        ("<a b=1/>", "1:6: an attribute's value stands in quotes"),
        ("<a b='<'/>", "1:7: '<' may not stand in an attribute's value; write &lt;"),
        ("<a b='1/>", "1:6: this attribute's value does not end"),
        ("<p:a/>", "1:2: the prefix 'p' is not declared"),
        ("<a p:b='1'/>", "1:4: the prefix 'p' is not declared"),
        ("<a xmlns:p=''/>", "1:4: 'xmlns:p' may not be declared so"),
        ("<a:b:c/>", "1:2: 'a:b:c' is not a name"),
        ("<1/>", "1:2: the name of an element is missing"),
        ("<a>]]></a>", "1:4: ']]>' may not stand in text; write ]]&gt;"),
        ("<a><![CDATA[x</a>", "1:4: this CDATA section does not end"),
        ("<a><!-- x</a>", "1:4: this comment does not end"),
        ("<a><!-- x -- y --></a>", "1:11: '--' may not stand in a comment"),
        ("<a><?p x</a>", "1:4: this processing instruction does not end"),
        (" <?xml version='1.0'?><a/>", "1:2: an XML declaration stands at the very start"),
        ("<?xml version='1.0' encoding='UTF-7'?><a/>", "1:21: the encoding 'UTF-7' is not read; only UTF-8 is"),
        ("<?xml encoding='UTF-8' version='1.0'?><a/>", "1:24: 'version' may not stand here in an XML declaration"),
        ("<a>\u{1}</a>", "1:4: the character U+1 may not stand in XML"),
        ("<a\n  b", "2:4: an attribute needs '=' and a value"),
        ("<a", "1:3: the tag '<a' does not end with '>'"),
    ]) func whatIsNotWellFormedIsRefusedWhereItStands(document: String, fault: String) {
        #expect(faultOf(Array(document.utf8)) == fault)
    }

    @Test func otherEncodingsAreRefused() {
        #expect(faultOf([0xFF, 0xFE, 0x3C, 0x00]) == "1:1: the document is not in UTF-8, the only encoding that is read")
        #expect(faultOf(Array("<a>".utf8) + [0xC3] + Array("</a>".utf8)) == "1:4: the bytes here are not UTF-8")
    }

    @Test func limitsHold() throws {
        let limits = XMLLimits(bytes: 200, depth: 3, nodes: 6)
        _ = try XMLTree.parse(Array("<a><b><c/></b></a>".utf8), limits: limits)
        #expect(faultOf(Array("<a><b><c><d/></c></b></a>".utf8), limits) == "1:10: elements are nested deeper than 3")
        #expect(faultOf(Array("<a>1<b/>2<b/>3<b/></a>".utf8), limits)?.contains("more than 6") == true)
        #expect(faultOf(Array("<a b='' c='' d='' e='' f='' g=''/>".utf8), limits)?.contains("more than 6") == true)
        #expect(faultOf(Array("<a>\(String(repeating: "x", count: 200))</a>".utf8), limits)?.contains("limit of 200") == true)
        let prefixes = (0..<100).map { "xmlns:p\($0)='u'" }.joined(separator: " ")
        #expect(faultOf(Array("<a \(prefixes)/>".utf8))?.hasSuffix("more than 64 prefixes are declared here") == true)
    }

    /// Cutting a document anywhere, or flipping a byte of it, ends in a tree or a fault, never in a trap.
    @Test func brokenDocumentsEndInAFault() {
        let document = Array("<?xml version='1.0'?><a xmlns:p='u' b=\"1&amp;\"><!--c--><p:d>é&#65;<![CDATA[x]]></p:d><?e f?></a>".utf8)
        for end in document.indices { #expect(faultOf(Array(document[..<end])) != nil) }
        for place in document.indices {
            for byte: UInt8 in [0, 0x22, 0x26, 0x3B, 0x3C, 0x3E, 0x2F, 0x80, 0xFF] {
                var changed = document
                changed[place] = byte
                _ = faultOf(changed)
            }
        }
    }

    @Test func escapedTextReadsBack() throws {
        let text = "<a href=\"x\">&amp; é\r\n\t]]>"
        let root = try XMLTree.parse(Array("<a b=\"\(XMLTree.escaped("x\"<y>&"))\">\(XMLTree.escaped(text))</a>".utf8))
        #expect(root.text == text && root.attribute("b") == "x\"<y>&")
        #expect(XMLTree.escaped("a\u{0}b") == "a\u{FFFD}b")
    }

    private func faultOf(_ document: [UInt8], _ limits: XMLLimits = XMLLimits()) -> String? {
        do throws(XMLFault) {
            _ = try XMLTree.parse(document, limits: limits)
            return nil
        } catch {
            return error.description
        }
    }
}
