// The document of a settings publication (RFC 4354 §3), read with a tolerant eye and written whole.

import SansIO
import XMLTree

/// Why a settings document is not taken.
public struct SettingsFault: Error, Hashable, Sendable {
    /// For the Warning of the 400, one line.
    public var text: String
}

/// `<poc-settings>` with one entity for each device.
public struct SettingsDocument: Hashable, Sendable {
    public static let namespace = "urn:oma:params:xml:ns:poc:poc-settings"
    public static let extensionNamespace = "urn:oma:xml:im:service-settings"
    public static let mediaType: StaticString = "application/poc-settings+xml"

    /// One device's settings.
    public struct Entity: Hashable, Sendable {
        /// Which device: opaque, and never empty.
        public var id: String
        public var settings: ServiceSettings

        public init(id: String, settings: ServiceSettings) {
            self.id = id
            self.settings = settings
        }
    }

    public var entities: [Entity]

    public init(entities: [Entity]) { self.entities = entities }

    /// Reads a document. Elements that are not known are passed over (RFC 4354 §3.1); a value stands in the attribute
    /// `active` or as text, as `true`, `false`, `1` or `0`.
    public init(_ body: RawSpan) throws(SettingsFault) {
        let root: XMLElement
        do {
            root = try XMLTree.parse([UInt8](body), limits: XMLLimits(bytes: 1 << 18, depth: 16, nodes: 4096))
        } catch {
            throw SettingsFault(text: "not a settings document: \(error.description)")
        }
        guard root.name == "poc-settings", root.namespace == SettingsDocument.namespace else {
            throw SettingsFault(text: "the root element is not poc-settings of \(SettingsDocument.namespace)")
        }
        entities = []
        for element in root.elements("entity", namespace: SettingsDocument.namespace) {
            guard let id = element.attribute("id"), !id.isEmpty else { throw SettingsFault(text: "an entity has no id") }
            var settings = ServiceSettings()
            try SettingsDocument.read(element, into: &settings)
            entities.append(Entity(id: id, settings: settings))
        }
        guard !entities.isEmpty else { throw SettingsFault(text: "the document has no entity") }
    }

    /// The depth of a document is limited, so that of the calls is too.
    private static func read(_ parent: XMLElement, into settings: inout ServiceSettings) throws(SettingsFault) {
        for element in parent.elements {
            if element.namespace == namespace, element.name == "answer-mode" {
                guard let mode = AnswerMode(rawValue: element.trimmedText.lowercased()) else {
                    throw SettingsFault(text: "answer-mode is neither automatic nor manual")
                }
                settings.answerMode = mode
            } else if element.namespace == extensionNamespace, element.name == "hist-activation" {
                settings.history[element.attribute("type") ?? "session-mode"] = try value(of: element)
            } else if let flag = flag(element) {
                // A wrapper that is a setting too has a value only where one is written.
                let isWrapper = !element.elements.isEmpty && element.attribute("active") == nil
                if !isWrapper { settings[given: flag] = try value(of: element) }
            }
            try read(element, into: &settings)
        }
    }

    private static func flag(_ element: XMLElement) -> SettingsFlag? {
        SettingsFlag.allCases.first { $0.element == element.name && $0.namespace == element.namespace }
    }

    private static func value(of element: XMLElement) throws(SettingsFault) -> Bool {
        let text = element.attribute("active") ?? element.trimmedText
        switch text.lowercased() {
        case "true", "1": return true
        case "false", "0": return false
        default: throw SettingsFault(text: "\(element.name) is neither true nor false")
        }
    }

    /// The document as it is published.
    public var text: String {
        var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<poc-settings xmlns=\"\(SettingsDocument.namespace)\""
        text += " xmlns:im=\"\(SettingsDocument.extensionNamespace)\">\n"
        for entity in entities {
            text += "  <entity id=\"\(XMLTree.escaped(entity.id))\">\n"
            for line in SettingsDocument.lines(of: entity.settings) { text += "    \(line)\n" }
            text += "  </entity>\n"
        }
        return text + "</poc-settings>\n"
    }

    private static func lines(of settings: ServiceSettings) -> [String] {
        var lines: [String] = []
        func active(_ flag: SettingsFlag) -> String? { settings[given: flag].map { " active=\"\($0)\"" } }
        for flag in [SettingsFlag.incomingSessionBarring, .incomingPersonalAlertBarring, .simultaneousSessions] {
            guard let value = active(flag), let wrapper = flag.wrapper else { continue }
            lines.append("<\(wrapper)><\(flag.element)\(value)/></\(wrapper)>")
        }
        if let mode = settings.answerMode { lines.append("<am-settings><answer-mode>\(mode.rawValue)</answer-mode></am-settings>") }
        if active(.messageDeferral) != nil || active(.offlineDelivery) != nil {
            let delivery = active(.offlineDelivery).map { "<im:offline-delivery\($0)/>" } ?? ""
            lines.append("<im:deferred-settings\(active(.messageDeferral) ?? "")>\(delivery)</im:deferred-settings>")
        }
        if let value = active(.visible) { lines.append("<im:vis-settings><im:vis-status\(value)/></im:vis-settings>") }
        for (type, isKept) in settings.history.sorted(by: { $0.key < $1.key }) {
            let type = XMLTree.escaped(type)
            lines.append("<im:hist-settings><im:hist-activation type=\"\(type)\" active=\"\(isKept)\"/></im:hist-settings>")
        }
        return lines
    }
}
