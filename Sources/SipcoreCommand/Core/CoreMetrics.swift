// The counters of a core in the words of Prometheus.

import ControlHTTP
import NodeRuntime
import SCSCF
import SIPMessage
import SIPRegistrar
import SIPTransaction
import SansIO

/// What the core itself counts, taken in one go.
struct CoreFigures: Sendable {
    private(set) var registered: Int
    private(set) var subscriptions: Int
    private(set) var transactions: [(kind: TransactionKind, count: Int)]
    private(set) var counters: CoreCounters
    let servers: [String]

    init(_ node: borrowing ServingCSCF) {
        registered = node.registeredCount
        subscriptions = node.subscriptionCount
        var transactions: [(kind: TransactionKind, count: Int)] = []
        for kind in TransactionKind.allCases { transactions.append((kind, node.transactionCount(of: kind))) }
        self.transactions = transactions
        counters = node.counters
        servers = node.applicationServerNames
    }

    /// Those of all shards together; there is one at least.
    init(_ shards: [CoreFigures]) {
        self = shards[0]
        for other in shards.dropFirst() {
            registered += other.registered
            subscriptions += other.subscriptions
            for i in transactions.indices { transactions[i].count += other.transactions[i].count }
            counters.add(other.counters)
        }
    }

    var families: [MetricFamily] {
        var received: [MetricFamily.Sample] = []
        counters.forEachReceived { transport, method, status, count in
            received.append(
                MetricFamily.Sample(
                    ["transport": "\(transport.name)", "method": CoreMetrics.name(method), "status": CoreMetrics.name(status)], count: count
                ))
        }
        var thirdParty: [MetricFamily.Sample] = []
        var thirdPartyByType: [MetricFamily.Sample] = []
        for (number, server) in servers.enumerated() {
            for result in RequestResult.allCases {
                thirdParty.append(
                    MetricFamily.Sample(
                        ["application_server": server, "result": result.name], count: counters.thirdParty(number, result)))
                for kind in RegistrationChange.Kind.allCases {
                    thirdPartyByType.append(
                        MetricFamily.Sample(
                            ["application_server": server, "registration_type": kind.name, "result": result.name],
                            count: counters.thirdParty(number, kind, result)))
                }
            }
        }
        return [
            MetricFamily(
                "sipcore_messages_received_total", .counter, help: "Messages taken in, by transport, method and status.", received),
            MetricFamily("sipcore_registrations", .gauge, help: "Subscribers with a contact.", [MetricFamily.Sample(count: registered)]),
            MetricFamily(
                "sipcore_reg_subscriptions", .gauge, help: "Subscriptions to registration state.",
                [MetricFamily.Sample(count: subscriptions)]),
            MetricFamily(
                "sipcore_reg_notifies_total", .counter, help: "NOTIFY requests of registration state and what came of them.",
                RequestResult.allCases.map {
                    MetricFamily.Sample(["result": $0.name], count: counters.notifies[Int($0.rawValue)])
                }),
            MetricFamily(
                "sipcore_transactions", .gauge, help: "Transactions alive, lingering ones included.",
                transactions.map { MetricFamily.Sample(["kind": "\($0.kind.name)"], count: $0.count) }),
            MetricFamily(
                "sipcore_third_party_registers_total", .counter, help: "Third-party REGISTER requests and what came of them.", thirdParty),
            MetricFamily(
                "sipcore_third_party_registers_by_type_total", .counter,
                help: "The same by the type of registration that they told of.", thirdPartyByType),
            MetricFamily(
                "sipcore_retransmissions_absorbed_total", .counter, help: "Requests and responses that had been dealt with before.",
                [MetricFamily.Sample(count: counters.retransmissionsAbsorbed)]),
            MetricFamily(
                "sipcore_malformed_total", .counter, help: "Messages with a fault, by its kind.",
                MessageFault.Reason.allCases.map {
                    MetricFamily.Sample(["fault": "\($0.text)"], count: counters.malformed[Int($0.rawValue)])
                }),
        ]
    }
}

enum CoreMetrics {
    static func families(of runtime: RuntimeCounters, _ core: CoreFigures) -> [MetricFamily] {
        let sent = runtime.sentByKind.map { kind in
            MetricFamily.Sample(
                [
                    "transport": "\(kind.transport.name)", "method": name(SIPMessage.Method(rawValue: kind.method) ?? .other),
                    "status": name(kind.status),
                ], count: kind.messages)
        }
        var dropped = SCSCF::DropReason.allCases.map {
            MetricFamily.Sample(["reason": $0.name], count: core.counters.dropped[Int($0.rawValue)])
        }
        dropped += NodeRuntime::DropReason.allCases.map { MetricFamily.Sample(["reason": $0.rawValue], count: runtime.dropped($0)) }
        return [
            MetricFamily("sipcore_messages_sent_total", .counter, help: "Messages sent, by transport, method and status.", sent),
            MetricFamily("sipcore_messages_dropped_total", .counter, help: "Messages not worked on or not sent, by reason.", dropped),
            MetricFamily(
                "sipcore_streams_open", .gauge, help: "Streams that are open now.", [MetricFamily.Sample(count: runtime.streamsOpen)]),
            MetricFamily(
                "sipcore_streams_ended_total", .counter, help: "Streams that ended, by reason.",
                StreamEnding.allCases.map { MetricFamily.Sample(["reason": $0.rawValue], count: runtime.ended($0)) }),
            MetricFamily(
                "sipcore_stun_answered_total", .counter, help: "Binding requests of STUN that were answered.",
                [MetricFamily.Sample(count: runtime.stunAnswered)]),
        ]
    }

    /// A method that is not known by name counts as `other`.
    static func name(_ method: SIPMessage.Method) -> String { method == .other ? "other" : "\(method.text)" }

    /// Empty for a request.
    static func name(_ status: UInt16) -> String { status == 0 ? "" : "\(status)" }
}
