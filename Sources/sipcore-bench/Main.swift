// `sipcore-bench`: the project's own benchmark.
//
//   sipcore-bench compare [options]              whole processes over loopback: ours, Kamailio if it is there, and the floor
//   sipcore-bench core [TRANSACTIONS] [MODE...]  the core alone, without sockets; `sipcore-bench [TRANSACTIONS] [MODE...]` too
//   sipcore-bench scale [USERS]                  pauses and memory of a core with a million users, in virtual time
//   sipcore-bench profile                        what a filter criterion costs, and the choice among contacts
//   sipcore-bench echo PORT UE SERVER CALLED     the floor's server (`compare` starts it)

import Foundation

@main
struct Main {
    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch arguments.first {
        case "compare": exit(Comparison.run(Array(arguments.dropFirst())))
        case "echo": exit(Echo.run(Array(arguments.dropFirst())))
        case "scale": Scale.run(arguments.dropFirst().compactMap { Int($0) }.first ?? 1_000_000)
        case "profile": ProfileBench.run()
        case "core": Bench.run(Array(arguments.dropFirst()))
        default: Bench.run(arguments)
        }
    }
}
