import Glibc

/// A call of the system that failed while a shard was set up.
public struct SystemFailure: Error, Hashable, CustomStringConvertible {
    /// The name of the call.
    public let call: String
    /// The error number.
    public let code: Int32

    public var description: String { "\(call): \(SystemFailure.text(code))" }

    /// The system's words for an error number.
    static func text(_ code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The result of a call that tells an error by a negative one.
    static func check(_ call: String, _ result: Int32) throws(SystemFailure) -> Int32 {
        guard result >= 0 else { throw SystemFailure(call: call, code: errno) }
        return result
    }
}
