// `sipcore im-client`: the built-in IM Client, alone.

import ArgumentParser
import Glibc
import InstantMessaging
import NodeRuntime
import SIPMessage
import SIPRegistrar
import SansIO

struct IMClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "im-client",
        abstract: "The built-in IM Client, alone: register, publish settings, send and receive messages.",
        discussion: """
            Commands, as arguments or one a line on standard input: register [expires=SECONDS], unregister, \
            publish settings [offline-delivery=on|off] [incoming-session-barring=on|off] ..., remove settings, \
            message URI "text", wait SECONDS, quit.

            What happens comes out as JSON, a line each, after the ready line. With commands as arguments the client ends \
            after the last, with status 0 if all succeeded and 1 if not, and stays registered; the end of standard input \
            is quit, which unregisters.
            """)

    @Option(help: ArgumentHelp("The core: sip:127.0.0.1:5060, or with ;transport=tcp or ;transport=tls.", valueName: "uri"))
    var core: String

    @Option(help: ArgumentHelp("Who the client is: sip:alice@home1.test.", valueName: "uri"))
    var publicIdentity: String

    @Option(help: ArgumentHelp("Who it is to the registrar; without, the public identity without its scheme.", valueName: "identity"))
    var privateIdentity: String?

    @Option(help: "The password of the private identity.")
    var password: String?

    @Option(
        help: ArgumentHelp(
            "A SIM in place of the password, in hexadecimal digits: k=...,opc=...,amf=...; op in place of opc; sqn, the highest "
                + "sequence number that it has accepted.", valueName: "keys"))
    var aka: String?

    @Option(help: "The home network domain; without, that of the public identity.")
    var domain: String?

    @Option(
        help: ArgumentHelp(
            "Where to listen (repeatable); port 0: any that is free. Without, any port of loopback by the core's transport.",
            valueName: "address"))
    var listen: [String] = []

    @Option(help: ArgumentHelp("Seconds of registration to ask for.", valueName: "seconds"))
    var expires: UInt32 = 600_000

    @Option(help: ArgumentHelp("Seconds of publication to ask for.", valueName: "seconds"))
    var settingsExpires: UInt32 = 3600

    @Flag(
        inversion: .prefixedNo,
        help: """
            Subscribe to the registration, and so hear that the network has ended it (registration_lost). Without, the client does \
            so unless its commands are arguments with no wait among them.
            """)
    var watchRegistration: Bool?

    @Option(help: ArgumentHelp("Fix all that is random.", valueName: "number"))
    var seed: UInt64?

    @OptionGroup(title: "TLS") var tls: TLSOptions
    @OptionGroup var clock: ClockOption
    @OptionGroup var shared: SharedOptions

    @Argument(help: ArgumentHelp("Commands, each one argument.", valueName: "command"))
    var commands: [String] = []

    func run() async throws {
        let logger = shared.startLogging("im-client")
        let (occurrences, occur) = AsyncStream.makeStream(of: Occurrence.self)
        let signals = try TerminationSignals { occur.yield(.interrupted) }
        let script = try script()
        let core = try CoreAddress(argument: core)
        let bound = try bind(core)
        var settings = try settings(core, listeners: bound.listeners)
        settings.watchesRegistration = watchRegistration ?? IMClientCommand.stays(for: script)
        let tls = try NodeTLS(tls, domain: settings.domain, listeners: bound.listeners, core: core)
        defer { tls.removeFiles() }
        let membership = try clock.join(named: publicIdentity, listeners: bound.listeners)
        let client = IMClient(settings: settings, start: NodeClock(membership).now)
        let node = ReportingClient(client) { report in
            for event in report.events { Descriptor.write(event.jsonLine + "\n", to: STDOUT_FILENO) }
            for outcome in report.outcomes.dropLast(report.hasQuit ? 1 : 0) { occur.yield(.commandEnded(outcome)) }
            if report.hasQuit, let outcome = report.outcomes.last { occur.yield(.quit(outcome)) }
        }
        var configuration = ShardConfiguration(logger: logger)
        configuration.traceMessages = 0
        configuration.security = tls.security
        configuration.go(by: membership)
        let shard: Shard<ReportingClient>
        do throws(SystemFailure) {
            shard = try Shard(node, on: bound, configuration)
            try shard.start(name: "im-client")
        } catch {
            throw CommandFailure(status: 3, text: "cannot start: \(error)")
        }
        try ReadyLine.announce(role: "im-client", sip: shard.listeners, http: nil, extra: tls.readyMembers, readyFile: shared.readyFile)
        let session = ClientSession(shard: shard, occur: { occur.yield($0) })
        let hasSucceeded = await session.run(script, through: occurrences)
        await shard.stop()
        withExtendedLifetime(signals) {}
        if !hasSucceeded { throw CommandFailure(status: 1, text: nil) }
    }

    /// Whether there will be somebody to be told.
    private static func stays(for script: [ClientCommand]?) -> Bool {
        guard let script else { return true }
        return script.contains { if case .wait = $0 { true } else { false } }
    }

    // MARK: Arguments

    /// The commands of the command line; nil: they come on standard input. A wrong one is told before anything is sent.
    private func script() throws(CommandFailure) -> [ClientCommand]? {
        guard !commands.isEmpty else { return nil }
        var script: [ClientCommand] = []
        for line in commands {
            do throws(CommandFault) {
                if let command = try ClientCommand.parse(line) { script.append(command) }
            } catch {
                Descriptor.write(ClientEvent(.error(text: error.text), at: SystemClock.now.wall).jsonLine + "\n", to: STDOUT_FILENO)
                throw CommandFailure(status: 2, text: error.text)
            }
        }
        return script
    }

    private func bind(_ core: CoreAddress) throws(CommandFailure) -> BoundListeners {
        var addresses: [NodeRuntime.ListenAddress] = []
        for text in listen { addresses.append(try NodeRuntime.ListenAddress(argument: text)) }
        if addresses.isEmpty {
            let loopback = core.endpoint.address.isIPv6 ? IPAddress(high: 0, low: 1) : .loopback
            addresses.append(ListenAddress(transport: core.transport, endpoint: Endpoint(address: loopback, port: 0)))
        }
        do throws(BindFailure) { return try BoundListeners(binding: addresses) } catch {
            throw CommandFailure(status: 3, text: error.description)
        }
    }

    private func settings(_ core: CoreAddress, listeners: [Listener]) throws(CommandFailure) -> IMClientSettings {
        guard listeners.contains(where: { $0.transport == core.transport }) else {
            throw CommandFailure(
                status: 2,
                text: "the core is reached by \(core.transport.name), but no --listen is; add --listen \(core.transport.name)://127.0.0.1:0"
            )
        }
        let octets = Array(publicIdentity.utf8)
        let bytes = octets.span.bytes
        guard let uri = bytes.uri(Slice(0, octets.count)), uri.scheme != .other, !uri.user.isEmpty else {
            throw CommandFailure(
                status: 2, text: "--public-identity \(publicIdentity): not a SIP or tel URI of a user; write sip:alice@home1.test")
        }
        let ownDomain = uri.isSIP ? String(octets: bytes[uri.host]) : nil
        guard let domain = domain ?? ownDomain else {
            throw CommandFailure(status: 2, text: "--public-identity \(publicIdentity) names no domain; add --domain home1.test")
        }
        var settings = IMClientSettings(
            domain: domain, publicIdentity: publicIdentity, privateIdentity: privateIdentity, password: password ?? "", core: core.endpoint,
            coreTransport: core.transport, listeners: listeners, seed: seed ?? UInt64.random(in: 0 ... .max))
        settings.registrationExpires = expires
        settings.settingsExpires = settingsExpires
        if let aka { settings.sim = try AKACredentials(argument: aka) }
        return settings
    }
}
