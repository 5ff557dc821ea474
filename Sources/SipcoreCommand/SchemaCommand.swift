// `sipcore schema`: what editors complete and check a topology by.

import ArgumentParser
import Glibc
import Topology

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Print the JSON Schema of a topology, for editors.",
        discussion: "In a topology's first line: # yaml-language-server: $schema=PATH")

    func run() throws { Descriptor.write(TopologySchema.json, to: STDOUT_FILENO) }
}
