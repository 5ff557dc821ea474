// The section `service_profiles`: initial filter criteria in the words of TS 29.228 Annex B.

extension Reader {
    mutating func readProfiles(_ node: Node?) {
        var sharedSets: [Int: String] = [:]
        for entry in node?.entries ?? [] {
            guard let section = Codec<Node>.object(ProfileKeys.shape).read(entry.value) else { continue }
            var criteria: [FilterCriterion] = []
            var sound: [(criterion: FilterCriterion, node: Node)] = []
            for element in section[node: ProfileKeys.filterCriteria]?.elements ?? [] {
                guard let criterion = criterion(element) else { continue }
                criteria.append(criterion)
                if !hasErrors(in: element) { sound.append((criterion, element)) }
            }
            warn(of: sound.map(\.criterion), at: sound.map(\.node))
            var profile = ServiceProfile(name: entry.key, filterCriteria: FilterCriterion.ordered(criteria))
            profile.sharedSet = section[ProfileKeys.sharedSet]
            if let set = profile.sharedSet, let value = section[node: ProfileKeys.sharedSet],
                let other = sharedSets.updateValue(entry.key, forKey: set)
            {
                error(value.position, "'\(other)' is the shared set \(set) already; write another number")
            }
            topology.serviceProfiles.append(profile)
        }
    }

    /// What is odd about criteria that are each in order, at the place of the group or of the criterion.
    private mutating func warn(of criteria: [FilterCriterion], at nodes: [Node]) {
        for complaint in CriterionCheck.complaints(criteria) {
            let node = nodes[complaint.criterion]
            let trigger = node.entry(CriterionKeys.trigger.name) ?? node.entry(CriterionKeys.triggerDNF.name)
            let group = complaint.group.flatMap { group in trigger.map { $0.value.elements[group] } }
            warn((group ?? node).position, complaint.text)
        }
    }

    /// Servers that no criterion names: the core sends them nothing. A profile that nobody has yet may be given to somebody later.
    mutating func warnOfIdleServers(_ root: Node) {
        // What names them may be among what is wrong.
        guard !topology.subscribers.isEmpty, !hasUnknownServers, !hasErrorsInDocuments,
            root.entry(RootKeys.subscribers.name).map({ !hasErrors(in: $0.value) }) ?? true
        else { return }
        var idle = Set(topology.applicationServers.map(\.name))
        for profile in topology.serviceProfiles {
            for criterion in profile.filterCriteria { criterion.applicationServer.map { _ = idle.remove($0) } }
        }
        for subscriber in topology.subscribers {
            if idle.isEmpty { return }
            // Of those without feature tags it was said there that nothing is sent.
            idle.subtract(subscriber.applicationServers)
            for criterion in subscriber.filterCriteria { criterion.applicationServer.map { _ = idle.remove($0) } }
            for identity in subscriber.publicIdentities {
                for criterion in identity.filterCriteria ?? [] { criterion.applicationServer.map { _ = idle.remove($0) } }
            }
        }
        for server in topology.applicationServers where idle.contains(server.name) {
            guard let entry = root[RootKeys.servers]?.entry(server.name) else { continue }
            warn(
                entry.position,
                "no criterion names '\(server.name)', so the core sends it nothing; write it under application_servers of those "
                    + "that it serves, or in their service_profile, or leave it so if it only sends requests of its own")
        }
    }

    private mutating func criterion(_ node: Node) -> FilterCriterion? {
        guard let section = Codec<Node>.object(CriterionKeys.shape).read(node) else { return nil }
        let name = section[CriterionKeys.server]
        var criterion = FilterCriterion(priority: section[CriterionKeys.priority] ?? 0, applicationServer: name, serverURI: "")
        if let name, let value = section[node: CriterionKeys.server] { criterion.serverURI = serverURI(name, at: value.position) ?? "" }
        criterion.sessionTerminatedOnFailure = section[CriterionKeys.defaultHandling] ?? false
        criterion.serviceInfo = section[CriterionKeys.serviceInfo]
        if let register = section[CriterionKeys.register] {
            criterion.includeRegisterRequest = register[RegisterKeys.request] ?? false
            criterion.includeRegisterResponse = register[RegisterKeys.response] ?? false
        }
        criterion.profilePart = section[CriterionKeys.profilePart]
        if section.entry(CriterionKeys.trigger.name) != nil, let other = section.entry(CriterionKeys.triggerDNF.name) {
            error(other.position, "'trigger' and 'trigger_dnf' exclude each other; write one of them")
        }
        criterion.trigger =
            trigger(section[node: CriterionKeys.trigger], isConjunctive: true)
            ?? trigger(section[node: CriterionKeys.triggerDNF], isConjunctive: false)
        return criterion
    }

    /// The URI of an application server that must exist.
    mutating func serverURI(_ name: String, at position: Position) -> String? {
        if let server = topology.applicationServers.first(where: { $0.name == name }) { return server.uri }
        hasUnknownServers = true
        error(position, unknown("application server", name, among: topology.applicationServers.map(\.name), section: "application_servers"))
        return nil
    }

    private mutating func trigger(_ node: Node?, isConjunctive: Bool) -> Trigger? {
        guard let node else { return nil }
        var groups: [[Condition]] = []
        for group in node.elements {
            var conditions: [Condition] = []
            for element in group.elements {
                if let condition = condition(element) { conditions.append(condition) }
            }
            groups.append(conditions)
        }
        return Trigger(isConjunctive: isConjunctive, groups: groups)
    }

    private mutating func condition(_ node: Node) -> Condition? {
        guard case .map(let entries) = node.content else { return nil }
        guard let not = node[ConditionKeys.not] else { return kind(node).map { Condition($0) } }
        if let other = entries.first(where: { $0.key != ConditionKeys.not.name }) {
            error(other.position, "'not' stands alone in its condition; write '\(other.key)' within it, or as a condition of its own")
        }
        return kind(not).map { Condition($0, isNegated: true) }
    }

    /// A condition is of one class; `content` belongs to two of them, and `registration_type` may limit a method.
    private mutating func kind(_ node: Node) -> Condition.Kind? {
        let names = node.entries.map(\.key)
        let classes = ["method", "request_uri", "header", "session_case", "session_description", "registration_type", "feature_tag"]
        let present = classes.filter { names.contains($0) }
        if let content = node.entry(ConditionKeys.content.name), !names.contains("header"), !names.contains("session_description") {
            error(content.position, "'content' is that of a header or of a line; write 'header: NAME' or 'session_description: LINE' too")
            return nil
        }
        guard present.count == 1 || present == ["method", "registration_type"] else {
            if let second = present.dropFirst().first, let entry = node.entry(second) {
                error(entry.position, "'\(present[0])' and '\(second)' are two conditions; write {...} for each of them")
            } else if names.isEmpty {
                error(node.position, "the condition says nothing; write one of \(classes.joined(separator: ", "))")
            }
            return nil
        }
        switch present[0] {
        case "method": return methodKind(node)
        case "request_uri": return requestURIKind(node)
        case "header": return headerKind(node)
        case "session_case": return node[ConditionKeys.sessionCase].map { .sessionCase($0) }
        case "session_description":
            let content = expression(ConditionKeys.content, in: node)
            return expression(ConditionKeys.sessionDescription, in: node).map { .sessionDescription(line: $0, content: content) }
        case "registration_type": return node[ConditionKeys.registrationType].map { .registrationType($0) }
        default: return node[ConditionKeys.featureTag].map { .featureTag($0) }
        }
    }

    private mutating func requestURIKind(_ node: Node) -> Condition.Kind? {
        guard let text = expression(ConditionKeys.requestURI, in: node) else { return nil }
        if !topology.core.requestURIScopeIsFull, FilterCriterion.beginsWithScheme(text), let value = node[node: ConditionKeys.requestURI] {
            warn(value.position, FilterCriterion.neverMatches("request_uri", text))
        }
        return .requestURI(text)
    }

    private mutating func methodKind(_ node: Node) -> Condition.Kind? {
        guard let method = node[ConditionKeys.method] else { return nil }
        if let types = node.entry(ConditionKeys.registrationType.name), method != "REGISTER" {
            error(types.position, "'registration_type' says nothing of \(method); write it beside 'method: REGISTER'")
        }
        if let value = node[node: ConditionKeys.method] { warnOfNearMiss(method, at: value.position) }
        return .method(method, registrationTypes: node[ConditionKeys.registrationType] ?? [])
    }

    /// Methods may be extended, so a method that nobody knows is no error; one that is nearly known is worth a word.
    mutating func warnOfNearMiss(_ method: String, at position: Position) {
        let known = Codec<String>.knownMethods
        if !known.contains(method), let nearest = Suggestion.nearest(to: method, among: known) {
            warn(position, "'\(method)' is no method of SIP that is known; write '\(nearest)', if that is meant")
        }
    }

    /// A header's name is an expression too, once it is more than a name (TS 29.228 Annex F).
    private mutating func headerKind(_ node: Node) -> Condition.Kind? {
        let content = expression(ConditionKeys.content, in: node)
        guard let name = node[ConditionKeys.header], let value = node[node: ConditionKeys.header] else { return nil }
        if !FilterCriterion.isHeaderName(name), let fault = ExpressionHints.fault(in: name) ?? surroundings.expressionFault(name) {
            error(value.position, fault)
        }
        return .header(name: name, content: content)
    }
}

extension FilterCriterion {
    /// By priority, the lowest number first; of one priority in the order of the document (TS 29.228 B.2.2).
    static func ordered(_ criteria: [FilterCriterion]) -> [FilterCriterion] {
        criteria.enumerated().sorted { ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset) }.map(\.element)
    }

    /// Whether an expression for a Request-URI begins with what is not looked at (TS 29.228 Annex F).
    static func beginsWithScheme(_ expression: String) -> Bool {
        ["sip:", "sips:", "tel:"].contains { expression.hasPrefix($0) || expression.hasPrefix("^\($0)") }
    }

    static func neverMatches(_ key: String, _ expression: String) -> String {
        "\(key) is searched in host and port, or in the number, so '\(expression)' never matches; "
            + "leave the scheme out, or write core.request_uri_scope: full"
    }

    /// A name without anything that an expression would read otherwise.
    static func isHeaderName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { HostText.isLetterOrDigit($0) || "-_!%'`~".utf8.contains($0) }
    }

    /// What `feature_tags` of a server stands for: every REGISTER, and every other request whose Accept-Contact asks for one
    /// of the tags.
    static func shortForm(of server: ApplicationServer) -> [FilterCriterion] {
        guard !server.featureTags.isEmpty else { return [] }
        let register = Condition.Kind.method("REGISTER", registrationTypes: [])
        let groups: [[[Condition]]] = [
            [[Condition(register)]],
            [[Condition(register, isNegated: true)], server.featureTags.map { Condition(.featureTag($0)) }],
        ]
        return groups.map { groups in
            var criterion = FilterCriterion(priority: 0, applicationServer: server.name, serverURI: server.uri)
            criterion.trigger = Trigger(isConjunctive: true, groups: groups)
            criterion.isShortForm = true
            return criterion
        }
    }
}
