// How the tests of this folder read a topology: no file system, expressions taken as they are unless a test says otherwise.
import Topology

/// Reads a topology called `lab/t.yaml` from the folder `/work`.
func read(
    _ text: String, environment: [String: String] = [:], isLab: Bool = false, files: [String: String] = [:],
    expressionFault: @escaping @Sendable (String) -> String? = { _ in nil },
    tlsFault: @escaping @Sendable (TLSFiles) -> TLSFileFault? = { _ in nil }
) -> LoadResult {
    var result = Topology.load(
        file: "lab/t.yaml", text: text,
        in: surroundings(environment: environment, isLab: isLab, files: files, expressionFault: expressionFault, tlsFault: tlsFault))
    result.faults.removeAll { isOfTheBase($0.text) }
    return result
}

/// In the base below nobody names `other` yet: it is there for the lines that a test adds.
private func isOfTheBase(_ fault: String) -> Bool { fault.hasPrefix("no criterion names 'other'") }

func surroundings(
    environment: [String: String] = [:], isLab: Bool = false, files: [String: String] = [:],
    expressionFault: @escaping @Sendable (String) -> String? = { _ in nil },
    tlsFault: @escaping @Sendable (TLSFiles) -> TLSFileFault? = { _ in nil }
) -> Surroundings {
    Surroundings(
        environment: environment, workingFolder: "/home/me", isLab: isLab,
        readFile: { path throws(UnreadableFile) in
            guard let text = files[path] else { throw UnreadableFile(reason: "no such file") }
            return Array(text.utf8)
        },
        expressionFault: expressionFault, tlsFault: tlsFault)
}

/// The faults without the file's name: `LINE:COLUMN: error: ...`.
func faults(
    _ text: String, environment: [String: String] = [:], isLab: Bool = false,
    expressionFault: @escaping @Sendable (String) -> String? = { _ in nil }
) -> [String] {
    read(text, environment: environment, isLab: isLab, expressionFault: expressionFault).faults.map { fault in
        String(fault.description.dropFirst("lab/t.yaml:".count))
    }
}

/// A topology that is right, with these lines added.
func withBase(_ lines: String) -> String { base + lines }

let base = """
    domain: home1.test
    application_servers:
      im: {uri: "sip:127.0.0.1:5080", feature_tags: [+g.oma.sip-im], run: im-server}
      other: {uri: "sip:127.0.0.1:5090"}
    subscribers:
      alice: {password: wonderland, application_servers: [im]}
      bob: {password: builder}
    clients:
      alice: {run: im-client}
      bob: {command: [./client]}

    """
