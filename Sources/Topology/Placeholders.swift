// `${core.udp}` and its like in the commands and environments of a user's own processes and in the steps of scenarios: named
// when the topology is checked, filled in when a process starts or a step is reached.

/// The values that stand for placeholders when a process is started.
public struct PlaceholderValues: Sendable, Equatable {
    /// By the name between `${` and `}`.
    private var values: [String: String] = [:]

    /// - Parameters:
    ///   - udp: `127.0.0.1:5060`, for `${core.udp}`; nil where the core has no such listener.
    ///   - tcp: the same for `${core.tcp}`, and so on.
    ///   - http: the URL of the control interface, for `${core.http}`.
    ///   - applicationServers: URIs by name, for `${application_servers.NAME.uri}`.
    ///   - executable: the path of this program, for `${sipcore}`.
    public init(
        udp: String?, tcp: String?, tls: String? = nil, ws: String? = nil, wss: String? = nil, http: String?,
        applicationServers: [String: String] = [:], executable: String? = nil
    ) {
        values["sipcore"] = executable
        values["core.udp"] = udp
        values["core.tcp"] = tcp
        values["core.tls"] = tls
        values["core.ws"] = ws
        values["core.wss"] = wss
        values["core.http"] = http
        for (name, uri) in applicationServers { values["application_servers.\(name).uri"] = uri }
    }

    /// The same with `${subscriber.*}` of the subscriber who is called so.
    public func with(_ subscriber: Subscriber, named name: String) -> PlaceholderValues {
        var filled = self
        filled.values["subscriber.name"] = name
        filled.values["subscriber.private_identity"] = subscriber.privateIdentities.first?.identity.filled(with: name)
        filled.values["subscriber.public_identity"] = subscriber.publicIdentities.first { $0.kind == .user }?.uri.filled(with: name)
        filled.values["subscriber.password"] = subscriber.privateIdentities.first?.password?.filled(with: name)
        return filled
    }

    /// The same with `${lab.http}`, the URL of the lab's interface.
    public func with(labHTTP: String?) -> PlaceholderValues {
        var filled = self
        filled.values["lab.http"] = labHTTP
        return filled
    }

    /// Gives `${var.NAME}` a value.
    public mutating func set(variable name: String, to value: String) { values["\(Placeholders.variables)\(name)"] = value }

    /// The text with every placeholder filled in.
    /// - Parameter escaped: how a value is written in such a text.
    public func fill(_ text: String, escaped: (String) -> String = { $0 }) throws(UnknownPlaceholder) -> String {
        var filled = ""
        for piece in Placeholders.pieces(of: text) {
            switch piece {
            case .literal(let literal): filled += literal
            case .name(let name):
                guard let value = values[name] else { throw UnknownPlaceholder(name: name) }
                filled += escaped(value)
            }
        }
        return filled
    }
}

/// A placeholder without a value: a file that was changed by hand after it was checked, or a subscriber without a password.
public struct UnknownPlaceholder: Error, Sendable, Equatable, CustomStringConvertible {
    public var name: String
    public init(name: String) { self.name = name }
    public var description: String { "nothing is known to fill in for ${\(name)}" }
}

enum Placeholders {
    /// What the names of a scenario's own variables begin with.
    static let variables = "var."
    static let subscriberFields = ["name", "private_identity", "public_identity", "password"]

    enum Piece: Equatable {
        case literal(String)
        case name(String)
    }

    static func names(in text: String) -> [String] {
        pieces(of: text).compactMap { if case .name(let name) = $0 { name } else { nil } }
    }

    static func areIn(_ text: String) -> Bool { !names(in: text).isEmpty }

    /// The text with this in place of each placeholder, where a text of the same form is asked for.
    static func replaced(in text: String, with standIn: String) -> String {
        pieces(of: text).map { if case .literal(let literal) = $0 { literal } else { standIn } }.joined()
    }

    /// A `${` without an end is text.
    static func pieces(of text: String) -> [Piece] {
        var pieces: [Piece] = []
        var rest = text[...]
        while let open = rest.firstRange(of: "${"), let close = rest[open.upperBound...].firstIndex(of: "}") {
            pieces.append(.literal(String(rest[..<open.lowerBound])))
            pieces.append(.name(String(rest[open.upperBound..<close])))
            rest = rest[rest.index(after: close)...]
        }
        pieces.append(.literal(String(rest)))
        return pieces
    }
}
