// Every fault with its place, all of a file in one go.
import Testing
import Topology

@Suite struct FaultTests {
    @Test func allFaultsComeInOneGoInTheOrderOfTheirPlaces() {
        let text = """
            domian: home1.test
            core:
              lisen: [udp://127.0.0.1:5060]
              authentication: diggest
              trace: many
              expires: {min: 60, default: 30, max: 50s}
            application_servers:
              im: {url: "sip:127.0.0.1:5080", feature_tags: +g.oma.sip-im}
            subscribers:
              alice: {password: x, application_servers: [imm]}
              bob: {}
            """
        #expect(
            faults(text) == [
                "1:1: error: unknown key 'domian' in the topology; write 'domain'",
                "3:3: error: unknown key 'lisen' in the core; write 'listen'",
                "4:19: error: 'diggest' is not known here; write 'digest'",
                "5:10: error: 'many' is not a whole number from 0 to 100000000; write one",
                "6:18: error: min 60 is more than max 50; write min <= default <= max",
                "8:8: error: unknown key 'url' in an application server; write 'uri'",
                "8:49: error: 'feature_tags' is a list; write it in brackets: [+g.oma.sip-im]",
                "10:46: error: no application server is called 'imm'; write 'im'",
                "11:8: error: the subscriber has no password to be challenged for; write 'password: ...', or 'authentication: none' if none is asked",
            ])
    }

    @Test func aSyntaxErrorIsReportedAlone() {
        let found = faults("domian: x\ncore: [\nsubscribers: {a: {}}\n")
        #expect(
            found.count == 1
                && found[0]
                    == "4:1: error: this is not YAML: did not find expected ',' or ']' while parsing a flow sequence (line 2, column 7); mend the syntax here or just before",
            "\(found)")
        #expect(faults("\tdomain: x").count == 1)
        #expect(faults("domain: a.test\n---\ndomain: b.test\n").count == 1)
        #expect(
            faults("domain: \u{1}\n") == [
                "1:9: error: this character may not stand in YAML (control characters are not allowed); write it as an escape in double quotes"
            ])
        #expect(faults("a: &x [*x]").count == 1)
        #expect(faults(String(repeating: "[", count: 100_000)).count == 1)
        #expect(faults("") == ["1:1: error: the file is empty; write at least 'domain: home1.test'"])
        #expect(faults("# nothing\n") == ["1:1: error: the file is empty; write at least 'domain: home1.test'"])
        #expect(faults("- a\n") == ["1:1: error: 'the topology' is a map; write keys and values below it, as in {domain: ...}"])
    }

    @Test func keysThatStandTwiceAreAllReportedBesideTheRest() {
        let text = """
            domain: a.test
            core: {trace: 1, trace: 2, trase: 3}
            subscribers:
              "alice": {password: x}
              bob: {password: x, password: y, 'password': z}
              alice: {password: y}
            domain: b.test
            """
        #expect(
            faults(text) == [
                "2:18: error: the key 'trace' stands here already (line 2); write it once",
                "2:28: error: unknown key 'trase' in the core; write 'trace'",
                "5:22: error: the key 'password' stands here already (line 5); write it once",
                "5:35: error: the key 'password' stands here already (line 5); write it once",
                "6:3: error: the key 'alice' stands here already (line 4); write it once",
                "7:1: error: the key 'domain' stands here already (line 1); write it once",
            ])
    }

    @Test func columnsCountCharacters() {
        #expect(
            faults("\u{FEFF}domain: a.test\ncore: {http_token: \"äöü€🎉\", trase: 1}") == [
                "2:29: error: unknown key 'trase' in the core; write 'trace'"
            ])
    }

    @Test func aTreeOfAliasesIsRefusedBeforeItGrows() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...12 { text += "a\(level): &a\(level) [\((0..<10).map { _ in "*a\(level - 1)" }.joined(separator: ", "))]\n" }
        #expect(faults(text).count == 1 && faults(text)[0].contains("means more than"))
    }

    @Test(arguments: [
        // Addresses
        (
            "core: {listen: [udp//127.0.0.1:5060]}",
            "2:17: error: 'udp//127.0.0.1:5060' names no transport; write udp://127.0.0.1:5060 or tcp://127.0.0.1:5060"
        ),
        ("core: {listen: [upd://127.0.0.1:5060]}", "2:17: error: 'upd' is no transport; write 'udp'"),
        (
            "core: {listen: [udp://localhost:5060]}",
            "2:17: error: 'localhost' is no address; write udp://127.0.0.1:5060, for a name says nothing about which address is meant"
        ),
        (
            "core: {listen: ['udp://::1:5060']}",
            "2:17: error: '::1:5060' is no address and port; write one such as udp://127.0.0.1:5060 or udp://[::1]:5060"
        ),
        ("core: {listen: ['udp://127.0.0.1']}", "2:17: error: '127.0.0.1' has no port; write udp://127.0.0.1:5060, or :0 for any free one"),
        ("core: {listen: ['udp://127.0.0.1:65536']}", "2:17: error: '65536' is no port; write a number from 0 to 65535"),
        ("core: {listen: []}", "2:16: error: 'listen' is empty; write at least one, or leave the key out"),
        (
            "core: {listen: [udp://127.0.0.1:5060, udp://127.0.0.1:5060]}",
            "2:39: error: the core listens here already; write each address once"
        ),
        (
            "core: {listen: ['udp://0.0.0.0:5060']}",
            "2:17: error: 0.0.0.0 is no address that others could answer to; write core.advertise too, or listen on the address itself"
        ),
        (
            "core: {listen: ['udp://[::]:5060']}",
            "2:17: error: :: is no address that others could answer to; write core.advertise too, or listen on the address itself"
        ),
        ("core: {http: 127.0.0.1:5060}", "2:14: error: the core takes SIP over TCP here already; write another port"),
        ("lab: {http: 127.0.0.1:5060}", "2:13: error: the core takes SIP over TCP here already; write another port"),
        (
            "application_servers: {im: {uri: 'sip:127.0.0.1', feature_tags: [+a], run: im-server}}",
            "2:33: error: the core listens at 127.0.0.1:5060 itself; write another port for 'im', or 0 for any free one"
        ),
        (
            "core: {http: 0.0.0.0:8080}",
            "2:14: error: 0.0.0.0 is not loopback, and whoever reaches it could steer the lab; write core.http_token too, or 127.0.0.1"
        ),
        (
            "lab: {http: 192.0.2.1:8080}",
            "2:13: error: 192.0.2.1 is not loopback, and whoever reaches it could steer the lab; write lab.http_token too, or 127.0.0.1"
        ),
        ("core: {http: 8080}", "2:14: error: '8080' is a port without an address; write 127.0.0.1:8080"),
        ("core: {advertise: '192.0.2.7:5060'}", "2:19: error: '192.0.2.7:5060' is no address; write one such as 192.0.2.7, without a port"),
        ("core: {trusted: [10.0.0.0/33]}", "2:18: error: '/33' is no length of a prefix of 10.0.0.0; write a number from 0 to 32"),
        ("core: {trusted: [10.0.0/8]}", "2:18: error: '10.0.0/8' is no block of addresses; write one such as 10.0.0.0/8 or 2001:db8::/32"),
        ("core: {hosts: {im.home1.test: 127.0.0.1}}", "2:31: error: '127.0.0.1' has no port; write 127.0.0.1:5060, or :0 for any free one"),
        ("core: {hosts: {im_home1: '127.0.0.1:1'}}", "2:16: error: 'im_home1' is no domain name; write one such as home1.test"),
        // Numbers, durations, words
        ("core: {trace: -1}", "2:15: error: '-1' is not a whole number from 0 to 100000000; write one"),
        ("core: {udp_size_limit: 65536}", "2:24: error: '65536' is not a whole number from 0 to 65535; write one"),
        ("core: {trace_bytes: 64MB}", "2:21: error: '64MB' is no number of bytes up to 1099511627776; write one such as 67108864 or 64MiB"),
        (
            "core: {expires: {min: 0}}",
            "2:23: error: '0' is not whole seconds from 1 to 4294967295; write a number of seconds, or a duration such as 1h"
        ),
        (
            "core: {expires: {min: 500ms}}",
            "2:23: error: '500ms' is not whole seconds from 1 to 4294967295; write a number of seconds, or a duration such as 1h"
        ),
        ("core: {expires: {default: 10}}", "2:27: error: default 10 is not between min 60 and max 600000; write min <= default <= max"),
        ("core: {registrar: sip}", "2:19: error: 'sip' is not known here; write one of ims, rfc3261"),
        ("core: {digest_algorithms: [MD5, MD5]}", "2:33: error: 'MD5' is offered already; write each algorithm once"),
        ("core: {digest_algorithms: [sha256]}", "2:28: error: 'sha256' is not known here; write 'SHA-256'"),
        (
            "core: {seed: 18446744073709551616}",
            "2:14: error: '18446744073709551616' is not a whole number from 0 to 18446744073709551615; write one"
        ),
        ("core: {limits: {kept_bytes: 1KiB}}", "2:29: error: 1024 bytes are too few to work with; write 1MiB or more"),
        ("core: {timers: {t1: 5s, t2: 4s}}", "2:21: error: t1 5000ms is more than t2 4000ms; write t1 <= t2"),
        ("core: {timers: {t2: 100ms}}", "2:21: error: t1 500ms is more than t2 100ms; write t1 <= t2"),
        ("core: {timers: {t1: 500}}", "2:21: error: '500' has no unit; write 500s or 500ms"),
        ("core: {timers: {t4: 0ms}}", "2:21: error: '0ms' is out of range; write a duration from 1ms to 1h"),
        ("core: {timers: {timerc: 3m}}", "2:17: error: unknown key 'timerc' in timers; write 'timer_c'"),
        ("core: {recursion: yes}", "2:19: error: 'yes' is neither true nor false; write true"),
        ("core: {limits: {transactions: 0}}", "2:31: error: '0' is not a whole number from 1 to 100000000; write one"),
        ("core: {trace: [1]}", "2:15: error: 'trace' is one value, not a list; write it without brackets and dashes"),
        ("core: {trace: {a: 1}}", "2:15: error: 'trace' is one value, not a map; write the value alone"),
        ("core: {trace: }", "2:15: error: 'trace' has no value; write one, or leave the key out"),
        ("core: 5060", "2:7: error: 'core' is a map; write keys and values below it, as in {listen: ...}"),
        ("networks: {home2.test: {uri: 'sip:127.0.0.1:6060', trusted: yes}}", "2:61: error: 'yes' is neither true nor false; write true"),
        // Application servers and networks
        ("application_servers: {im: {uri: 127.0.0.1:5080}}", "2:33: error: '127.0.0.1:5080' is no SIP URI; write sip:127.0.0.1:5080"),
        ("application_servers: {im: {uri: 'sip:127.0.0.1:x'}}", "2:33: error: 'x' is no port; write a number from 0 to 65535"),
        ("application_servers: {im: {uri: 'sip:127.0.0.1;transport=tpc'}}", "2:33: error: 'tpc' is no transport; write 'tcp'"),
        (
            "application_servers: {im: {uri: 'sip:a b'}}",
            "2:33: error: 'sip:a b' names no host; write a URI such as sip:127.0.0.1:5080 or sip:[::1]:5080"
        ),
        (
            "application_servers: {im: {uri: 'sip:127.0.0.1:0'}}",
            "2:33: error: port 0 asks for any free port, and here nothing is started that could take one; write the server's port"
        ),
        (
            "application_servers: {im: {uri: 'sip:127.0.0.1:0', run: im-server}}",
            "2:33: error: port 0 is chosen by 'sipcore lab' alone; write the server's port"
        ),
        (
            "application_servers: {im: {uri: 'sip:[::1]:5080'}}",
            "2:33: error: the core has no IPv6 listener on UDP to send from; add one such as udp://[::1]:5060 to core.listen, or write ;transport=tcp"
        ),
        (
            "networks: {home2.test: {uri: 'sip:0.0.0.0:6060'}}",
            "2:30: error: 0.0.0.0 is no address to send to; write 127.0.0.1, or the server's own"
        ),
        (
            "networks: {home1.test: {uri: 'sip:127.0.0.1:6060'}}",
            "2:12: error: 'home1.test' is the home network itself; write another domain, or leave it out"
        ),
        (
            "application_servers: {im: {uri: 'sip:127.0.0.1:1', feature_tags: [g.oma.sip-im]}}",
            "2:67: error: a feature tag of another tree than RFC 3840's begins with '+'; write +g.oma.sip-im"
        ),
        (
            "application_servers: {im: {uri: 'sip:127.0.0.1:1', feature_tags: [adio]}}",
            "2:67: error: 'adio' is no feature tag of RFC 3840; write 'audio', or +adio for one of another tree"
        ),
        (
            "application_servers: {im: {uri: 'sip:127.0.0.1:1', feature_tags: [+a=b]}}",
            "2:67: error: a feature tag stands here without a value; write +a"
        ),
        ("application_servers: {im: {uri: 'sip:127.0.0.1:1', answer_within: 2}}", "2:67: error: '2' has no unit; write 2s or 2ms"),
        (
            "application_servers: {im: {uri: 'sip:127.0.0.1:1', answer_within: 2 weeks}}",
            "2:67: error: '2 weeks' is no duration; write a whole number and a unit, such as 700ms, 2s, 1h or 7d"
        ),
        (
            "application_servers: {im: {uri: 'sip:127.0.0.1:1', answer_within: 2d}}",
            "2:67: error: '2d' is out of range; write a duration from 1ms to 1h"
        ),
        (
            "application_servers: {im: {uri: 'sip:127.0.0.1:1', run: im-sever}}",
            "2:57: error: 'im-sever' is not known here; write 'im-server'"
        ),
        (
            "application_servers: {im: {uri: 'sip:127.0.0.1:1', run: im-server, command: [x]}}",
            "2:68: error: 'command' and 'run' exclude each other; write one of them"
        ),
        (
            "application_servers: {im: {uri: 'sip:127.0.0.1:1', command: ./x --y}}",
            "2:61: error: 'command' is a list; write it in brackets: [./x --y]"
        ),
        (
            "application_servers: {im: {uri: 'sip:127.0.0.1:1', env: {A: b}}}",
            "2:52: error: 'env' belongs to a program of your own; write 'command: [PROGRAM, ARGUMENT, ...]' too, or leave it out"
        ),
        (
            "application_servers: {im: {uri: 'sip:127.0.0.1:1', database: x}}",
            "2:52: error: 'database' is the built-in server's; write 'run: im-server' too, or leave it out"
        ),
        (
            "application_servers: {core: {uri: 'sip:127.0.0.1:1'}}",
            "2:23: error: 'core' means something else in a scenario; write another name"
        ),
        (
            "application_servers: {'i m': {uri: 'sip:127.0.0.1:1'}}",
            "2:23: error: 'i m' is no name of an application server; write letters, digits, '.', '_', '+' or '-', a letter or digit first"
        ),
    ]) func wrongValuesAreReportedWithWhatToWrite(line: String, fault: String) {
        #expect(faults("domain: home1.test\n\(line)\n") == [fault])
    }

    @Test func portZeroIsTheLabsToChoose() {
        let text =
            "domain: a.test\napplication_servers: {im: {uri: 'sip:127.0.0.1:0', run: im-server}, own: {uri: 'sip:127.0.0.1:0', command: [x]}}\n"
        #expect(faults(text, isLab: true) == [])
        #expect(faults(text).count == 2)
        #expect(faults("domain: a.test\nnetworks: {b.test: {uri: 'sip:127.0.0.1:0'}}", isLab: true).count == 1)
    }

    @Test func aServerThatIsReachedOverUDPNeedsAListener() {
        let servers =
            "application_servers: {a: {uri: 'sip:10.0.0.1'}, b: {uri: 'sip:b.test:5060'}, c: {uri: 'sip:10.0.0.1;transport=tcp'}}\n"
        #expect(faults("domain: a.test\ncore: {listen: ['tcp://127.0.0.1:5060']}\n\(servers)").map { $0.prefix(5) } == ["3:32:", "3:58:"])
        #expect(
            faults("domain: a.test\ncore: {listen: ['udp://[::1]:5060'], hosts: {b.test: '[::1]:5060'}}\n\(servers)").map { $0.prefix(5) }
                == ["3:32:"])
        // One fault is enough: of the listeners nothing is known here.
        #expect(faults("domain: a.test\ncore: {listen: [x]}\n\(servers)").count == 1)
    }

    @Test(arguments: [
        ("core: {digest_algorithms: [SHA-256, MD5, SHA-256]}", ["2:42: error: 'SHA-256' is offered already; write each algorithm once"]),
        ("core: {digest_qop: [auth, auth]}", ["2:27: error: 'auth' is offered already; write each qop once"]),
        ("core: {digest_qop: [int]}", ["2:21: error: 'int' is not known here; write one of auth, auth-int"]),
        ("core: {aka_algorithms: [AKAv1-MD5, AKAv1-MD5]}", ["2:36: error: 'AKAv1-MD5' is offered already; write each algorithm once"]),
        (
            "subscribers: {alice: {authentication: giba}}",
            ["2:22: error: the subscriber has no address to be known by; write 'address: 127.0.0.1', or the client's own"]
        ),
        (
            "subscribers: {alice: {authentication: giba, address: localhost}}",
            ["2:54: error: 'localhost' is no address; write one such as 192.0.2.7, without a port"]
        ),
        (
            "subscribers: {alice: {authentication: aka, password: x}}",
            ["2:22: error: the subscriber has no key for AKA; write 'aka: {k: ..., opc: ...}'"]
        ),
    ]) func authenticationThatCannotBe(line: String, expected: [String]) {
        #expect(faults("domain: home1.test\n\(line)\n") == expected)
    }

    @Test func allThatIsWrongIsTold() {
        let text = "domain: a.test\ncore: {clock_start: yesterday, tls: {certficate: a}}\nsubscribers: {a: {aka: {k: 00, amf: 80}}}"
        #expect(
            faults(text) == [
                "2:8: warning: 'clock_start' is of a virtual clock, and this one is real; write 'clock: virtual' too, or leave it out",
                "2:21: error: 'yesterday' is no date and time; write one such as 2026-01-01T00:00:00Z",
                "2:38: error: unknown key 'certficate' in tls; write 'certificate'",
                "3:24: error: the operator's code is missing in aka; write 'opc: ...' or 'op: ...', 32 hexadecimal digits",
                "3:28: error: this is not 32 hexadecimal digits but 2 characters; write 16 bytes as 32 digits",
                "3:37: error: this is not 4 hexadecimal digits but 2 characters; write 2 bytes as 4 digits",
            ])
    }
}
