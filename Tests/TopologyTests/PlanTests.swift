// What a right file becomes.
import Testing
import Topology

@Suite struct PlanTests {
    @Test func theExampleOfTheLanguage() throws {
        let result = read(
            """
            domain: Home1.test
            core:
              listen: [udp://127.0.0.1:5060, "tcp://[::1]:5061"]
              http: 127.0.0.1:8080
              database: ../lab.sqlite
              authentication: digest
              digest_algorithms: [MD5]
              authentication_failures: 2
              challenge_lifetime: 40s
              require_qop: true
              digest_userhash: true
              authentication_info: next_nonce
              registrar: rfc3261
              expires: {min: 1m, default: 1h, max: 600000}
              clock: real
              trace: 100
              trace_bytes: 2MiB
              advertise: 192.0.2.7
              udp_size_limit: 0
              udp_segmentation: false
              hosts: {IM.home1.test: 127.0.0.1:5080}
              trusted: [10.0.0.0/8, "2001:db8::1"]
              request_uri_scope: full
              header_content_case: insensitive
              limits: {transactions: 5000, kept_bytes: 64MiB}
              timers: {t1: 2s, t2: 16s, t4: 17s, timer_c: 4m}
              recursion: true
              max_contacts: 8
              list_removed_contacts: true
              flow_timer: 90s
              third_party_register: {before_200: true, on_profile_change: true, deregistration_expires: zero, registration_token: true}
              reject_if_no_matching_ifc: true
              visited_networks: [Visited.test, "Network 2"]
              charging_functions: {ccf: [192.0.2.9, "2001:db8::1"], ecf: [ecf.home1.test]}
              reg_event: {state: partial, interval: 5s, terminated_reason: noresource}
              seed: 18446744073709551615
            application_servers:
              im:
                uri: sip:im.home1.test;transport=tcp
                feature_tags: [+g.oma.sip-im, audio]
                answer_within: 2s
                run: im-server
                delivery_timeout: 700ms
                use_reg_event: true
                require_im_tag_for_delivery: true
              own: {uri: "sip:127.0.0.1:5090", command: [./as, "${core.udp}"], env: {A: "1", B: "${core.http}"}, ready: '^up$'}
            subscribers:
              alice:
                password: wonderland
                public_identities: [sip:alice@home1.test, tel:+15550100]
                private_identities: {alice-tablet@home1.test: {password: x}, watch: {password: y}}
                application_servers: [im]
              "u{0000..0999}":
                password: "pw-{name}"
                application_servers: [im, own]
                service_profile: p
              open: {authentication: none}
            service_profiles:
              p:
                filter_criteria:
                  - {priority: 7, application_server: own}
                  - priority: 0
                    application_server: im
                    default_handling: session_terminated
                    service_info: info
                    register: {include_request: true, include_response: true}
                    profile_part: unregistered
                    trigger:
                      - [{method: PUBLISH}, {method: REGISTER, registration_type: [initial, deregistration]}]
                      - [{header: Accept-Contact, content: '\\+g\\.oma\\.sip-im([;,]|$)'}]
                      - [{session_case: originating}, {session_case: terminating_unregistered}]
                      - [{not: {request_uri: '^conference\\.home1\\.test'}}, {session_description: m, content: audio}]
                      - [{registration_type: reregistration}, {feature_tag: +g.oma.sip-im}]
                  - {priority: 3, application_server: im, trigger_dnf: [[{header: Subject}]]}
            networks:
              home2.test: {uri: "sip:127.0.0.1:6060", trusted: true}
            clients:
              alice: {run: im-client}
              u0007: {command: [./my-client, --proxy, "${core.udp}", --user, "${subscriber.private_identity}"]}
            lab: {http: 127.0.0.1:8090}
            """)
        #expect(result.faults.map(\.description) == [])
        let topology = try #require(result.topology)
        #expect(topology.file == "lab/t.yaml" && topology.folder == "/home/me/lab" && topology.domain == "home1.test")

        var core = CoreSettings()
        core.listen = [
            ListenAddress(transport: .udp, host: "127.0.0.1", port: 5060), ListenAddress(transport: .tcp, host: "::1", port: 5061),
        ]
        core.http = HostPort(host: "127.0.0.1", port: 8080)
        core.database = "/home/me/lab.sqlite"
        core.authenticationFailures = 2
        core.registrar = .rfc3261
        core.challengeLifetimeMilliseconds = 40_000
        core.requireQop = true
        core.digestUserHash = true
        core.authenticationInfo = .nextNonce
        core.trace = 100
        core.traceBytes = 2 << 20
        core.advertise = "192.0.2.7"
        core.udpSizeLimit = 0
        core.udpSegmentation = false
        core.hosts = ["im.home1.test": HostPort(host: "127.0.0.1", port: 5080)]
        core.trusted = [
            AddressBlock(address: [10, 0, 0, 0], prefixLength: 8),
            AddressBlock(address: [0x20, 1, 0x0D, 0xB8] + Array(repeating: 0, count: 11) + [1], prefixLength: 128),
        ]
        core.requestURIScopeIsFull = true
        core.headerContentIgnoresCase = true
        core.transactionLimit = 5000
        core.keptBytes = 64 << 20
        core.timers.t1 = 2000
        core.timers.t2 = 16_000
        core.timers.t4 = 17_000
        core.timers.timerC = 240_000
        core.recursion = true
        core.maxContacts = 8
        core.listRemovedContacts = true
        core.flowTimer = 90
        core.thirdPartyRegister.before200 = true
        core.thirdPartyRegister.onProfileChange = true
        core.thirdPartyRegister.registrationToken = true
        core.thirdPartyRegister.deregistrationExpires = .zero
        core.rejectIfNoMatchingIFC = true
        core.visitedNetworks = ["visited.test", "network 2"]
        core.chargingFunctions.collection = ["192.0.2.9", "2001:db8::1"]
        core.chargingFunctions.event = ["ecf.home1.test"]
        core.regEvent.tellsChangesOnly = true
        core.regEvent.intervalMilliseconds = 5000
        core.regEvent.terminatedReason = .noresource
        core.seed = .max
        #expect(topology.core == core)

        var im = ApplicationServer(name: "im", uri: "sip:im.home1.test;transport=tcp")
        im.featureTags = ["+g.oma.sip-im", "audio"]
        im.answerWithinMilliseconds = 2000
        im.launch = .builtIn("im-server")
        im.deliveryTimeoutMilliseconds = 700
        im.watchesRegistrations = true
        im.requiresFeatureTag = true
        var own = ApplicationServer(name: "own", uri: "sip:127.0.0.1:5090")
        own.launch = .command(["./as", "${core.udp}"])
        own.environment = ["A": "1", "B": "${core.http}"]
        own.readyPattern = "^up$"
        #expect(topology.applicationServers == [im, own])
        #expect(topology.networks == [Network(domain: "home2.test", uri: "sip:127.0.0.1:6060", isTrusted: true)])
        #expect(topology.clients.map(\.name) == ["alice", "u0007"] && topology.lab.http?.port == 8090)

        let alice = topology.subscribers[0]
        #expect(
            alice.privateIdentities.map { $0.identity.filled(with: "alice") } == [
                "alice@home1.test", "alice-tablet@home1.test", "watch@home1.test",
            ])
        #expect(alice.privateIdentities.map { $0.password?.filled(with: "alice") } == ["wonderland", "x", "y"])
        #expect(alice.publicIdentities.map { $0.uri.filled(with: "alice") } == ["sip:alice@home1.test", "tel:+15550100"])
        #expect(topology.subscribers[2].authentication == Authentication.none)

        let users = topology.subscribers[1]
        #expect(users.name == NamePattern(prefix: "u", range: 0...999, width: 4, suffix: ""))
        #expect(users.privateIdentities[0].identity.filled(with: users.name.name(7)) == "u0007@home1.test")
        #expect(users.privateIdentities[0].password?.filled(with: "u0007") == "pw-u0007")
        #expect(users.publicIdentities[0].uri.filled(with: "u0007") == "sip:u0007@home1.test")
        #expect(users.applicationServers == ["im", "own"])
        #expect(users.filterCriteria.map(\.priority) == [0, 3, 7, 8, 9])
        #expect(users.filterCriteria.map(\.isShortForm) == [false, false, false, true, true])

        let first = users.filterCriteria[0]
        #expect(first.sessionTerminatedOnFailure && first.serviceInfo == "info" && first.profilePart == .unregistered)
        #expect(
            first.includeRegisterRequest && first.includeRegisterResponse && first.serverURI == im.uri && first.applicationServer == "im")
        #expect(
            first.trigger
                == Trigger(
                    isConjunctive: true,
                    groups: [
                        [
                            Condition(.method("PUBLISH", registrationTypes: [])),
                            Condition(.method("REGISTER", registrationTypes: [.initial, .deregistration])),
                        ],
                        [Condition(.header(name: "Accept-Contact", content: #"\+g\.oma\.sip-im([;,]|$)"#))],
                        [Condition(.sessionCase(.originating)), Condition(.sessionCase(.terminatingUnregistered))],
                        [
                            Condition(.requestURI(#"^conference\.home1\.test"#), isNegated: true),
                            Condition(.sessionDescription(line: "m", content: "audio")),
                        ],
                        [Condition(.registrationType([.reregistration])), Condition(.featureTag("+g.oma.sip-im"))],
                    ]))
        #expect(
            users.filterCriteria[1].trigger == Trigger(isConjunctive: false, groups: [[Condition(.header(name: "Subject", content: nil))]]))
        #expect(users.filterCriteria[2].trigger == nil)
    }

    @Test func theShortFormIsTwoCriteria() throws {
        let alice = try #require(read(base).topology?.subscribers.first)
        let register = Condition.Kind.method("REGISTER", registrationTypes: [])
        var first = FilterCriterion(priority: 0, applicationServer: "im", serverURI: "sip:127.0.0.1:5080")
        first.isShortForm = true
        first.trigger = Trigger(isConjunctive: true, groups: [[Condition(register)]])
        var second = first
        second.priority = 1
        second.trigger = Trigger(
            isConjunctive: true, groups: [[Condition(register, isNegated: true)], [Condition(.featureTag("+g.oma.sip-im"))]])
        #expect(alice.filterCriteria == [first, second])
    }

    @Test func leastFileHasTheDefaults() throws {
        let result = read("domain: home1.test\n")
        let topology = try #require(result.topology)
        #expect(result.faults.isEmpty)
        #expect(topology.core.listen == [.udp, .tcp].map { ListenAddress(transport: $0, host: "127.0.0.1", port: 5060) })
        #expect(
            topology.core.trace == 20_000 && topology.core.traceBytes == 64 << 20 && topology.core.udpSizeLimit == 1300
                && topology.core.udpSegmentation)
        #expect(topology.core.minExpires == 60 && topology.core.defaultExpires == 3600 && topology.core.maxExpires == 600_000)
        #expect(
            topology.core.authentication == .digest && topology.core.digestAlgorithms == [.md5] && topology.core.authenticationFailures == 3
        )
        #expect(topology.core.registrar == .ims && topology.core.database == nil && topology.core.http == nil && topology.core.shards == 1)
    }

    @Test func aDefaultIntervalThatIsNotGivenStaysWithinTheLimits() {
        #expect(read("domain: a.test\ncore: {expires: {max: 600}}").topology?.core.defaultExpires == 600)
        #expect(read("domain: a.test\ncore: {expires: {min: 7200}}").topology?.core.defaultExpires == 7200)
    }

    @Test func theTimersAreThoseOfTheStandardUnlessGiven() throws {
        let timers = try #require(read("domain: a.test\n").topology).core.timers
        #expect(timers.t1 == 500 && timers.t2 == 4000 && timers.t4 == 5000 && timers.timerC == 181_000)
        #expect(read("domain: a.test\ncore: {timers: {t1: 10s}}").topology?.core.timers.t2 == 10_000)
        #expect(read("domain: a.test\ncore: {timers: {t1: 10ms}}").topology?.core.timers.t2 == 4000)
    }

    @Test func emptySectionsMeanNothing() {
        #expect(read("domain: a.test\ncore:\nsubscribers:\nclients: ~\nscenarios: {}\n").faults.isEmpty)
        #expect(read("domain: a.test\ncore: {authentication: none}\nsubscribers:\n  alice:\n").faults.isEmpty)
    }

    @Test func variablesOfTheEnvironmentAreFilledIn() throws {
        let text = "domain: ${env:DOMAIN}\ncore: {http: '127.0.0.1:${env:PORT}', trace: '${env:N}'}\n"
        let topology = try #require(read(text, environment: ["DOMAIN": "a.test", "PORT": "81", "N": "5"]).topology)
        #expect(topology.domain == "a.test" && topology.core.http?.port == 81 && topology.core.trace == 5)
        #expect(
            faults(text + "subscribers: {a: {password: '${env:N'}}", environment: ["DOMAIN": "a.test", "PORT": "x"]) == [
                "2:14: error: 'x' is no port; write a number from 0 to 65535",
                "2:46: error: the environment has no variable 'N'; set it, or write the value here",
                "3:29: error: '${env:' has no end; write ${env:NAME}",
            ])
    }

    @Test func aliasesAndMergeKeysBringValuesIn() throws {
        let text = """
            domain: home1.test
            subscribers:
              alice: &all {password: x, authentication: digest}
              bob: {<<: *all, password: y}
            """
        let topology = try #require(read(text).topology)
        #expect(topology.subscribers[1].privateIdentities[0].password?.filled(with: "bob") == "y")
        #expect(topology.subscribers[1].authentication == .digest)
    }

    @Test func aMillionSubscribersCostWhatOneDoes() throws {
        let text =
            "domain: a.test\nsubscribers:\n  'u{0000000..9999999}': {password: x}\n  'v{0..999999999999999999}': {password: x}\n  u: {password: y}\n"
        let topology = try #require(read(text).topology)
        #expect(topology.subscribers.map(\.name.count) == [10_000_000, 1_000_000_000_000_000_000, 1])
    }

    @Test func namesOfFilesAreRelativeToTheTopology() {
        for (name, path) in [("a.db", "/home/me/lab/a.db"), ("./x/../a.db", "/home/me/lab/a.db"), ("/var/a.db", "/var/a.db")] {
            #expect(read("domain: a.test\ncore: {database: \(name)}").topology?.core.database == path)
        }
        let result = Topology.load(file: "/etc/t.yaml", text: "domain: a.test\ncore: {database: a.db}", in: surroundings())
        #expect(result.topology?.core.database == "/etc/a.db" && result.topology?.folder == "/etc")
    }

    @Test func credentialsOfSIMsAreRead() throws {
        let k = "00112233445566778899aabbccddeeff"
        let result = read(
            """
            domain: a.test
            core: {digest_algorithms: [SHA-512-256, MD5], digest_qop: [auth-int, auth], aka_algorithms: [AKAv2-SHA-256, AKAv1-MD5]}
            subscribers:
              alice: {aka: {k: \(k), opc: 0000000000000000000000000000000F, amf: 'b9b9', sqn: 0000000000A0}}
              bob: {password: x, private_identities: {tablet: {aka: {k: \(k), op: ffffffffffffffffffffffffffffffff}}}}
              carol: {authentication: giba, address: 192.0.2.7}
            """)
        #expect(result.faults.isEmpty)
        let topology = try #require(result.topology)
        #expect(topology.core.digestAlgorithms == [.sha512_256, .md5] && topology.core.digestQops == [.authInt, .auth])
        #expect(topology.core.akaAlgorithms == [.v2SHA256, .v1MD5])
        let key = try #require(UInt128(k, radix: 16))
        var alice = SIMKeys(k: key, code: .opc(15))
        alice.amf = 0xB9B9
        alice.sqn = 0xA0
        #expect(topology.subscribers[0].privateIdentities[0].aka == alice)
        #expect(topology.subscribers[1].privateIdentities[0].aka == nil)
        #expect(topology.subscribers[1].privateIdentities[1].aka == SIMKeys(k: key, code: .op(.max)))
        #expect(topology.subscribers[1].privateIdentities[1].aka?.amf == 0x8000)
        #expect(topology.subscribers[2].authentication == .giba && topology.subscribers[2].address == "192.0.2.7")
    }
}
