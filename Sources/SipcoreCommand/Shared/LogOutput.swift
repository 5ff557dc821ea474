// The log: one line an event on standard error, for people or for machines.

import Glibc
import JSONText
import Logging
import NodeRuntime
import SansIO

/// How log lines look.
enum LogFormat: String, CaseIterable, Sendable {
    /// `2026-11-22T08:05:00.000123Z notice core: what happened (key=value)`
    case text
    /// `{"time":...,"level":"notice","label":"core","message":"what happened","key":"value"}`
    case json
}

/// Writes log events to standard error, each in one call, so that lines of several threads do not mix.
struct LogOutput: LogHandler {
    let label: String
    let format: LogFormat
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(label: String, level: Logger.Level, format: LogFormat) {
        self.label = label
        self.format = format
        logLevel = level
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var details = metadata
        if let provided = metadataProvider?.get() { details.merge(provided) { $1 } }
        if let given = event.metadata { details.merge(given) { $1 } }
        if let error = event.error { details["error"] = "\(error)" }
        let line = line(event, details.map { ($0.key, $0.value.description) }.sorted { $0.0 < $1.0 }, at: SystemClock.now.wall)
        // Without a reader there is nobody to tell.
        Descriptor.write(line + "\n", to: STDERR_FILENO)
    }

    func line(_ event: LogEvent, _ details: [(key: String, value: String)], at time: WallTime) -> String {
        var stamp = OctetBuffer(capacity: 32)
        stamp.appendRFC3339(time)
        let time = String(octets: stamp.bytes)
        switch format {
        case .text:
            let suffix = details.isEmpty ? "" : " (" + details.map { "\($0.key)=\($0.value)" }.joined(separator: " ") + ")"
            return LogOutput.oneLine("\(time) \(event.level.rawValue) \(label): \(event.message)\(suffix)")
        case .json:
            let members: [JSON.Member] = [
                .init("time", .text(time)), .init("level", .text(event.level.rawValue)), .init("label", .text(label)),
                .init("message", .text(event.message.description)),
            ]
            return JSON.object(members + details.map { .init($0.key, .text($0.value)) }).written
        }
    }

    /// What came from the network may hold anything; a terminal obeys some of it.
    private static func oneLine(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else { return text }
        return String(
            String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? "\u{b7}" : $0 }))
    }
}
