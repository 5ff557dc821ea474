// `sipcore-bench`: the project's own benchmark.
//
//   sipcore-bench compare [options]              whole processes over loopback: ours, Kamailio if it is there, and the floor
//   sipcore-bench core [TRANSACTIONS] [MODE...]  the core alone, without sockets; `sipcore-bench [TRANSACTIONS] [MODE...]` too
//   sipcore-bench echo PORT UE SERVER CALLED     the floor's server (`compare` starts it)

import Foundation

@main
struct Main {
    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch arguments.first {
        case "compare": exit(Comparison.run(Array(arguments.dropFirst())))
        case "echo": exit(Echo.run(Array(arguments.dropFirst())))
        case "core": Bench.run(Array(arguments.dropFirst()))
        default: Bench.run(arguments)
        }
    }
}
