// `sipcore load`: a load of SIP transactions against a registrar and proxy, ours or another.

import JSONText
import ArgumentParser
import Glibc
import LoadDriver
import LoadGenerator
import SansIO
import Synchronization

struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Load a SIP server, and tell its rate, its latencies and what went wrong.",
        discussion: """
            One process plays the UEs, the called UEs and the application server, by UDP. Modes: options; register (users who \
            were not registered, as long as there are any); reregister; register-auth (401 and digest); publish (to the \
            application server, by Accept-Contact); message (to a called UE); third-party-register (REGISTER, and the \
            third-party REGISTER at the application server); call (INVITE, 180, 200, ACK, BYE, 200). A transaction counts when \
            all has been seen at all ends. Users whom a mode needs registered are registered first; that and the warm-up are \
            not counted.

            With --window each transaction that ends begins the next (closed loop). With --rate they begin at that pace, and \
            latency counts from when one was due (open loop, no coordinated omission).

            Exit status: 0 all transactions were completed; 1 some failed, or the target did not answer; 2 wrong usage; \
            3 could not start. SIGINT ends the load and tells what was done so far.
            """)

    @Argument(help: ArgumentHelp("The server: sip:127.0.0.1:5060.", valueName: "target-uri"))
    var target: String

    @Option(help: ArgumentHelp("What each transaction is.", valueName: "mode"))
    private var mode: ModeArgument?

    @Option(help: ArgumentHelp("Several modes with their shares: register=50,publish=30,message=20.", valueName: "shares"))
    var mix: String?

    @Option(help: ArgumentHelp("Transactions begun a second.", valueName: "number"))
    var rate: Double?

    @Option(help: ArgumentHelp("Transactions outstanding (default: 64).", valueName: "number"))
    var window: Int?

    @Option(help: ArgumentHelp("Transactions that are counted.", valueName: "number"))
    var count: Int?

    @Option(help: ArgumentHelp("How long transactions are begun (default: 10s).", valueName: "time"))
    var duration: DurationArgument?

    @Option(help: ArgumentHelp("Transactions before those that are counted.", valueName: "number"))
    var warmUp = 1000

    @Option(help: ArgumentHelp("How many of the user template's users take part (default: all).", valueName: "number"))
    var users: Int?

    @Option(help: ArgumentHelp("The users' names, as a topology names a range of subscribers.", valueName: "template"))
    var userTemplate = "u{0000000..0009999}"

    @Option(help: ArgumentHelp("The users' passwords.", valueName: "template"))
    var passwordTemplate = "pw-{name}"

    @Option(
        help: ArgumentHelp(
            "The home network domain (default: the target's host, or home1.test if that is an address).", valueName: "domain"))
    var domain: String?

    @Option(help: ArgumentHelp("Where the UEs send from (default: any port).", valueName: "address"))
    var from: String?

    @Option(help: ArgumentHelp("Where the called UEs are, the contact of every registration (default: any port).", valueName: "address"))
    var called: String?

    @Option(
        name: .customLong("as"),
        help: ArgumentHelp("Where the application server is that the target sends to (default: port 5080).", valueName: "address"))
    var applicationServer: String?

    @Option(help: ArgumentHelp("How long a transaction may take.", valueName: "time"))
    var transactionTimeout = DurationArgument(.seconds(32))

    @Option(help: ArgumentHelp("Tell the processor time and memory of this process and those below it.", valueName: "pid"))
    var serverPid: Int32?

    @Option(help: ArgumentHelp("How long the server has to clean up before its processor time is read.", valueName: "time"))
    var settle = DurationArgument(.zero)

    @Option(help: ArgumentHelp("Write the report to this file as JSON.", valueName: "file"), completion: .file())
    var report: String?

    @Flag(help: "Print the report as one line of JSON in place of the table.")
    var json = false

    @Option(help: ArgumentHelp("Fix all that is random.", valueName: "number"))
    var seed: UInt64?

    func run() async throws {
        let stop = StopWish()
        let signals = try TerminationSignals { stop.express() }
        let core = try CoreAddress(argument: target, of: "the target")
        let server = try watchedServer()
        let mix = try chosenMix()
        let ports = try bind(towards: core.endpoint)
        let plan = try plan(for: core, mix, stations: ports.map(\.local))
        let driver: LoadDriver
        do throws(LoadPlanFault) { driver = try LoadDriver(plan, ports: ports, shouldStop: { stop.isExpressed }) } catch {
            throw CommandFailure(status: 2, text: error.description)
        }
        let outcome = driver.run(watching: server, settling: settle.span) { _ in }
        withExtendedLifetime(signals) {}
        let report = LoadReport(target: target, plan: plan, outcome: outcome, server: server)
        try tell(report)
        if let failure = report.failure { throw CommandFailure(status: 1, text: failure) }
    }

    private func tell(_ load: LoadReport) throws(CommandFailure) {
        let line = load.json.written + "\n"
        Descriptor.write(json ? line : load.table, to: STDOUT_FILENO)
        guard let path = report else { return }
        do throws(FileFailure) { try Descriptor.replace(path, with: line) } catch {
            throw CommandFailure(status: 3, text: "cannot write the report \(path): \(error.reason)")
        }
    }

    // MARK: Arguments

    private func chosenMix() throws(CommandFailure) -> ModeShares {
        guard let mix else { return ModeShares(mode?.mode ?? .register) }
        guard mode == nil else { throw CommandFailure(status: 2, text: "--mode and --mix exclude each other; a mix names its modes") }
        do throws(LoadPlanFault) { return try ModeShares(mix) } catch {
            throw CommandFailure(status: 2, text: error.description)
        }
    }

    private func watchedServer() throws(CommandFailure) -> ServerProcess? {
        guard let serverPid else { return nil }
        let server = ServerProcess(pid: serverPid)
        guard serverPid > 0, server.exists else {
            throw CommandFailure(status: 2, text: "--server-pid \(serverPid): there is no such process")
        }
        return server
    }

    /// The three sockets; those whose address is not given are on the address from which the system would send to the target.
    private func bind(towards target: Endpoint) throws(CommandFailure) -> [DatagramPort] {
        let given = [(from, "--from", 0), (called, "--called", 0), (applicationServer, "--as", 5080)]
        var addresses: [Endpoint] = []
        do throws(SocketFailure) {
            let local = try DatagramPort.localAddress(towards: target)
            for (_, _, port) in given { addresses.append(Endpoint(address: local, port: UInt16(port))) }
        } catch {
            throw CommandFailure(status: 3, text: error.description)
        }
        for (number, (text, option, _)) in given.enumerated() {
            if let text { addresses[number] = try Endpoint(argument: text, of: option) }
            guard addresses[number].address.isIPv6 == target.address.isIPv6 else {
                throw CommandFailure(status: 2, text: "\(option) \(text ?? ""): the target is of the other address family")
            }
        }
        var ports: [DatagramPort] = []
        for address in addresses {
            do throws(SocketFailure) { ports.append(try DatagramPort(binding: address)) } catch {
                throw CommandFailure(status: 3, text: error.description)
            }
        }
        return ports
    }

    private func plan(for core: CoreAddress, _ mix: ModeShares, stations: [Endpoint]) throws(CommandFailure) -> LoadPlan {
        guard core.transport == .udp else { throw CommandFailure(status: 2, text: "the target \(target): a load goes by UDP only") }
        guard rate == nil || window == nil else { throw CommandFailure(status: 2, text: "--rate and --window exclude each other") }
        guard count == nil || duration == nil else { throw CommandFailure(status: 2, text: "--count and --duration exclude each other") }
        let pieces = passwordTemplate.split(separator: "{name}", maxSplits: 1, omittingEmptySubsequences: false)
        do throws(LoadPlanFault) {
            var plan = LoadPlan(
                target: core.endpoint, domain: domain ?? core.namedHost ?? "home1.test", mix: mix, users: try UserTemplate(userTemplate),
                stations: stations, seed: seed ?? UInt64.random(in: 0 ... .max))
            if let users { plan.userCount = users }
            plan.passwordPrefix = Array(pieces[0].utf8)
            plan.passwordSuffix = pieces.count > 1 ? Array(pieces[1].utf8) : []
            plan.passwordHasName = pieces.count > 1
            plan.pacing = rate.map { .rate(perSecond: $0) } ?? .window(window ?? 64)
            plan.extent = count.map { .count($0) } ?? .duration(duration?.span ?? .seconds(10))
            plan.warmUp = warmUp
            plan.patience = transactionTimeout.span
            try plan.validate()
            return plan
        } catch {
            throw CommandFailure(status: 2, text: error.description)
        }
    }
}

/// Whether somebody wants the load to end, told across threads.
private final class StopWish: Sendable {
    private let value = Atomic(false)
    var isExpressed: Bool { value.load(ordering: .relaxed) }
    func express() { value.store(true, ordering: .relaxed) }
}

extension CoreAddress {
    /// The host of the URI, if it is a name and no address.
    fileprivate var namedHost: String? {
        var host = uri.dropFirst(uri.prefix { $0 != ":" }.count + 1)
        host = host.prefix { $0 != ";" && $0 != ":" && $0 != "?" }
        let name = String(host.split(separator: "@").last ?? "")
        return IPAddress(name) == nil && !name.hasPrefix("[") && name != "localhost" && !name.isEmpty ? name : nil
    }
}

/// The word for a mode.
private struct ModeArgument: ExpressibleByArgument {
    var mode: LoadMode

    init?(argument: String) {
        guard let mode = LoadMode(name: argument) else { return nil }
        self.mode = mode
    }

    static var allValueStrings: [String] { LoadMode.allCases.map(\.name) }
}
