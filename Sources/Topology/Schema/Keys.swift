// The table of keys: every section of a topology with its keys, their formats and what they are for. Validation, reading
// and the JSON Schema all go by it. Scenarios have a table of their own.

enum RootKeys {
    static let domain = Key("domain", .domain, required: true, "The home network domain, which is the digest realm too.")
    static let core = Key("core", .object(CoreKeys.shape), "The SIP/IP core.")
    static let servers = Key(
        "application_servers", .names("application server", .name("an application server"), .object(ServerKeys.shape)),
        "Application servers, by name.")
    static let profiles = Key(
        "service_profiles", .names("service profile", .name("a service profile"), .object(ProfileKeys.shape)),
        "Service profiles with the initial filter criteria of TS 29.228, by name.")
    static let subscribers = Key(
        "subscribers", .names("subscriber", .namePattern, .object(SubscriberKeys.shape)),
        "Subscribers, by name; a numeric range such as u{0000..0999} is that many of them, and {name} in values is each one's name.")
    static let networks = Key(
        "networks", .names("network", .domain, .object(NetworkKeys.shape)), "Other networks, by domain: where requests for them go.")
    static let clients = Key(
        "clients", .names("client", .name("a client"), .object(ClientKeys.shape)), "Clients of the lab; each name is a subscriber's.")
    static let scenarios = Key("scenarios", ScenarioKeys.scenarios, "Lists of steps, by name.")
    static let lab = Key("lab", .object(LabKeys.shape), "The lab itself.")
    static let faults = Key(
        "faults", .list(.object(FaultKeys.shape)), "Rules of messages that go astray on purpose, from the start until a reset.")

    static let shape = ObjectShape(
        what: "the topology",
        keys: [
            domain.any, core.any, servers.any, profiles.any, subscribers.any, networks.any, clients.any, scenarios.any, lab.any,
            faults.any,
        ])
}

enum CoreKeys {
    static let listen = Key(
        "listen", .list(.listenAddress, atLeast: 1),
        "Where the core listens, such as udp://127.0.0.1:5060; port 0 asks for any. Left out: UDP and TCP on 127.0.0.1:5060. "
            + "The port of tls, ws and wss may be left out: 5061, 80, 443.")
    static let http = Key("http", .hostPort, "Control interface and web page; left out: none.")
    static let httpToken = Key("http_token", .text, "The bearer token that the control interface asks for; needed off loopback.")
    static let database = Key("database", .file, "A SQLite file; left out: in memory.")
    static let authentication = Key("authentication", Codec<Authentication>.word, "How subscribers are authenticated, unless one differs.")
    static let digestAlgorithms = Key(
        "digest_algorithms", .list(Codec<DigestAlgorithm>.word, atLeast: 1), "Digest algorithms, offered in this order.")
    static let digestQop = Key(
        "digest_qop", .list(Codec<DigestQop>.word, atLeast: 1),
        "What answers to challenges protect, offered in this order: auth, or auth-int for the body too.")
    static let akaAlgorithms = Key(
        "aka_algorithms", .list(Codec<AKAAlgorithm>.word, atLeast: 1), "Algorithms of challenges to a SIM, offered in this order.")
    static let authenticationFailures = Key(
        "authentication_failures", .integer(0...1000), "Wrong answers in a row that are challenged anew (401); the next is refused (403).")
    static let challengeLifetime = Key(
        "challenge_lifetime", .milliseconds(1000...3_600_000),
        "How long a challenge may be answered (TS 24.229 table 7.8.1); by default 240s.")
    static let requireQop = Key(
        "require_qop", .bool, "Whether answers to challenges without qop, as RFC 2069 had them, are refused (400). By default false.")
    static let digestUserHash = Key(
        "digest_userhash", .bool,
        "Whether challenges say that a hash will do in place of the user name (RFC 7616 3.4.4); it does in any case. By default false.")
    static let authenticationInfo = Key(
        "authentication_info", Codec<AuthenticationInfo>.word,
        "What the 200 to a REGISTER with a password says in Authentication-Info: nothing, that the core knows the password too (proof, "
            + "the default), or with it a nonce for the next REGISTER (next_nonce).")
    static let registrar = Key(
        "registrar", Codec<RegistrarProfile>.word,
        "ims (TS 24.229): a new contact of a private identity replaces its old one; rfc3261: all contacts are kept.")
    static let expires = Key("expires", .object(ExpiresKeys.shape), "Limits and default of the time for which a registration is granted.")
    static let maxContacts = Key(
        "max_contacts", .integer(1...255), "Contacts that a subscriber may have at once; one more is refused (403). By default 32.")
    static let listRemovedContacts = Key(
        "list_removed_contacts", .bool,
        "Whether the 200 to a deregistration lists the contacts that are gone too, with expires=0 (TS 24.229 5.4.1.4.1). By default false.")
    static let flowTimer = Key(
        "flow_timer", .milliseconds(0...86_400_000),
        "How often clients with outbound are told to keep their flows alive (RFC 5626 4.4), such as 120s; 0s: they are not told.")
    static let thirdPartyRegister = Key(
        "third_party_register", .object(ThirdPartyRegisterKeys.shape), "How application servers are told of registrations.")
    static let rejectIfNoMatchingIFC = Key(
        "reject_if_no_matching_ifc", .bool,
        "Whether a user is deregistered whose first REGISTER no filter criterion takes. By default false.")
    static let visitedNetworks = Key(
        "visited_networks", .list(.text),
        "Networks that users may roam in, as P-Visited-Network-ID names them; one from another is refused (403). Left out: all.")
    static let chargingFunctions = Key(
        "charging_functions", .object(ChargingFunctionsKeys.shape), "What P-Charging-Function-Addresses says (RFC 7315 4.5).")
    static let clock = Key("clock", .words([("real", false), ("virtual", true)]), "real, or virtual: time moves only when told to.")
    static let clockStart = Key("clock_start", .dateTime, "When a virtual clock begins.")
    static let clockPatience = Key(
        "clock_patience", .milliseconds(0...3_600_000), "The most real time that a virtual clock waits for processes off it.")
    static let seed = Key("seed", .integer(0...UInt64.max), "Fixes all that is random.")
    static let trace = Key("trace", .integer(0...100_000_000), "Messages kept for the control interface; 0: none.")
    static let traceBytes = Key("trace_bytes", .bytes(0...(1 << 40)), "The most bytes of messages kept, such as 64MiB.")
    static let advertise = Key(
        "advertise", .host, "The address written into Via, Record-Route, Service-Route and Contact; needed with a wildcard listener.")
    static let udpSizeLimit = Key(
        "udp_size_limit", .integer(0...65_535), "A larger request goes by TCP (RFC 3261 18.1.1); 0: none does.")
    static let hosts = Key(
        "hosts", .names("host", .domain, .hostPort), "Names resolved without a DNS server, such as im.home1.test: 127.0.0.1:5080.")
    static let dns = Key(
        "dns", Codec<NameServer>.nameServer,
        "The DNS server that other names are asked of (RFC 3263), such as 127.0.0.1:5353; none: none is asked. Left out: the system's.")
    static let tls = Key("tls", .object(TLSKeys.shape), "Certificate and key for tls:// and wss://, and whom they believe.")
    static let trusted = Key(
        "trusted", .list(.addressBlock), "Blocks of addresses whose identity headers are believed, such as 10.0.0.0/8.")
    static let requestURIScope = Key(
        "request_uri_scope", .words([("hostport", false), ("full", true)]),
        "What a condition on the Request-URI searches: host and port of a SIP URI and the number of a tel URI, or the whole.")
    static let headerContentCase = Key(
        "header_content_case", .words([("sensitive", false), ("insensitive", true)]), "Whether conditions compare header content with case."
    )
    static let webSocketOrigins = Key(
        "websocket_origins", .list(.origin),
        "Origins whose scripts may open a WebSocket, such as https://phone.home1.test; left out: all. Clients that name none may.")
    static let limits = Key("limits", .object(LimitKeys.shape), "How much the core takes on at once.")
    static let timers = Key("timers", .object(TimerKeys.shape), "The base timers of SIP (RFC 3261 17, table 4); all others follow.")
    static let recursion = Key(
        "recursion", .bool,
        "Whether the contacts of a 300, 301 or 302 are tried in place of the one that gave it; else it is passed back. By default false."
    )
    static let udpSegmentation = Key(
        "udp_segmentation", .bool,
        "Whether datagrams of one size to one peer may share the way through the system under load; "
            + "a sniffer on the loopback interface then sees several as one. By default true.")
    static let regEvent = Key("reg_event", .object(RegEventKeys.shape), "Subscriptions to registration state (RFC 3680).")
    static let hep = Key("hep", .object(HEPKeys.shape), "A Homer that every recorded message is sent to, by HEP3.")
    static let shards = Key("shards", .integer(1...64), "Threads that share the work.")

    static let shape = ObjectShape(
        what: "the core",
        keys: [
            listen.any, http.any, httpToken.any, database.any, authentication.any, digestAlgorithms.any, digestQop.any, akaAlgorithms.any,
            authenticationFailures.any, challengeLifetime.any, requireQop.any, digestUserHash.any, authenticationInfo.any,
            registrar.any, expires.any, maxContacts.any, listRemovedContacts.any, flowTimer.any, thirdPartyRegister.any,
            rejectIfNoMatchingIFC.any,
            visitedNetworks.any,
            chargingFunctions.any,
            clock.any, clockStart.any, clockPatience.any, seed.any, trace.any, traceBytes.any, advertise.any,
            udpSizeLimit.any, hosts.any, dns.any, tls.any, trusted.any, requestURIScope.any, headerContentCase.any, limits.any, shards.any,
            udpSegmentation.any, timers.any, recursion.any, webSocketOrigins.any, regEvent.any, hep.any,
        ])
}

enum ExpiresKeys {
    static let min = Key("min", .seconds, "The least that is granted, in seconds; a shorter wish is answered 423.")
    static let standard = Key("default", .seconds, "What is granted without a wish, in seconds.")
    static let max = Key("max", .seconds, "The most that is granted, in seconds.")

    static let shape = ObjectShape(what: "expires", keys: [min.any, standard.any, max.any])
}

enum ThirdPartyRegisterKeys {
    static let before200 = Key(
        "before_200", .bool,
        "Whether the 200 to a client waits until each application server has answered or is given up, so that what a quick client "
            + "sends next cannot overtake its registration. By default false.")
    static let onProfileChange = Key(
        "on_profile_change", .bool,
        "Whether a change of a registered subscriber's criteria is told to the servers that they name now. By default false.")

    static let deregistrationExpires = Key(
        "deregistration_expires", Codec<DeregistrationExpires>.word,
        "The Expires that servers are told when some of a subscriber's contacts end: the longest that the others have left "
            + "(max_remaining, the default), or 0.")

    static let registrationToken = Key(
        "registration_token", .bool,
        "Whether Contact of a third-party REGISTER has +g.3gpp.registration-token, repeated in Feature-Caps of what the user sends then. "
            + "By default false.")

    static let shape = ObjectShape(
        what: "third_party_register", keys: [before200.any, onProfileChange.any, deregistrationExpires.any, registrationToken.any])
}

enum ChargingFunctionsKeys {
    static let collection = Key("ccf", .list(.host), "Charging collection functions.")
    static let event = Key("ecf", .list(.host), "Event charging functions.")

    static let shape = ObjectShape(what: "charging_functions", keys: [collection.any, event.any])
}

enum LimitKeys {
    static let transactions = Key(
        "transactions", .integer(1...100_000_000),
        "Transactions that may live at once, those included that linger after their answer; a request past it is answered 503, "
            + "new work from seven eighths on.")
    static let keptBytes = Key(
        "kept_bytes", .bytes(0...(1 << 40)),
        "Bytes of messages that may be kept for retransmission at once, such as 1GiB; a request past it is answered 503.")

    static let shape = ObjectShape(what: "limits", keys: [transactions.any, keptBytes.any])
}

enum TimerKeys {
    private static let range = 1...3_600_000
    static let t1 = Key("t1", .milliseconds(range), "The estimate of a round trip, 500ms; a request is waited for 64 times as long.")
    static let t2 = Key(
        "t2", .milliseconds(range), "The longest interval between retransmissions of a non-INVITE request or an INVITE response, 4s.")
    static let t4 = Key("t4", .milliseconds(range), "How long a message stays in the network, 5s.")
    static let timerC = Key(
        "timer_c", .milliseconds(range), "How long a ringing INVITE is waited for; the standard asks for more than 3 minutes, 181s.")

    static let shape = ObjectShape(what: "timers", keys: [t1.any, t2.any, t4.any, timerC.any])
}

enum HEPKeys {
    static let uri = Key("uri", .homerAddress, required: true, "Where Homer listens, such as udp://127.0.0.1:9060.")
    static let captureID = Key(
        "capture_id", .integer(0...Int(UInt32.max)), "The number by which Homer tells its agents apart. By default 2001.")
    static let password = Key("password", .text, "The key that Homer asks its agents for, if it does.")

    static let shape = ObjectShape(what: "hep", keys: [uri.any, captureID.any, password.any])
}

enum RegEventKeys {
    static let state = Key(
        "state", .words([("full", false), ("partial", true)]),
        "What a NOTIFY between two SUBSCRIBE requests tells: all contacts, or those that changed. By default full.")
    static let interval = Key(
        "interval", .milliseconds(0...3_600_000),
        "The least time between two NOTIFYs of a subscription if contacts were only refreshed; by default 0s, RFC 3680 has 5s.")
    static let terminatedReason = Key(
        "terminated_reason", Codec<EndOfRegistration>.word,
        "The reason in Subscription-State when the last contact of a user is gone. By default deactivated.")

    static let shape = ObjectShape(what: "reg_event", keys: [state.any, interval.any, terminatedReason.any])
}

enum TLSKeys {
    static let certificate = Key("certificate", .file, "A file with the certificate chain, in PEM; left out: made at start.")
    static let key = Key("key", .file, "A file with the private key, in PEM.")
    static let trust = Key(
        "trust", .file, "A file with the certificates that are believed, in PEM; left out: those that the system believes.")
    static let clients = Key(
        "clients", Codec<ClientCertificates>.word,
        "Whether clients need not show a certificate, are asked for one that then has to be believed, or have to show one.")

    static let shape = ObjectShape(what: "tls", keys: [certificate.any, key.any, trust.any, clients.any])
}

/// How a process is started; the same for application servers and clients.
enum LaunchKeys {
    static let command = Key(
        "command", .list(.text, atLeast: 1), "A program of your own and its arguments, started in the topology's folder.")
    static let environment = Key(
        "env",
        .names(
            "variable", .pattern { $0.isEmpty || $0.contains("=") ? "'\($0)' is no name of a variable; write one such as LOG_LEVEL" : nil },
            .text),
        "Variables of the environment of your own program.")
    static let ready = Key("ready", .expression, "Your own program is ready when a line of its output matches this expression.")
}

enum ServerKeys {
    static let uri = Key("uri", .serverURI, required: true, "The server's SIP URI, such as sip:127.0.0.1:5080;transport=tcp.")
    static let featureTags = Key(
        "feature_tags", .list(.featureTag, atLeast: 1),
        "Short form of criteria: every REGISTER, and every request whose Accept-Contact asks for one of these tags, goes to the server.")
    static let answerWithin = Key(
        "answer_within", .milliseconds(1...3_600_000),
        "How long a server that gave no answer but 100 is waited for before default handling.")
    static let run = Key("run", .words([("im-server", "im-server")]), "The built-in server to start: im-server.")
    static let database = Key("database", .file, "A SQLite file of the built-in server.")
    static let deliveryTimeout = Key(
        "delivery_timeout", .milliseconds(1...3_600_000), "How long the built-in server waits for a final answer before it keeps a message."
    )
    static let watchesRegistrations = Key(
        "use_reg_event", .bool,
        "Whether the built-in server subscribes to the registration state of each user that the core tells it of (RFC 3680). By default false."
    )
    static let requiresFeatureTag = Key(
        "require_im_tag_for_delivery", .bool,
        "Whether the built-in server keeps messages until a contact with the IM feature tag is registered, as far as it is told. By default "
            + "false.")

    static let shape = ObjectShape(
        what: "an application server",
        keys: [
            uri.any, featureTags.any, answerWithin.any, run.any, LaunchKeys.command.any, LaunchKeys.environment.any, LaunchKeys.ready.any,
            database.any, deliveryTimeout.any, watchesRegistrations.any, requiresFeatureTag.any,
        ])
}

enum ProfileKeys {
    static let filterCriteria = Key("filter_criteria", .list(.object(CriterionKeys.shape)), required: true, "Initial filter criteria.")
    static let sharedSet = Key(
        "shared_ifc_set", .integer(0...Int(Int32.max)),
        "The number by which documents refer to these criteria (SharedIFCSetID of TS 29.228).")

    static let shape = ObjectShape(what: "a service profile", keys: [filterCriteria.any, sharedSet.any])
}

enum CriterionKeys {
    static let priority = Key("priority", .integer(0...Int(Int32.max)), required: true, "The lowest number is tried first.")
    static let server = Key("application_server", .text, required: true, "A name of application_servers.")
    static let defaultHandling = Key(
        "default_handling", .words([("session_continued", false), ("session_terminated", true)]),
        "What happens when the server does not answer.")
    static let serviceInfo = Key("service_info", .text, "Carried in the third-party REGISTER.")
    static let register = Key("register", .object(RegisterKeys.shape), "What else the third-party REGISTER carries.")
    static let trigger = Key(
        "trigger", .list(.list(.object(ConditionKeys.shape), atLeast: 1), atLeast: 1), "Every group holds; in a group, any condition.")
    static let triggerDNF = Key(
        "trigger_dnf", .list(.list(.object(ConditionKeys.shape), atLeast: 1), atLeast: 1), "Any group holds; in a group, every condition.")
    static let profilePart = Key("profile_part", Codec<ProfilePart>.word, "Only for users who are registered, or who are not.")

    static let shape = ObjectShape(
        what: "a filter criterion",
        keys: [
            priority.any, server.any, defaultHandling.any, serviceInfo.any, register.any, trigger.any, triggerDNF.any, profilePart.any,
        ])
}

enum RegisterKeys {
    static let request = Key("include_request", .bool, "The user's REGISTER goes along.")
    static let response = Key("include_response", .bool, "The answer to the user's REGISTER goes along.")

    static let shape = ObjectShape(what: "register", keys: [request.any, response.any])
}

enum ConditionKeys {
    static let method = Key("method", .method, "The method, compared whole and with case.")
    static let requestURI = Key("request_uri", .expression, "An expression that is searched in the Request-URI.")
    static let header = Key("header", .text, "A header that is there; an expression, if it is more than a name.")
    static let content = Key("content", .expression, "An expression that is searched in the content of the header or of the line.")
    static let sessionCase = Key(
        "session_case",
        .words(
            [SessionCase.originating, .originatingUnregistered, .originatingCDIV, .terminating, .terminatingUnregistered].map {
                ($0.word, $0)
            }), "Whom the request serves, and whether that user is registered.")
    static let sessionDescription = Key("session_description", .expression, "A type of line of the session description, such as m.")
    static let registrationType = Key(
        "registration_type",
        .oneOrMore(
            .words([("initial", RegistrationType.initial), ("reregistration", .reregistration), ("deregistration", .deregistration)])),
        "Kinds of REGISTER.")
    static let featureTag = Key("feature_tag", .featureTag, "Accept-Contact asks for this tag, as a whole tag.")
    private static let plain = [
        method.any, requestURI.any, header.any, content.any, sessionCase.any, sessionDescription.any, registrationType.any, featureTag.any,
    ]
    static let not = Key("not", .object("a condition", plain), "The condition does not hold.")

    static let shape = ObjectShape(what: "a condition", keys: plain + [not.any])
}

enum SubscriberKeys {
    static let privateIdentity = Key("private_identity", .privateIdentity, "Left out: the name in the home domain.")
    static let password = Key("password", .text, "For digest; {name} in it is the subscriber's name.")
    static let aka = Key("aka", .object(AKAKeys.shape), "Credentials of a SIM, in place of a password.")
    static let publicIdentities = Key(
        "public_identities", .list(.publicIdentity, atLeast: 1),
        "One implicit registration set; the first is the default. Left out: the name in the home domain.")
    static let privateIdentities = Key(
        "private_identities", .names("private identity", .privateIdentity, .object(DeviceKeys.shape)),
        "Further devices of the same user, each with its own credentials.")
    static let authentication = Key("authentication", Codec<Authentication>.word, "Left out: as the core.")
    static let address = Key("address", .address, "Where authentication is giba: the address that alone may register.")
    static let servers = Key("application_servers", .list(.text), "Names of application_servers, in the order in which they are tried.")
    static let profile = Key("service_profile", .text, "A name of service_profiles; its criteria come first.")
    static let profileXML = Key(
        "profile_xml", .file,
        "An IMSSubscription document of TS 29.228, taken as it is; of a file with many the subscriber's own.")

    static let shape = ObjectShape(
        what: "a subscriber",
        keys: [
            privateIdentity.any, password.any, aka.any, publicIdentities.any, privateIdentities.any, authentication.any, address.any,
            servers.any, profile.any, profileXML.any,
        ])
}

enum DeviceKeys {
    static let shape = ObjectShape(what: "a private identity", keys: [SubscriberKeys.password.any, SubscriberKeys.aka.any])
}

enum AKAKeys {
    static let k = Key("k", .hexadecimal(32), required: true, "The subscriber's key.")
    static let opc = Key("opc", .hexadecimal(32), "The operator's code, derived for this key.")
    static let op = Key("op", .hexadecimal(32), "The operator's code; opc is derived from it.")
    static let amf = Key("amf", .hexadecimal(4), "The authentication management field.")
    static let sqn = Key("sqn", .hexadecimal(12), "The sequence number to begin with.")

    static let shape = ObjectShape(what: "aka", keys: [k.any, opc.any, op.any, amf.any, sqn.any])
}

enum NetworkKeys {
    static let uri = Key("uri", .serverURI, required: true, "Where requests for the domain go, such as sip:127.0.0.1:6060.")
    static let trusted = Key("trusted", .bool, "Its identity headers are believed.")

    static let shape = ObjectShape(
        what: "a network", keys: [uri.any, trusted.any, LaunchKeys.command.any, LaunchKeys.environment.any, LaunchKeys.ready.any])
}

enum ClientKeys {
    static let run = Key("run", .words([("im-client", "im-client")]), "The built-in client to start: im-client.")

    static let shape = ObjectShape(
        what: "a client", keys: [run.any, LaunchKeys.command.any, LaunchKeys.environment.any, LaunchKeys.ready.any])
}

enum LabKeys {
    static let http = Key("http", .hostPort, "Lets a test drive the lab.")
    static let httpToken = Key("http_token", .text, "The bearer token that it asks for; needed off loopback.")

    static let shape = ObjectShape(what: "the lab", keys: [http.any, httpToken.any])
}
