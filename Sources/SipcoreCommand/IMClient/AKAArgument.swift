// `--aka k=HEX,opc=HEX,amf=HEX`: the keys of a client's SIM, as the topology has them for the core.

import SIPRegistrar

extension AKACredentials {
    /// - Parameter argument: `k`, `opc` or `op`, and, if need be, `amf` and `sqn`, each in hexadecimal digits.
    init(argument: String) throws(CommandFailure) {
        var values: [Substring: Substring] = [:]
        for pair in argument.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let digits = AKACredentials.digits[parts[0]] else {
                throw AKACredentials.fault("'\(pair)' is not known; write k=..., opc=... or op=..., amf=..., sqn=...")
            }
            guard values.updateValue(parts[1], forKey: parts[0]) == nil else { throw AKACredentials.fault("'\(parts[0])' is there twice") }
            // Numbers take a sign, which keys do not have.
            guard parts[1].utf8.count == digits, parts[1].allSatisfy(\.isHexDigit) else {
                throw AKACredentials.fault("'\(parts[0])' is \(digits) hexadecimal digits, and this is '\(parts[1])'")
            }
        }
        guard let k = values["k"].flatMap({ UInt128($0, radix: 16) }) else {
            throw AKACredentials.fault("the key is missing; write k=..., 32 hexadecimal digits")
        }
        let amf = values["amf"].flatMap { UInt16($0, radix: 16) } ?? 0x8000
        let sqn = SequenceNumber(rawValue: values["sqn"].flatMap { UInt64($0, radix: 16) } ?? 0)
        switch (values["opc"].flatMap { UInt128($0, radix: 16) }, values["op"].flatMap { UInt128($0, radix: 16) }) {
        case (let opc?, nil): self.init(k: k, opc: opc, amf: amf, sqn: sqn)
        case (nil, let op?): self.init(k: k, op: op, amf: amf, sqn: sqn)
        default: throw AKACredentials.fault("the operator's code is missing or there twice; write opc=... or op=..., 32 hexadecimal digits")
        }
    }

    /// How many digits each value has.
    private static let digits: [Substring: Int] = ["k": 32, "opc": 32, "op": 32, "amf": 4, "sqn": 12]

    private static func fault(_ text: String) -> CommandFailure { CommandFailure(status: 2, text: "--aka: \(text)") }
}
