// The file that `profile_xml` names: an IMSSubscription (TS 29.228 Annex E), or many in an element of any name, as a home
// subscriber server exports them together. Several subscribers may be in one file, so it is parsed once.
import XMLTree

struct ProfileTree: Sendable {
    let root: XMLElement
    /// Of a file of many, by PrivateID.
    private let members: [String: XMLElement]
    /// The PrivateID that stands twice, and where it does so first and then again.
    let repetition: (identity: String, first: XMLPosition, second: XMLPosition)?

    /// Whether the file is one of many subscriptions.
    var isCollection: Bool { !members.isEmpty }

    /// What a file may cost: an export of some ten thousand users.
    private static let limits = XMLLimits(bytes: 128 << 20, nodes: 8_000_000)

    init(_ bytes: [UInt8]) throws(XMLFault) {
        root = try XMLTree.parse(bytes, limits: ProfileTree.limits)
        var members: [String: XMLElement] = [:]
        var repetition: (String, XMLPosition, XMLPosition)?
        for element in root.elements where root.name != ProfileTree.name && element.name == ProfileTree.name {
            let identity = element.element("PrivateID", namespace: element.namespace)?.trimmedText ?? ""
            if let earlier = members[identity] {
                repetition = repetition ?? (identity, earlier.position, element.position)
            } else {
                members[identity] = element
            }
        }
        self.members = members
        self.repetition = repetition
    }

    static let name = "IMSSubscription"

    /// The subscription with this PrivateID.
    func member(_ identity: String) -> XMLElement? { members[identity] }

    /// What to write in place of a PrivateID that none has.
    func advice(for identity: String) -> String {
        Suggestion.advice(for: identity, among: members.keys.sorted(), otherwise: "write private_identity: and one of the file's")
    }
}
