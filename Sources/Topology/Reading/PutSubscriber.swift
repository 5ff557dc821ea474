// One subscriber that is put while the core runs: the fields that stand under its name in a file, as a JSON object. JSON is
// YAML but for two escapes, so it is read as a file is, with the rest of the topology around it.

extension Topology {
    /// Reads one subscriber of this topology. Whether its identities are another's already is not asked.
    ///
    /// - Parameters:
    ///   - name: of one subscriber, no range.
    ///   - json: an object with the fields of a subscriber.
    ///   - surroundings: whose environment is not looked at.
    public func subscriber(
        named name: String, json: String, in surroundings: Surroundings
    ) throws(FieldFault) -> Subscriber {
        try Topology.checkSingleName(name)
        var surroundings = surroundings
        // Whoever puts a subscriber need not learn what the environment holds.
        surroundings.environment = nil
        var reader = Reader(file: file, surroundings: surroundings)
        reader.topology = self
        reader.topology.subscribers = []
        let section = try reader.section(json, of: SubscriberKeys.shape, such: "{\"password\": \"...\"}")
        reader.readSubscriber(named: name, section)
        if let fault = reader.firstFault(in: section) { throw fault }
        guard let subscriber = reader.topology.subscribers.first else {
            throw FieldFault(field: nil, "nothing can be read of the subscriber; write a JSON object")
        }
        return subscriber
    }

    /// - Throws: if a name is none, or stands for many.
    public static func checkSingleName(_ name: String) throws(FieldFault) {
        let pattern: NamePattern
        do throws(Wrong) { pattern = try NamePattern(parsing: name) } catch { throw FieldFault(field: "name", error.text) }
        guard pattern.range == nil else {
            throw FieldFault(field: "name", "'\(name)' is many subscribers; write the name of one, or the range in the topology file")
        }
    }
}

extension Reader {
    /// Reads one subscriber as if it were the only one of the file.
    fileprivate mutating func readSubscriber(named name: String, _ section: Node) {
        let entry = Node.Entry(key: name, position: section.position, value: section)
        readSubscribers(Node(content: .map([entry]), position: section.position))
    }
}
