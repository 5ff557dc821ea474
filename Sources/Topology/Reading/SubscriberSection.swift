// The section `subscribers`: identities, credentials and the criteria that hold for each.

import XMLTree

extension Reader {
    mutating func readSubscribers(_ node: Node?) {
        let entries = node?.entries ?? []
        var claims = Claims(count: entries.count)
        readSubscribers(entries) { reader, subscriber, section, position in
            reader.claim(subscriber, section, at: position, &claims)
        }
    }

    /// Appends the subscribers of these entries; each is shown to `claim` before.
    mutating func readSubscribers(_ entries: [Node.Entry], claim: (inout Reader, Subscriber, _ section: Node, Position) -> Void) {
        topology.subscribers.reserveCapacity(entries.count)
        var plans = CriteriaPlans(topology.applicationServers)
        let codec = Codec<Node>.object(SubscriberKeys.shape)
        for entry in entries {
            guard let name = try? NamePattern(parsing: entry.key), let section = codec.read(entry.value) else { continue }
            var subscriber = Subscriber(name: name, privateIdentities: [], publicIdentities: [])
            subscriber.authentication = section[SubscriberKeys.authentication]
            subscriber.serviceProfile = section[SubscriberKeys.profile]
            subscriber.profileDocument = section[SubscriberKeys.profileXML]
            subscriber.address = section[SubscriberKeys.address]
            let document = profileDocument(section, name)
            readPrivateIdentities(section, document, into: &subscriber)
            readPublicIdentities(section, document, into: &subscriber)
            readCriteria(section, document, &plans, into: &subscriber)
            claim(&self, subscriber, section, entry.position)
            topology.subscribers.append(subscriber)
        }
    }

    // MARK: Identities and credentials

    private mutating func readPrivateIdentities(_ section: Node, _ document: ProfileDocument?, into subscriber: inout Subscriber) {
        let own = document?.privateIdentity ?? section[SubscriberKeys.privateIdentity] ?? "{name}"
        checkCredentials(section, of: "the subscriber", subscriber)
        subscriber.privateIdentities = [privateIdentity(own, section)]
        for device in section[SubscriberKeys.privateIdentities]?.entries ?? [] {
            guard let credentials = Codec<Node>.object(DeviceKeys.shape).read(device.value) else { continue }
            checkCredentials(credentials, of: "the private identity", subscriber)
            subscriber.privateIdentities.append(privateIdentity(device.key, credentials))
        }
    }

    private func privateIdentity(_ identity: String, _ section: Node) -> PrivateIdentity {
        PrivateIdentity(
            identity: NameTemplate(withDomain(identity)),
            password: section[SubscriberKeys.password].map(NameTemplate.init), aka: simKeys(section))
    }

    /// A private identity without a domain is of the home network's.
    private func withDomain(_ identity: String) -> String {
        identity.holds(UInt8(ascii: "@")) ? identity : "\(identity)@\(topology.domain)"
    }

    /// The credentials of a SIM; nil: there are none, or they are not whole.
    private func simKeys(_ section: Node) -> SIMKeys? {
        guard let entry = section.entry(SubscriberKeys.aka.name), let node = Codec<Node>.object(AKAKeys.shape).read(entry.value),
            let k = node[AKAKeys.k].flatMap({ UInt128($0, radix: 16) })
        else { return nil }
        let code: SIMKeys.OperatorCode
        if let opc = node[AKAKeys.opc].flatMap({ UInt128($0, radix: 16) }) {
            code = .opc(opc)
        } else if let op = node[AKAKeys.op].flatMap({ UInt128($0, radix: 16) }) {
            code = .op(op)
        } else {
            return nil
        }
        var keys = SIMKeys(k: k, code: code)
        keys.amf = node[AKAKeys.amf].flatMap { UInt16($0, radix: 16) } ?? keys.amf
        keys.sqn = node[AKAKeys.sqn].flatMap { UInt64($0, radix: 16) } ?? keys.sqn
        return keys
    }

    /// Whoever must answer a challenge has what it takes.
    private mutating func checkCredentials(_ section: Node, of whose: String, _ subscriber: Subscriber) {
        let hasPassword = section.entry(SubscriberKeys.password.name) != nil
        let aka = section.entry(SubscriberKeys.aka.name)
        switch subscriber.authentication ?? (aka != nil && !hasPassword ? .aka : topology.core.authentication) {
        case .digest where !hasPassword:
            error(
                section.position,
                "\(whose) has no password to be challenged for; write 'password: ...', or 'authentication: none' if none is asked",
                missing: SubscriberKeys.password.name)
        case .aka where aka == nil:
            error(section.position, "\(whose) has no key for AKA; write 'aka: {k: ..., opc: ...}'", missing: SubscriberKeys.aka.name)
        case .giba where section.entry(SubscriberKeys.address.name) == nil:
            error(
                section.position, "\(whose) has no address to be known by; write 'address: 127.0.0.1', or the client's own",
                missing: SubscriberKeys.address.name)
        default: break
        }
        guard let aka, let keys = Codec<Node>.object(AKAKeys.shape).read(aka.value) else { return }
        if let opc = keys.entry(AKAKeys.opc.name), keys.entry(AKAKeys.op.name) != nil {
            error(opc.position, "'opc' and 'op' exclude each other; write one of them")
        } else if keys.entry(AKAKeys.opc.name) == nil, keys.entry(AKAKeys.op.name) == nil {
            error(aka.value.position, "the operator's code is missing in aka; write 'opc: ...' or 'op: ...', 32 hexadecimal digits")
        }
    }

    private mutating func readPublicIdentities(_ section: Node, _ document: ProfileDocument?, into subscriber: inout Subscriber) {
        if let document {
            subscriber.publicIdentities = document.publicIdentities
        } else if let identities = section[SubscriberKeys.publicIdentities] {
            subscriber.publicIdentities = identities.map { PublicIdentity(uri: NameTemplate($0)) }
        } else {
            subscriber.publicIdentities = [PublicIdentity(uri: NameTemplate("sip:{name}@\(topology.domain)"))]
        }
    }

    // MARK: Criteria

    /// The criteria that stand for a profile's name and a list of servers, made once: subscribers that have the same share
    /// them.
    private struct CriteriaPlans {
        struct Key: Hashable {
            var profile: String?
            var servers: [String]
        }
        let shortForms: [String: [FilterCriterion]]
        var criteria: [Key: [FilterCriterion]] = [:]

        init(_ servers: [ApplicationServer]) {
            shortForms = Dictionary(servers.map { ($0.name, FilterCriterion.shortForm(of: $0)) }) { first, _ in first }
        }
    }

    private mutating func readCriteria(
        _ section: Node, _ document: ProfileDocument?, _ plans: inout CriteriaPlans, into subscriber: inout Subscriber
    ) {
        var criteria = document?.filterCriteria ?? []
        var key = CriteriaPlans.Key(profile: nil, servers: [])
        if let name = section[SubscriberKeys.profile], let value = section[node: SubscriberKeys.profile] {
            if let profile = topology.serviceProfiles.first(where: { $0.name == name }) {
                criteria = profile.filterCriteria
                key.profile = name
            } else {
                error(
                    value.position,
                    unknown("service profile", name, among: topology.serviceProfiles.map(\.name), section: "service_profiles"))
            }
        }
        var shortForm: [FilterCriterion] = []
        for element in section[node: SubscriberKeys.servers]?.elements ?? [] {
            guard let name = element.text, serverURI(name, at: element.position) != nil else { continue }
            if subscriber.applicationServers.contains(name) {
                error(element.position, "'\(name)' is in this list already; write each application server once")
                continue
            }
            subscriber.applicationServers.append(name)
            let own = plans.shortForms[name] ?? []
            if own.isEmpty, !criteria.contains(where: { $0.applicationServer == name }) {
                warn(
                    element.position,
                    "nothing is sent to '\(name)', which has no feature_tags; give it some, or write a service_profile that names it")
            }
            shortForm += own
        }
        key.servers = subscriber.applicationServers
        if document == nil, let made = plans.criteria[key] {
            subscriber.filterCriteria = made
            return
        }
        warnOfRepetitions(section, criteria, shortForm)
        subscriber.filterCriteria = FilterCriterion.followed(criteria, by: shortForm)
        if document == nil { plans.criteria[key] = subscriber.filterCriteria }
        for index in subscriber.publicIdentities.indices {
            guard let own = subscriber.publicIdentities[index].filterCriteria else { continue }
            subscriber.publicIdentities[index].filterCriteria = FilterCriterion.followed(own, by: shortForm)
        }
    }

    private mutating func warnOfRepetitions(_ section: Node, _ criteria: [FilterCriterion], _ shortForm: [FilterCriterion]) {
        guard !criteria.isEmpty, !shortForm.isEmpty else { return }
        let texts = CriterionCheck.repetitions(of: criteria, by: shortForm)
        for element in section[node: SubscriberKeys.servers]?.elements ?? [] {
            if let name = element.text, let text = texts[name] { warn(element.position, text) }
        }
    }

    // MARK: Documents

    /// The document of `profile_xml`; nil if there is none or nothing can be taken from it.
    private mutating func profileDocument(_ section: Node, _ name: NamePattern) -> ProfileDocument? {
        guard let written = section[SubscriberKeys.profileXML], let value = section[node: SubscriberKeys.profileXML] else { return nil }
        refuse([SubscriberKeys.publicIdentities.name, SubscriberKeys.profile.name], besideDocumentIn: section)
        if name.range != nil {
            error(value.position, "a document names one user, and '\(name.text)' is many; write a subscriber for it")
            return nil
        }
        guard let tree = profileTree(written, at: value.position) else { return nil }
        guard let subscription = subscription(in: tree, of: section, name) else { return nil }
        var reader = ProfileDocumentReader(
            file: Path.beside(file, written), servers: topology.applicationServers, profiles: topology.serviceProfiles,
            searchesWholeURI: topology.core.requestURIScopeIsFull, expressionFault: surroundings.expressionFault)
        let document = reader.read(subscription)
        add(reader.faults)
        return document
    }

    /// What a document says cannot be said beside it.
    private mutating func refuse(_ keys: [String], besideDocumentIn section: Node) {
        for entry in section.entries where keys.contains(entry.key) {
            error(entry.position, "'\(entry.key)' is in the document that profile_xml names; leave it out here")
        }
    }

    /// Of a file with many subscriptions the one of this subscriber, by its private identity.
    private mutating func subscription(in tree: ProfileTree, of section: Node, _ name: NamePattern) -> XMLElement? {
        guard tree.isCollection else {
            refuse([SubscriberKeys.privateIdentity.name], besideDocumentIn: section)
            return tree.root
        }
        let written = section[node: SubscriberKeys.privateIdentity] ?? section[node: SubscriberKeys.profileXML]
        let identity = withDomain(section[SubscriberKeys.privateIdentity] ?? name.text)
        if let member = tree.member(identity) { return member }
        let advice = tree.advice(for: identity)
        error(
            (written ?? section).position,
            "no IMSSubscription of the file has the PrivateID '\(identity)'; "
                + (advice.hasPrefix("write '") ? advice.replacing("write '", with: "write private_identity: '") : advice))
        return nil
    }

    /// A file of `profile_xml`, read the first time that a subscriber names it.
    private mutating func profileTree(_ written: String, at position: Position) -> ProfileTree? {
        let path = Path.absolute(written, from: folder)
        if let known = profileTrees[path] { return known }
        let tree = readProfileTree(path, written, at: position)
        profileTrees[path] = .some(tree)
        return tree
    }

    private mutating func readProfileTree(_ path: String, _ written: String, at position: Position) -> ProfileTree? {
        let bytes: [UInt8]
        do throws(UnreadableFile) {
            bytes = try surroundings.readFile(path)
        } catch {
            self.error(position, "cannot read \(path): \(error.reason); write the name of a readable file")
            return nil
        }
        let place = Path.beside(file, written)
        do throws(XMLFault) {
            let tree = try ProfileTree(bytes)
            if let (identity, first, second) = tree.repetition {
                let text = "the PrivateID '\(identity)' is that of an earlier IMSSubscription (line \(first.line)); write each once"
                add([Fault(.error, file: place, line: second.line, column: second.column, text: text)])
            }
            return tree
        } catch {
            let text = "\(error.problem); write an IMSSubscription document of TS 29.228 Annex E"
            add([Fault(.error, file: place, line: error.position.line, column: error.position.column, text: text)])
            return nil
        }
    }

    // MARK: Nothing is claimed twice

    private struct Claims {
        var names: ClaimedIdentities
        var privateIdentities: ClaimedIdentities
        var publicIdentities: ClaimedIdentities
        /// Pairs of subscribers that were reported: their default identities would say the same again.
        var reported: Set<[Int]> = []

        init(count: Int) {
            names = ClaimedIdentities(count: count)
            privateIdentities = ClaimedIdentities(count: count)
            // A SIP and a tel URI, as a rule: growing means to hash all of them again.
            publicIdentities = ClaimedIdentities(count: 2 * count)
        }
    }

    private mutating func claim(_ subscriber: Subscriber, _ section: Node, at position: Position, _ claims: inout Claims) {
        let index = topology.subscribers.count
        let name = ClaimedIdentities.Claim(pattern: IdentityPattern(subscriber.name), subscriber: index, position: position)
        if let (earlier, text) = claims.names.claim(name) {
            claims.reported.insert([earlier.subscriber, index])
            let other = topology.subscribers[earlier.subscriber].name.text
            error(
                position,
                "'\(text)' is one of '\(other)' already (line \(earlier.position.line)); write names that no two subscribers share")
        }
        let devices = section[SubscriberKeys.privateIdentities]?.entries ?? []
        for (place, identity) in subscriber.privateIdentities.enumerated() {
            let own = section[node: SubscriberKeys.privateIdentity]?.position ?? position
            let at = place == 0 ? own : devices.indices.contains(place - 1) ? devices[place - 1].position : position
            claim(identity.identity, "private identity", of: subscriber, index, at: at, &claims, \.privateIdentities)
        }
        let nodes = section[node: SubscriberKeys.publicIdentities]?.elements ?? []
        for (place, identity) in subscriber.publicIdentities.enumerated() {
            let at = nodes.indices.contains(place) ? nodes[place].position : position
            claim(identity.uri, "public identity", of: subscriber, index, at: at, &claims, \.publicIdentities)
        }
    }

    private mutating func claim(
        _ template: NameTemplate, _ what: String, of subscriber: Subscriber, _ index: Int, at position: Position, _ claims: inout Claims,
        _ space: WritableKeyPath<Claims, ClaimedIdentities>
    ) {
        guard let pattern = IdentityPattern(template, of: subscriber.name) else {
            let written = template.filled(with: "{name}")
            let advice = template.pieces.count == 1 ? "write {name} in it" : "write {name} once"
            return error(position, "'\(written)' would not tell the subscribers of '\(subscriber.name.text)' apart; \(advice)")
        }
        let claim = ClaimedIdentities.Claim(pattern: pattern, subscriber: index, position: position)
        guard let (earlier, text) = claims[keyPath: space].claim(claim), !claims.reported.contains([earlier.subscriber, index]) else {
            return
        }
        let isOwn = earlier.subscriber == index
        let other = isOwn ? "this subscriber's" : "that of '\(topology.subscribers[earlier.subscriber].name.text)'"
        error(position, "the \(what) '\(text)' is \(other) already (line \(earlier.position.line)); write each identity once")
    }
}

extension FilterCriterion {
    /// Criteria of a profile and then others, which are numbered on from the profile's.
    static func followed(_ criteria: [FilterCriterion], by others: [FilterCriterion]) -> [FilterCriterion] {
        var all = criteria
        var priority = criteria.last.map(\.priority) ?? -1
        for other in others {
            priority += 1
            all.append(other)
            all[all.count - 1].priority = priority
        }
        return all
    }
}
