// The options that all roles have.

public import ArgumentParser
public import Logging

struct SharedOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The least severe level that is logged, to standard error.", valueName: "level"))
    var logLevel = Logger.Level.notice

    @Option(help: ArgumentHelp("How a log line looks.", valueName: "format"))
    var logFormat = LogFormat.text

    @Option(help: ArgumentHelp("Write the ready line to this file too, in one move.", valueName: "path"), completion: .file())
    var readyFile: String?

    /// Sends everybody's log, that of libraries included, to standard error, from now on.
    /// - Parameter role: the label of the returned logger.
    func startLogging(_ role: String) -> Logger {
        let level = logLevel
        let format = logFormat
        LoggingSystem.bootstrap { LogOutput(label: $0, level: level, format: format) }
        return Logger(label: role)
    }

    /// These options as arguments of another role's process; the ready file is not the other's.
    var logArguments: [String] { ["--log-level", logLevel.rawValue, "--log-format", logFormat.rawValue] }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
extension LogFormat: ExpressibleByArgument {}
