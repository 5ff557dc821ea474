// `sipcore send FILE`: one request through a running core, and the answers to it.

import ArgumentParser
import Glibc
import JSONText
import Lab
import Topology

struct SendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send",
        abstract: "Send one request from a file through a running core as a subscriber, or to a node, and print the answers.",
        discussion: """
            The file holds a request as it stands on the wire; its lines may end in a line feed alone. Via and Content-Length \
            are written anew, and what a request needs and the file does not have is filled in. Without --as and --to the \
            user in From sends it. Exit status: 0 if the final answer is one of success; 1 if it is another, if none came \
            or if the request is not to be sent; 3 if the core does not answer.
            """)

    @Argument(help: ArgumentHelp("The file of the request; - is standard input.", valueName: "file"), completion: .file())
    var file: String

    @Option(
        help: ArgumentHelp("The core's HTTP address, or the topology file that names it.", valueName: "core"),
        completion: .file(extensions: ["yaml", "yml"]))
    var core = "http://127.0.0.1:8080"

    @Option(
        name: .customLong("as"), help: ArgumentHelp("The subscriber who sends it, by name or public identity.", valueName: "subscriber"))
    var subscriber: String?

    @Option(
        help: ArgumentHelp(
            "The application server or network that it goes straight to, or a subscriber whose contact it goes to.", valueName: "node"))
    var to: String?

    @Option(help: ArgumentHelp("How long to wait for a final answer, at most 32s.", valueName: "duration"))
    var wait = "5s"

    @Option(help: ArgumentHelp("The bearer token of the interface; left out: the topology's.", valueName: "token"))
    var token: String?

    func validate() throws {
        if subscriber != nil, to != nil { throw ValidationError("--as sends as a subscriber, --to to a node; give one of the two") }
        guard let milliseconds = SendCommand.milliseconds(wait), milliseconds <= 32_000 else {
            throw ValidationError("--wait \(wait): write a duration of at most 32s, such as 700ms or 2s")
        }
    }

    func run() async throws {
        let request = try contents()
        var order: [JSON.Member] = []
        if let text = String(validating: request, as: UTF8.self) {
            order.append(.init("raw", .text(text)))
        } else {
            order.append(.init("raw_base64", .text(SendCommand.base64(request))))
        }
        if let subscriber { order.append(.init("as", .text(subscriber))) }
        if let to { order.append(.init("to", .text(to))) }
        order.append(.init("wait", .text(wait)))
        let address = try ControlAddress(core, token: token)
        let sent: SentByCore
        do throws(HTTPCall.Failure) {
            sent = try await SentByCore(
                base: address.base, token: address.token, order: JSON.object(order).written,
                patienceMilliseconds: SendCommand.milliseconds(wait) ?? 0)
        } catch {
            throw CommandFailure(status: error.isRefusal ? 1 : 3, text: error.description)
        }
        for response in sent.responses { Descriptor.write(response.hasSuffix("\n") ? response : response + "\n", to: STDOUT_FILENO) }
        guard sent.hasSucceeded else { throw CommandFailure(status: 1, text: sent.fault) }
    }

    private func contents() throws(CommandFailure) -> [UInt8] {
        do throws(FileFailure) {
            guard file == "-" else { return try Descriptor.contents(of: file) }
            var contents: [UInt8] = []
            while true {
                let piece = try Descriptor.some(from: STDIN_FILENO)
                if piece.isEmpty { return contents }
                contents += piece
            }
        } catch {
            throw CommandFailure(status: 3, text: "\(file): \(error.reason)")
        }
    }

    private static func milliseconds(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), number < 1_000_000 else { return nil }
        switch text[digits.endIndex...] {
        case "ms": return number
        case "s": return number * 1000
        default: return nil
        }
    }

    /// RFC 4648 §4.
    private static func base64(_ octets: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: octets.count, by: 3) {
            let group = octets[start..<min(start + 3, octets.count)]
            let word = group.reduce(0 as UInt32) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for place in 0..<4 { text.append(place <= group.count ? alphabet[Int(word >> UInt32(18 - 6 * place) & 63)] : 0x3D) }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
