// What a topology may say and the core cannot do yet. It is validated like all else and then refused, never passed over. A
// line goes when the core has learned what it names.

extension Reader {
    /// Refuses what the core cannot do yet, at the place of the value that asks for it.
    mutating func refuseUnsupported(_ root: Node) {
        if let core = root[RootKeys.core] { refuseUnsupported(inCore: core) }
    }

    private mutating func refuseUnsupported(inCore core: Node) {
        refuse(core, CoreKeys.clock, true, "a virtual clock", "write 'clock: real', or leave it out")
        for name in [CoreKeys.clockStart.name, CoreKeys.clockPatience.name] {
            if let entry = core.entry(name) {
                error(entry.position, "'\(name)' belongs to a virtual clock, which is not supported yet; leave it out")
            }
        }
    }

    private mutating func refuse<Value: Equatable>(_ node: Node, _ key: Key<Value>, _ value: Value, _ what: String, _ advice: String) {
        if node[key] == value, let place = node[node: key] { error(place.position, "\(what) is not supported yet; \(advice)") }
    }
}
