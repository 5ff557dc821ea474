// A trace that was kept in a file: JSON Lines, an answer of `GET /api/messages`, or pcapng.

import JSONText
public import SIPTrace

/// Why a file is not taken for a trace.
public struct TraceFileFailure: Error, CustomStringConvertible {
    public let description: String
    /// What it is that is no message: `line 2`; nil: the fault has another place.
    public let place: String?

    init(description: String, place: String? = nil) {
        self.description = description
        self.place = place
    }
}

public enum TraceFile {
    /// The messages of a file, in its order. Lines of JSON that tell of something else, such as a ready line, are no messages
    /// and a failure.
    public static func messages(in contents: [UInt8]) throws(TraceFileFailure) -> [TracedMessage] {
        if contents.starts(with: [0x0A, 0x0D, 0x0D, 0x0A]) {
            do throws(PcapngFailure) { return try PcapngReader.messages(in: contents) } catch {
                throw TraceFileFailure(description: "\(error)")
            }
        }
        // An answer of the interface is one document, however it is broken into lines.
        if let answer = JSON(contents), let messages = answer["messages"]?.list {
            return try messages.enumerated().map { number, json throws(TraceFileFailure) in try message(json, "message \(number + 1)") }
        }
        let lines = contents.split(separator: 0x0A, omittingEmptySubsequences: false)
        var messages: [TracedMessage] = []
        for (number, line) in lines.enumerated() where line.contains(where: { $0 > 0x20 }) {
            guard let json = JSON(line) else {
                throw TraceFileFailure(
                    description: "line \(number + 1) is no JSON; give JSON Lines or pcapng, as sipcore trace exports them",
                    place: "line \(number + 1)")
            }
            messages.append(try message(json, "line \(number + 1)"))
        }
        return messages
    }

    private static func message(_ json: JSON, _ place: String) throws(TraceFileFailure) -> TracedMessage {
        guard let message = TracedMessage(json) else {
            throw TraceFileFailure(
                description: "\(place) is no recorded message; give what GET /api/messages or sipcore trace wrote", place: place)
        }
        return message
    }
}
