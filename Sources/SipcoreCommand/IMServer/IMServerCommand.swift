// `sipcore im-server`: the built-in IM Server, alone.

import ArgumentParser
import ControlHTTP
import InstantMessaging
import Logging
import NodeRuntime
import SansIO
import Store

struct IMServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "im-server",
        abstract: "The built-in IM Server, alone: an application server that takes settings and keeps messages for who is away.",
        discussion: """
            It prints one ready line on standard output once it serves, and ends on SIGINT or SIGTERM. The core knows it \
            by its address: application_servers: {im: {uri: sip:127.0.0.1:5080, feature_tags: [+g.oma.sip-im]}}.
            """)

    @Option(help: ArgumentHelp("Where to listen (repeatable); port 0: any that is free.", valueName: "address"))
    var listen = ["udp://127.0.0.1:5080"]

    @Option(help: ArgumentHelp("The core: sip:127.0.0.1:5060, or with ;transport=tcp or ;transport=tls.", valueName: "uri"))
    var core: String

    @Option(help: "The home network domain whose users are served.")
    var domain: String

    @Option(help: ArgumentHelp("Keep messages and who is there in this file; without, in memory.", valueName: "file"), completion: .file())
    var database: String?

    @Option(help: ArgumentHelp("Serve the HTTP interface here: 127.0.0.1:8081.", valueName: "address"))
    var http: String?

    @Option(help: ArgumentHelp("Ask for this bearer token on the HTTP interface; needed off loopback.", valueName: "token"))
    var httpToken: String?

    @OptionGroup(title: "TLS") var tls: TLSOptions
    @OptionGroup(title: "Delivery") var delivery: DeliveryOptions
    @OptionGroup(title: "Settings") var publication: PublicationOptions

    @Option(help: ArgumentHelp("Fix all that is random.", valueName: "number"))
    var seed: UInt64?

    @OptionGroup var clock: ClockOption
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let logger = shared.startLogging("im-server")
        let signals = try TerminationSignals()
        let addresses = try listen.map { text throws(CommandFailure) in try NodeRuntime.ListenAddress(argument: text) }
        let control = try http.map { text throws(CommandFailure) in try Endpoint(httpArgument: text) }
        if let control, !control.address.isLoopback, httpToken == nil {
            throw CommandFailure(status: 2, text: "--http \(control.text) is not loopback, so --http-token is needed; or write 127.0.0.1")
        }
        let bound: BoundListeners
        do throws(BindFailure) { bound = try BoundListeners(binding: addresses) } catch {
            throw CommandFailure(status: 3, text: error.description)
        }
        let address = try CoreAddress(argument: core)
        let membership = try clock.join(named: "im-server", listeners: bound.listeners)
        let settings = settings(listeners: bound.listeners, core: address)
        let tls = try NodeTLS(tls, domain: domain, listeners: bound.listeners, core: address)
        defer { tls.removeFiles() }
        let store = try openStore(logger)
        let time = NodeClock(membership)
        let server = try restoredServer(settings, from: store, at: time.now, logger)
        let shard = try startedShard(server, on: bound, tls, membership, store, logger)
        let backing = RunningIMServer(shard: shard, version: Sipcore.version)
        var interface: RunningControl?
        if let control { interface = try await .start(.imServer(backing), at: control, token: httpToken, logger: logger) }
        try ReadyLine.announce(
            role: "im-server", sip: shard.listeners, http: interface?.address, extra: tls.readyMembers, readyFile: shared.readyFile)
        await signals.wait()
        logger.info("ends")
        await interface?.stop()
        await shard.stop()
        do throws(StoreFailure) { try await store?.close() } catch {
            throw CommandFailure(status: 1, text: error.description)
        }
    }

    private func settings(listeners: [Listener], core: CoreAddress) -> IMServerSettings {
        var settings = IMServerSettings(
            domain: domain, listeners: listeners, core: core.endpoint, coreTransport: core.transport, coreURI: core.uri,
            seed: seed ?? UInt64.random(in: 0 ... .max))
        delivery.apply(to: &settings)
        publication.apply(to: &settings)
        return settings
    }

    private func openStore(_ logger: Logger) throws(CommandFailure) -> Store? {
        guard let database else { return nil }
        do throws(StoreFailure) {
            return try Store.open(database, role: "im-server", tables: IMServer.storeTables) { logger.error("\($0)") }
        } catch {
            throw CommandFailure(status: 3, text: error.description)
        }
    }

    private func restoredServer(
        _ settings: IMServerSettings, from store: Store?, at now: Now, _ logger: Logger
    ) throws(CommandFailure) -> IMServer {
        var server = IMServer(settings: settings, start: now)
        guard let store else { return server }
        var unknown = 0
        for table in IMServer.storeTables.keys.sorted() {
            do throws(StoreFailure) {
                for entry in try store.load(table) where !server.restore(table: table, key: entry.key, value: entry.value, at: now) {
                    unknown += 1
                }
            } catch {
                throw CommandFailure(status: 3, text: error.description)
            }
        }
        if unknown > 0 { logger.warning("\(unknown) records of the database are not understood and left out") }
        return server
    }

    private func startedShard(
        _ server: consuming sending IMServer, on bound: consuming BoundListeners, _ tls: NodeTLS, _ membership: ClockMembership?,
        _ store: Store?, _ logger: Logger
    ) throws(CommandFailure) -> Shard<IMServer> {
        var configuration = ShardConfiguration(logger: logger)
        configuration.traceMessages = 0
        configuration.security = tls.security
        configuration.go(by: membership)
        do throws(SystemFailure) {
            let shard = try Shard(server, on: bound, configuration)
            try shard.start(name: "im-server", committingTo: store)
            let isSuccessor = store.map { !$0.isNew } ?? false
            shard.post { server, now, effects in server.start(asSuccessor: isSuccessor, at: now, into: &effects) }
            return shard
        } catch {
            throw CommandFailure(status: 3, text: "cannot start: \(error)")
        }
    }
}

/// How messages are kept and delivered.
struct DeliveryOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How long a recipient's answer is waited for before a message is kept (700ms, 10s, 1h).", valueName: "time"))
    var deliveryTimeout = DurationArgument(.seconds(10))

    @Option(help: ArgumentHelp("How long after a registration the delivery begins.", valueName: "time"))
    var deliveryDelay = DurationArgument(.zero)

    @Option(help: ArgumentHelp("How long a message is kept whose sender does not say.", valueName: "time"))
    var retention = DurationArgument(.seconds(7 * 86_400))

    @Option(help: ArgumentHelp("How many messages are kept for one user.", valueName: "count"))
    var messageQuota = 500

    @Option(help: ArgumentHelp("How many octets are kept for one user.", valueName: "count"))
    var storageQuota = 2 << 20

    @Option(help: ArgumentHelp("How much later than promised a registration may be refreshed.", valueName: "time"))
    var registrationGrace = DurationArgument(.seconds(32))

    @Flag(help: "Deliver only to a registration with a contact that has the IM feature tag.")
    var requireFeatureTag = false

    @Flag(help: "Subscribe to the registration state of each user that the core tells of (event package reg).")
    var useRegEvent = false

    @Flag(help: "Take From for the sender where the core asserts no identity.")
    var allowFromAsIdentity = false

    func validate() throws {
        guard messageQuota >= 0, storageQuota >= 0 else { throw ValidationError("a quota is below 0; write how much may be kept") }
    }

    func apply(to settings: inout IMServerSettings) {
        settings.deliveryTimeout = deliveryTimeout.span
        settings.deliveryDelay = deliveryDelay.span
        settings.retention = retention.span
        settings.messageQuota = messageQuota
        settings.storageQuota = storageQuota
        settings.registrationGrace = registrationGrace.span
        settings.requiresFeatureTagForDelivery = requireFeatureTag
        settings.watchesRegistrations = useRegEvent
        settings.takesFromAsIdentity = allowFromAsIdentity
    }
}

/// How publications of settings are taken.
struct PublicationOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The least seconds of a publication.", valueName: "seconds"))
    var minExpires: UInt32 = 60

    @Option(help: ArgumentHelp("Seconds of a publication that asks for none.", valueName: "seconds"))
    var defaultExpires: UInt32 = 3600

    @Option(help: ArgumentHelp("The most seconds of a publication.", valueName: "seconds"))
    var maxExpires: UInt32 = 600_000

    @Option(help: ArgumentHelp("Whose word counts where devices differ.", valueName: "rule"))
    var composition = Composition.mostRestrictive

    @Flag(help: "A user's publications end with the registration.")
    var dropSettingsOnDeregistration = false

    enum Composition: String, CaseIterable, ExpressibleByArgument {
        case mostRestrictive = "most-restrictive"
        case lastWriterWins = "last-writer-wins"
    }

    func validate() throws {
        guard minExpires <= defaultExpires, defaultExpires <= maxExpires else {
            throw ValidationError(
                "--min-expires \(minExpires), --default-expires \(defaultExpires) and --max-expires \(maxExpires) are not in rising order")
        }
    }

    func apply(to settings: inout IMServerSettings) {
        settings.expires.minimum = minExpires
        settings.expires.standard = defaultExpires
        settings.expires.maximum = maxExpires
        settings.composition = composition == .lastWriterWins ? .lastWriterWins : .mostRestrictive
        settings.dropsSettingsOnDeregistration = dropSettingsOnDeregistration
    }
}
