// The service settings that are on or off, each with its place in a settings document: RFC 4354 §3 for those of the PoC
// package, and the extension of OMA SIMPLE IM in its own namespace.

/// A setting that is on or off.
public enum SettingsFlag: String, CaseIterable, Sendable {
    /// Refuse incoming sessions.
    case incomingSessionBarring = "incoming-session-barring"
    /// Refuse incoming personal alerts.
    case incomingPersonalAlertBarring = "incoming-personal-alert-barring"
    /// Take part in several sessions at once.
    case simultaneousSessions = "simultaneous-sessions"
    /// Push what was kept at the next registration; off: keep it until it is fetched.
    case offlineDelivery = "offline-delivery"
    /// Keep messages for a user who is not reachable; off: refuse them.
    case messageDeferral = "message-deferral"
    /// Show the user as there.
    case visible = "visible"

    /// What holds while no device has published anything.
    public var defaultValue: Bool {
        switch self {
        case .incomingSessionBarring, .incomingPersonalAlertBarring: false
        case .simultaneousSessions, .offlineDelivery, .messageDeferral, .visible: true
        }
    }

    /// The value that lets less happen: of several devices' wishes it wins.
    public var restrictiveValue: Bool {
        switch self {
        case .incomingSessionBarring, .incomingPersonalAlertBarring: true
        case .simultaneousSessions, .offlineDelivery, .messageDeferral, .visible: false
        }
    }

    /// The element that carries the value, in its attribute `active` or as its text.
    var element: String {
        switch self {
        case .incomingSessionBarring: "incoming-session-barring"
        case .incomingPersonalAlertBarring: "incoming-personal-alert-barring"
        case .simultaneousSessions: "simultaneous-sessions-support"
        case .offlineDelivery: "offline-delivery"
        case .messageDeferral: "deferred-settings"
        case .visible: "vis-status"
        }
    }

    /// The element around it, or nil where it is its own.
    var wrapper: String? {
        switch self {
        case .incomingSessionBarring: "isb-settings"
        case .incomingPersonalAlertBarring: "ipab-settings"
        case .simultaneousSessions: "sss-settings"
        case .offlineDelivery: "deferred-settings"
        case .messageDeferral: nil
        case .visible: "vis-settings"
        }
    }

    var namespace: String {
        switch self {
        case .incomingSessionBarring, .incomingPersonalAlertBarring, .simultaneousSessions: SettingsDocument.namespace
        case .offlineDelivery, .messageDeferral, .visible: SettingsDocument.extensionNamespace
        }
    }
}

/// How incoming sessions are answered.
public enum AnswerMode: String, CaseIterable, Sendable { case automatic, manual }
