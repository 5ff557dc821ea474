// Names of files as text.

enum Path {
    /// The name made absolute from a folder, without `.` and `..`.
    static func absolute(_ name: String, from folder: String) -> String {
        let full = name.hasPrefix("/") ? name : folder + "/" + name
        var parts: [Substring] = []
        for part in full.split(separator: "/") {
            switch part {
            case ".": continue
            case "..": _ = parts.popLast()
            default: parts.append(part)
            }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// The folder that a file stands in; absolute for an absolute name, else relative or empty.
    static func folder(of file: String) -> String {
        guard let slash = file.lastIndex(of: "/") else { return "" }
        return slash == file.startIndex ? "/" : String(file[..<slash])
    }

    /// How a file is called in faults that the topology names as `name`: as if it had been named on the command line.
    static func beside(_ file: String, _ name: String) -> String {
        let folder = folder(of: file)
        return name.hasPrefix("/") || folder.isEmpty ? name : (folder == "/" ? "/" : folder + "/") + name
    }

    /// The last part without its extension.
    static func baseName(_ file: String) -> String {
        let last = file.split(separator: "/").last.map(String.init) ?? file
        guard let dot = last.lastIndex(of: "."), dot != last.startIndex else { return last }
        return String(last[..<dot])
    }
}
