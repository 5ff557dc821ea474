// Topologies from disk: what their reader needs of the world around it, and where their faults are said.

import CProcess
import Glibc
import IMSProfile
import NodeRuntime
import SansIO
import Topology

enum TopologyFile {
    /// Reads a topology that something is to start from. Warnings go to standard error.
    /// - Parameters:
    ///   - isLab: a `uri` with port 0 is right: the lab fills it in.
    ///   - willRead: is told the name of each file before it is read.
    static func load(
        _ path: String, isLab: Bool, willRead: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(CommandFailure) -> Topology {
        let (topology, faults) = try read(path, isLab: isLab, willRead: willRead)
        for fault in faults { Descriptor.write("\(fault)\n", to: STDERR_FILENO) }
        guard let topology else { throw CommandFailure(status: 1, text: nil) }
        return topology
    }

    /// Reads a topology, with all that is wrong with it.
    /// - Returns: no topology if there is an error among the faults.
    static func read(
        _ path: String, isLab: Bool, willRead: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(CommandFailure) -> (topology: Topology?, faults: [Fault]) {
        willRead(path)
        switch try contents(of: path) {
        case .text(let text):
            let result = Topology.load(file: path, text: text, in: surroundings(isLab: isLab, willRead: willRead))
            return (result.topology, result.faults)
        case .fault(let fault): return (nil, [fault])
        }
    }

    /// Reads a file of scenarios for a lab of this topology.
    static func scenarios(
        _ path: String, for topology: Topology, willRead: (String) -> Void = { _ in }
    ) throws(CommandFailure) -> (scenarios: [Scenario], faults: [Fault]) {
        willRead(path)
        switch try contents(of: path) {
        case .text(let text): return topology.loadScenarios(file: path, text: text, in: surroundings(isLab: true))
        case .fault(let fault): return ([], [fault])
        }
    }

    private enum Contents {
        case text(String)
        case fault(Fault)
    }

    private static func contents(of path: String) throws(CommandFailure) -> Contents {
        let octets: [UInt8]
        do throws(FileFailure) { octets = try Descriptor.contents(of: path) } catch {
            throw CommandFailure(status: 3, text: "cannot read \(path): \(error.reason)")
        }
        if let text = String(validating: octets, as: UTF8.self) { return .text(text) }
        return .fault(notUTF8(octets, in: path))
    }

    /// A fault at the first octet that is no part of a character.
    private static func notUTF8(_ octets: [UInt8], in path: String) -> Fault {
        var decoder = UTF8()
        var iterator = octets.makeIterator()
        var line = 1
        var column = 1
        while case .scalarValue(let scalar) = decoder.decode(&iterator) {
            column = scalar == "\n" ? 1 : column + 1
            line += scalar == "\n" ? 1 : 0
        }
        return Fault(.error, file: path, line: line, column: column, text: "this is no UTF-8; save the file in that encoding")
    }

    // MARK: The world around

    static func surroundings(isLab: Bool, willRead: @escaping @Sendable (String) -> Void = { _ in }) -> Surroundings {
        Surroundings(
            environment: environment(), workingFolder: workingFolder(), isLab: isLab,
            readFile: { (path) throws(UnreadableFile) in
                willRead(path)
                do throws(FileFailure) { return try Descriptor.contents(of: path) } catch {
                    throw UnreadableFile(reason: error.reason)
                }
            },
            expressionFault: { expression in
                do throws(RegularExpressionFault) {
                    _ = try RegularExpression(expression)
                    return nil
                } catch {
                    return error.description
                }
            },
            tlsFault: CoreTLS.fault)
    }

    private static func environment() -> [String: String] {
        var result: [String: String] = [:]
        guard var cursor = cprocess_environment() else { return result }
        while let entry = cursor.pointee {
            let pair = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 { result[String(pair[0])] = String(pair[1]) }
            cursor += 1
        }
        return result
    }

    /// `/` if the working folder has been removed: relative names then are not found.
    private static func workingFolder() -> String {
        guard let path = getcwd(nil, 0) else { return "/" }
        defer { free(path) }
        return String(cString: path)
    }
}
