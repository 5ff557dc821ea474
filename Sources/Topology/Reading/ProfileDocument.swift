// The IMSSubscription document of TS 29.228 Annex E, as home subscriber servers export it. What is wrong with the document
// is an error; a criterion that cannot be used is skipped with a warning, and the others hold (as an S-CSCF does).
import XMLTree

/// What a document says.
struct ProfileDocument {
    var privateIdentity: String
    var publicIdentities: [PublicIdentity]
    /// Those of the first service profile; an identity of another one carries its own.
    var filterCriteria: [FilterCriterion]
}

struct ProfileDocumentReader {
    /// As faults name it.
    let file: String
    let servers: [ApplicationServer]
    let profiles: [ServiceProfile]
    /// `core.request_uri_scope: full`.
    let searchesWholeURI: Bool
    let expressionFault: @Sendable (String) -> String?
    private(set) var faults: [Fault] = []
    /// The schema has no target namespace; a document that puts its root in one is taken at its word for all elements.
    private var namespace = ""

    init(
        file: String, servers: [ApplicationServer], profiles: [ServiceProfile], searchesWholeURI: Bool,
        expressionFault: @escaping @Sendable (String) -> String?
    ) {
        self.file = file
        self.servers = servers
        self.profiles = profiles
        self.searchesWholeURI = searchesWholeURI
        self.expressionFault = expressionFault
    }

    /// A fault that ends the reading of an element.
    private struct Broken: Error {
        var position: XMLPosition
        var text: String
        init(_ element: XMLElement, _ text: String) { self.init(element.position, text) }

        init(_ position: XMLPosition, _ text: String) {
            self.position = position
            self.text = text
        }
    }

    mutating func read(_ subscription: XMLElement) -> ProfileDocument? {
        defer { faults.sort { ($0.line, $0.column) < ($1.line, $1.column) } }
        do throws(Broken) {
            namespace = subscription.namespace
            return try document(subscription)
        } catch {
            report(.error, error.position, error.text)
            return nil
        }
    }

    // MARK: The subscription

    private mutating func document(_ root: XMLElement) throws(Broken) -> ProfileDocument {
        guard root.name == ProfileTree.name else {
            throw Broken(root, "the root is '\(root.name)'; write IMSSubscription (TS 29.228 Annex E), or an element with many of them")
        }
        let identity = try required("PrivateID", of: root)
        if let fault = IdentityText.privateFault(identity.trimmedText) { throw Broken(identity, fault) }
        _ = try required("ServiceProfile", of: root)
        let profiles = children("ServiceProfile", of: root)
        var document = ProfileDocument(privateIdentity: identity.trimmedText, publicIdentities: [], filterCriteria: [])
        for (index, profile) in profiles.enumerated() {
            let criteria = criteria(of: profile)
            if index == 0 { document.filterCriteria = criteria }
            for var identity in try publicIdentities(of: profile) {
                if index > 0 { identity.filterCriteria = criteria }
                document.publicIdentities.append(identity)
            }
            if let services = child("CoreNetworkServicesAuthorization", of: profile) {
                warn(services.position, "CoreNetworkServicesAuthorization is not applied; leave it out, or expect no effect")
            }
        }
        return document
    }

    private mutating func publicIdentities(of profile: XMLElement) throws(Broken) -> [PublicIdentity] {
        _ = try required("PublicIdentity", of: profile)
        var identities: [PublicIdentity] = []
        for element in children("PublicIdentity", of: profile) {
            let (place, kind) = try identity(of: element)
            var identity = PublicIdentity(uri: NameTemplate(pieces: [try text(of: place, kind)]))
            identity.kind = kind
            if let barring = child("BarringIndication", of: element) { identity.isBarred = try boolean(barring) }
            identity.displayName = extended("DisplayName", of: element)?.trimmedText
            identity.aliasGroup = extended("AliasIdentityGroupID", of: element)?.trimmedText
            identities.append(identity)
        }
        return identities
    }

    /// Where the identity stands, and what it stands for (IdentityType of TS 29.228 Annex E). Where a wildcard stands beside
    /// one that it takes, it is the wildcard that counts.
    private func identity(of element: XMLElement) throws(Broken) -> (XMLElement, PublicIdentity.Kind) {
        if let wildcard = extended("WildcardedPSI", of: element) { return (wildcard, .wildcardedService) }
        if let wildcard = extended("WildcardedIMPU", of: element) { return (wildcard, .wildcardedUser) }
        let identity = try required("Identity", of: element)
        guard let type = extended("IdentityType", of: element) else { return (identity, .user) }
        switch try number(type, 0...4) {
        case 1: return (identity, .service)
        case 2: return (identity, .wildcardedService)
        // One that a wildcard takes, without the wildcard, is as good as a distinct one.
        case 3 where !identity.trimmedText.contains("!"): return (identity, .user)
        case 3, 4: return (identity, .wildcardedUser)
        default: return (identity, .user)
        }
    }

    /// An identity as it is taken: exports have some that are nearly one.
    private mutating func text(of place: XMLElement, _ kind: PublicIdentity.Kind) throws(Broken) -> String {
        let text = place.trimmedText
        guard let fault = fault(in: text, kind) else { return text }
        guard kind == .user || kind == .service, let nearest = IdentityText.nearest(text) else { throw Broken(place, fault) }
        warn(place.position, "\(fault); else it is taken as \(nearest == text ? "it stands" : nearest)")
        return nearest
    }

    private func fault(in text: String, _ kind: PublicIdentity.Kind) -> String? {
        switch kind {
        case .user, .service: return IdentityText.publicFault(text)
        case .wildcardedService, .wildcardedUser:
            guard let (plain, expression) = IdentityText.wildcardParts(text) else {
                return
                    "'\(text)' is no wildcard; write one with an expression between two exclamation marks, such as sip:chat!.*!@home1.test"
            }
            return IdentityText.publicFault(plain) ?? ExpressionHints.fault(in: expression) ?? expressionFault(expression)
        }
    }

    /// An element within the nested Extension elements in which later releases put theirs.
    private func extended(_ name: String, of element: XMLElement) -> XMLElement? {
        var place = element
        while let next = child("Extension", of: place) {
            if let found = child(name, of: next) { return found }
            place = next
        }
        return nil
    }

    // MARK: Criteria

    /// The profile's own criteria and those of shared sets, by priority.
    private mutating func criteria(of profile: XMLElement) -> [FilterCriterion] {
        var criteria: [FilterCriterion] = []
        var places: [XMLPosition] = []
        for element in children("InitialFilterCriteria", of: profile) {
            do throws(Broken) {
                criteria.append(try criterion(element))
                places.append(element.position)
            } catch {
                warn(error.position, "a criterion is skipped, for \(error.text)")
            }
        }
        // What is wrong with a shared set by itself is said where that stands.
        let ownCount = criteria.count
        var ownComplaints: Set<String> = []
        for container in children("Extension", of: profile) {
            for set in children("SharedIFCSetID", of: container) {
                if let number = integer(set), let shared = profiles.first(where: { $0.sharedSet == number }) {
                    criteria += shared.filterCriteria
                    places += shared.filterCriteria.map { _ in set.position }
                    ownComplaints.formUnion(CriterionCheck.complaints(shared.filterCriteria).map(\.text))
                } else {
                    warn(
                        set.position,
                        "no service profile is the shared set '\(set.trimmedText)', so it is left out; "
                            + "write 'shared_ifc_set: \(set.trimmedText)' in one"
                    )
                }
            }
        }
        for complaint in CriterionCheck.complaints(criteria) where complaint.criterion < ownCount || !ownComplaints.contains(complaint.text)
        {
            warn(places[complaint.criterion], complaint.text)
        }
        return FilterCriterion.ordered(criteria)
    }

    private mutating func criterion(_ element: XMLElement) throws(Broken) -> FilterCriterion {
        let priority = try number(try required("Priority", of: element))
        let server = try required("ApplicationServer", of: element)
        let name = try required("ServerName", of: server)
        let uri: ServerURI
        do throws(Wrong) { uri = try ServerURI(name.trimmedText) } catch { throw Broken(name, "ServerName: \(error.text)") }
        if let fault = uri.transportFault { throw Broken(name, fault) }
        var criterion = FilterCriterion(priority: priority, applicationServer: knownServer(uri), serverURI: uri.text)
        criterion.sessionTerminatedOnFailure = isTerminated(server)
        // Some write the element for each server, with nothing in it.
        if let info = child("ServiceInfo", of: server), !info.trimmedText.isEmpty { criterion.serviceInfo = info.text }
        criterion.includeRegisterRequest = extended("IncludeRegisterRequest", of: server) != nil
        criterion.includeRegisterResponse = extended("IncludeRegisterResponse", of: server) != nil
        if let part = child("ProfilePartIndicator", of: element) {
            criterion.profilePart = try number(part, 0...1) == 0 ? .registered : .unregistered
        }
        if let trigger = child("TriggerPoint", of: element) { criterion.trigger = try self.trigger(trigger) }
        return criterion
    }

    /// The application server of the topology that a document means, by host, port and transport.
    private func knownServer(_ uri: ServerURI) -> String? {
        servers.first { server in
            guard let other = try? ServerURI(server.uri) else { return false }
            return other.host == uri.host && other.port ?? 5060 == uri.port ?? 5060 && other.effectiveTransport == uri.effectiveTransport
        }?.name
    }

    /// Absent or unknown means SESSION_CONTINUED.
    private mutating func isTerminated(_ server: XMLElement) -> Bool {
        guard let handling = child("DefaultHandling", of: server) else { return false }
        switch integer(handling) {
        case 0: return false
        case 1: return true
        default:
            warn(
                handling.position,
                "DefaultHandling is '\(handling.trimmedText)' and taken as 0; write 0 to continue the session or 1 to end it")
            return false
        }
    }

    // MARK: Triggers

    /// Groups are collected by their number: they need not stand together, and one SPT may be in several.
    private mutating func trigger(_ element: XMLElement) throws(Broken) -> Trigger {
        let isConjunctive = try boolean(try required("ConditionTypeCNF", of: element))
        _ = try required("SPT", of: element)
        var groups: [Int: [Condition]] = [:]
        for point in children("SPT", of: element) {
            _ = try required("Group", of: point)
            let condition = try condition(point)
            for group in children("Group", of: point) { groups[try number(group), default: []].append(condition) }
        }
        return Trigger(isConjunctive: isConjunctive, groups: groups.keys.sorted().compactMap { groups[$0] })
    }

    private mutating func condition(_ point: XMLElement) throws(Broken) -> Condition {
        var condition = Condition(try kind(point))
        if let negated = child("ConditionNegated", of: point) { condition.isNegated = try boolean(negated) }
        return condition
    }

    private mutating func kind(_ point: XMLElement) throws(Broken) -> Condition.Kind {
        let classes = ["RequestURI", "Method", "SIPHeader", "SessionCase", "SessionDescription"]
        let present = point.elements.filter { $0.namespace == namespace && classes.contains($0.name) }
        guard present.count == 1, let element = present.first else {
            throw Broken(
                point, "SPT has \(present.isEmpty ? "no class" : "more than one class"); write one of \(classes.joined(separator: ", "))")
        }
        switch element.name {
        case "RequestURI":
            let text = try expression(element)
            if !searchesWholeURI, FilterCriterion.beginsWithScheme(text) {
                warn(element.position, FilterCriterion.neverMatches("RequestURI", text))
            }
            return .requestURI(text)
        case "Method":
            guard Codec<String>.isToken(element.trimmedText) else {
                throw Broken(element, "Method is '\(element.trimmedText)'; write one such as MESSAGE")
            }
            let isRegister = element.trimmedText == "REGISTER"
            return .method(element.trimmedText, registrationTypes: isRegister ? try registrationTypes(point) : [])
        case "SessionCase":
            return .sessionCase(SessionCase(rawValue: try number(element, 0...4)) ?? .originating)
        case "SIPHeader":
            let header = try required("Header", of: element)
            let name = FilterCriterion.isHeaderName(header.trimmedText) ? header.trimmedText : try expression(header)
            return .header(name: name, content: try content(of: element))
        default:
            return .sessionDescription(line: try expression(try required("Line", of: element)), content: try content(of: element))
        }
    }

    private func registrationTypes(_ point: XMLElement) throws(Broken) -> [RegistrationType] {
        var types: [RegistrationType] = []
        for container in children("Extension", of: point) {
            for element in children("RegistrationType", of: container) {
                types.append(RegistrationType(rawValue: try number(element, 0...2)) ?? .initial)
            }
        }
        return types
    }

    private func content(of element: XMLElement) throws(Broken) -> String? {
        guard let content = child("Content", of: element) else { return nil }
        return try expression(content)
    }

    private func expression(_ element: XMLElement) throws(Broken) -> String {
        let text = element.trimmedText
        if let fault = ExpressionHints.fault(in: text) ?? expressionFault(text) { throw Broken(element, "\(element.name): \(fault)") }
        return text
    }

    // MARK: Elements and values

    private func children(_ name: String, of element: XMLElement) -> [XMLElement] { element.elements(name, namespace: namespace) }

    private func child(_ name: String, of element: XMLElement) -> XMLElement? { element.element(name, namespace: namespace) }

    private func required(_ name: String, of element: XMLElement) throws(Broken) -> XMLElement {
        guard let child = child(name, of: element) else { throw Broken(element, "\(name) is missing in \(element.name); write <\(name)>") }
        return child
    }

    /// xs:boolean.
    private func boolean(_ element: XMLElement) throws(Broken) -> Bool {
        switch element.trimmedText {
        case "0", "false": return false
        case "1", "true": return true
        default: throw Broken(element, "\(element.name) is '\(element.trimmedText)'; write 0, 1, true or false")
        }
    }

    private func number(_ element: XMLElement, _ range: ClosedRange<Int> = 0...Int(Int32.max)) throws(Broken) -> Int {
        guard let number = integer(element), range.contains(number) else {
            throw Broken(
                element, "\(element.name) is '\(element.trimmedText)'; write a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A number from 0.
    private func integer(_ element: XMLElement) -> Int? {
        let text = element.trimmedText.hasPrefix("+") ? element.trimmedText.dropFirst() : element.trimmedText[...]
        guard HostText.isDigits(text), let number = Int32(text) else { return nil }
        return Int(number)
    }

    // MARK: Faults

    private mutating func warn(_ position: XMLPosition, _ text: String) { report(.warning, position, text) }

    private mutating func report(_ severity: Fault.Severity, _ position: XMLPosition, _ text: String) {
        faults.append(Fault(severity, file: file, line: position.line, column: position.column, text: text))
    }
}
