// The running IM Server, as its HTTP interface sees it.

import ControlHTTP
import InstantMessaging
import NodeRuntime
import SansIO

struct RunningIMServer: IMServerBacking {
    let shard: Shard<IMServer>
    let version: String
    private let start = SystemClock.now.monotonic

    init(shard: Shard<IMServer>, version: String) {
        self.shard = shard
        self.version = version
    }

    var canReset: Bool { true }

    func health() async -> Health {
        Health(
            role: "im-server", version: version, uptime: SystemClock.now.monotonic - start,
            listeners: shard.listeners.map { "\($0.transport.name)://\($0.local.text)" })
    }

    func storedMessages() async -> [ControlHTTP::StoredMessage] {
        let (messages, now) = await shard.perform { server, now, _ in (server.stored(), now.wall) }
        return messages.map { message in
            ControlHTTP::StoredMessage(
                id: message.id, from: message.from, to: message.to, time: message.received, expires: message.expires - now,
                expiresAt: message.expires, contentType: message.contentType, body: Array(message.body.utf8))
        }
    }

    func removeStoredMessage(_ id: String) async -> Bool {
        await shard.performAtRest { server, now, effects in server.removeStored(id, at: now, into: &effects) }
    }

    func settings(of identity: String) async -> ControlHTTP::PublishedSettings? {
        guard let published = await shard.perform({ server, now, _ in server.settings(of: identity, at: now) }) else { return nil }
        return ControlHTTP::PublishedSettings(
            publicIdentity: published.identity, settings: RunningIMServer.all(published.effective),
            publications: published.publications.map { publication in
                .init(
                    etag: publication.entityTag, expires: .seconds(Int(publication.expires)), expiresAt: publication.expiresAt,
                    settings: RunningIMServer.given(inDocument: publication.document))
            })
    }

    func reset() async {
        await shard.performAtRest { server, now, effects in server.reset(at: now, into: &effects) }
    }

    // MARK: Settings

    /// Every setting, with its default where nothing was published.
    private static func all(_ settings: ServiceSettings) -> [ControlHTTP::PublishedSettings.Setting] {
        let flags = SettingsFlag.allCases.map { ControlHTTP::PublishedSettings.Setting(name(of: $0), .flag(settings[$0])) }
        return flags + [.init("answer_mode", .word((settings.answerMode ?? .automatic).rawValue))] + history(settings)
    }

    /// The settings that a document gives.
    private static func given(inDocument text: String) -> [ControlHTTP::PublishedSettings.Setting] {
        // It was read when it was published, so it can be read again.
        guard let document = try? SettingsDocument(Array(text.utf8).span.bytes) else { return [] }
        return document.entities.flatMap { entity in
            let flags = SettingsFlag.allCases.compactMap { flag in
                entity.settings[given: flag].map { ControlHTTP::PublishedSettings.Setting(name(of: flag), .flag($0)) }
            }
            let mode = entity.settings.answerMode.map { [ControlHTTP::PublishedSettings.Setting("answer_mode", .word($0.rawValue))] } ?? []
            return flags + mode + history(entity.settings)
        }
    }

    private static func history(_ settings: ServiceSettings) -> [ControlHTTP::PublishedSettings.Setting] {
        settings.history.sorted { $0.key < $1.key }.map { .init("history_\(underscored($0.key))", .flag($0.value)) }
    }

    private static func name(of flag: SettingsFlag) -> String { underscored(flag.rawValue) }

    private static func underscored(_ name: String) -> String { String(name.map { $0 == "-" ? "_" : $0 }) }
}
