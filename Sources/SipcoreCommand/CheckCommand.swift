// `sipcore check`: every fault of every topology named.

import ArgumentParser
import Glibc
import Topology

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Validate topologies: every fault as FILE:LINE:COLUMN: error: what is wrong; what to write instead.",
        discussion: """
            A warning names what the core would start with and leave out. Exit status: 0 if there is no error; \
            1 if there is one, with --strict a warning too; 3 if a file cannot be read.
            """)

    @Argument(help: ArgumentHelp("Topology files.", valueName: "topology"), completion: .file(extensions: ["yaml", "yml"]))
    var topologies: [String]

    @Flag(help: "A warning is as bad as an error.")
    var strict = false

    func run() throws {
        var unreadable = false
        var isRight = true
        for path in topologies {
            do throws(CommandFailure) {
                let (topology, faults) = try TopologyFile.read(path, isLab: false)
                for fault in faults { Descriptor.write("\(fault)\n", to: STDOUT_FILENO) }
                isRight = isRight && topology != nil && !(strict && !faults.isEmpty)
            } catch {
                if let text = error.text { complain(text) }
                unreadable = true
            }
        }
        if unreadable { throw CommandFailure(status: 3, text: nil) }
        if !isRight { throw CommandFailure(status: 1, text: nil) }
    }
}
