import SansIO
import Testing

struct AddressTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"), ("010.1.02.003", "10.1.2.3"),
        ("::", "[::]"), ("::1", "[::1]"), ("[::1]", "[::1]"), ("1::", "[1::]"), ("2001:DB8::9:01", "[2001:db8::9:1]"),
        // RFC 5952: the longest run, the first of two, never a single group, no leading zeros.
        ("2001:db8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]"), ("2001:0:0:1:0:0:0:1", "[2001:0:0:1::1]"),
        ("2001:db8:0:1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]"), ("0:0:1:2:3:4:5:6", "[::1:2:3:4:5:6]"),
        ("1:2:3:4:5:6:0:0", "[1:2:3:4:5:6::]"), ("1:2:3:4:5:6:7::", "[1:2:3:4:5:6:7:0]"), ("::2:3:4:5:6:7:8", "[0:2:3:4:5:6:7:8]"),
        ("::ffff:192.0.2.10", "[::ffff:c000:20a]"), ("1:2:3:4:5:6:1.2.3.4", "[1:2:3:4:5:6:102:304]"),
        // RFC 5118 §4.10: three colons are two.
        ("[2001:db8:::192.0.2.1]", "[2001:db8::c000:201]"), ("2001:db8::192.0.2.1", "[2001:db8::c000:201]"),
    ])
    func readsAndWrites(_ text: String, _ canonical: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.text == canonical)
        #expect(IPAddress(canonical) == address)
    }

    @Test(arguments: [
        "", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4 ", "0001.2.3.4", "a.b.c.d", "example.test", ":",
        "[", "[]", "[1.2.3.4", "[::1", "::1]", "[[::1]]", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8:", ":1:2:3:4:5:6:7:8",
        "1::2::3", "::::", "1::::2", "12345::", "::g", "1::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "::1.2.3.4:5",
        "fe80::1%eth0",
        "1:", ":1", "::1:",
    ])
    func refuses(_ text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(arguments: UInt64(1)...4)
    func everyAddressComesBack(_ seed: UInt64) {
        var random = RandomSource(seed: seed)
        for _ in 0..<2000 {
            // Sparse, so that there are runs of zeros.
            var words = (random.next(), random.next())
            for group in UInt64(0)..<4 {
                if Bool.random(using: &random) { words.0 &= ~(0xFFFF << (group * 16)) }
                if Bool.random(using: &random) { words.1 &= ~(0xFFFF << (group * 16)) }
            }
            let v6 = IPAddress(high: words.0, low: words.1)
            #expect(IPAddress(v6.text) == v6)
            let v4 = IPAddress(v4: UInt32(truncatingIfNeeded: random.next()))
            #expect(IPAddress(v4.text) == v4)
        }
    }

    @Test func neverTrapsOnRandomText() {
        var random = RandomSource(seed: 77)
        let alphabet = Array("0123456789abcdefF:.[]::: g".utf8)
        for _ in 0..<50_000 {
            let text = (0..<Int.random(in: 0...24, using: &random)).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
            }
            if let address = IPAddress(text.span.bytes) { #expect(IPAddress(address.text) == address) }
        }
    }

    @Test(arguments: [
        ("10.1.2.3", "10.0.0.0", 8, true), ("11.1.2.3", "10.0.0.0", 8, false), ("10.1.2.3", "0.0.0.0", 0, true),
        ("10.1.2.3", "10.1.2.3", 32, true), ("10.1.2.3", "10.1.2.2", 32, false), ("10.1.2.3", "10.1.2.2", 31, true),
        ("10.1.2.3", "10.1.2.3", -1, false), ("2001:db8::1", "2001:db8::", 32, true), ("2001:db9::1", "2001:db8::", 32, false),
        ("2001:db8::1", "2001:db8::", 64, true), ("2001:db8:0:1::1", "2001:db8::", 64, false), ("::1", "::", 0, true),
        ("::1", "::", 127, true), ("::1", "::", 128, false), ("::1", "::1", 128, true), ("::8000:0:0:1", "::", 65, false),
        ("::a00:1", "10.0.0.0", 8, false), ("10.0.0.1", "::", 0, false),
    ])
    func prefixes(_ address: String, _ network: String, _ length: Int, _ isIn: Bool) throws {
        #expect(try #require(IPAddress(address)).isIn(#require(IPAddress(network)), prefixLength: length) == isIn)
    }

    @Test func kinds() throws {
        #expect(try #require(IPAddress("127.9.9.9")).isLoopback)
        #expect(try #require(IPAddress("::1")).isLoopback)
        #expect(try !#require(IPAddress("::127.0.0.1")).isLoopback)
        #expect(try #require(IPAddress("0.0.0.0")).isUnspecified)
        #expect(try #require(IPAddress("::")).isUnspecified)
        #expect(try #require(IPAddress("255.255.255.255")).isIPv4Broadcast)
        #expect(try !#require(IPAddress("::255.255.255.255")).isIPv4Broadcast)
    }

    @Test func endpoints() throws {
        #expect(Endpoint(address: .loopback, port: 5060).text == "127.0.0.1:5060")
        #expect(Endpoint(address: try #require(IPAddress("::1")), port: 65_535).text == "[::1]:65535")
    }

    @Test func aFlowIsASourceOrAStream() {
        let remote = Endpoint(address: .loopback, port: 4000)
        let elsewhere = Endpoint(address: .loopback, port: 4001)
        let datagram = Flow(transport: .udp, listener: 0, remote: remote)
        #expect(datagram.isSame(as: datagram))
        #expect(!datagram.isSame(as: Flow(transport: .udp, listener: 1, remote: remote)))
        #expect(!datagram.isSame(as: Flow(transport: .udp, listener: 0, remote: elsewhere)))
        let stream = Flow(transport: .tcp, listener: 0, connection: 3, remote: remote)
        #expect(stream.isSame(as: Flow(transport: .tcp, listener: 1, connection: 3, remote: elsewhere)))
        #expect(!stream.isSame(as: Flow(transport: .tcp, listener: 0, connection: 4, remote: remote)))
        let unopened = Flow(transport: .tcp, listener: 0, remote: remote)
        #expect(!unopened.isSame(as: unopened))
        #expect(!stream.isSame(as: datagram))
    }
}
