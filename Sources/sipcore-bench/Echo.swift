// The floor: what the kernel and batched system calls alone cost a server for the same datagrams. It answers a request by its
// own text under a 200, and passes PUBLISH and MESSAGE, and their answers, on as they are.

import Foundation
import LoadDriver
import SansIO

enum Echo {
    /// Serves until it is ended.
    /// - Parameter arguments: its port, and those of the UEs, the application server and the called UEs.
    static func run(_ arguments: [String]) -> Int32 {
        let ports = arguments.compactMap { UInt16($0) }
        guard arguments.count == 4, ports.count == 4 else {
            Comparison.note("usage: sipcore-bench echo PORT UE SERVER CALLED")
            return 2
        }
        let peers = ports.map { Endpoint(address: .loopback, port: $0) }
        do {
            serve(try DatagramPort(binding: peers[0]), user: peers[1], server: peers[2], called: peers[3])
        } catch {
            Comparison.note("\(error)")
            return 3
        }
    }

    private static func serve(_ port: DatagramPort, user: Endpoint, server: Endpoint, called: Endpoint) -> Never {
        // An answer grows by its status line.
        var answers = OctetBuffer(capacity: DatagramPort.batchCapacity * 2048)
        while true {
            guard port.wait() else { continue }
            let count = port.receive()
            // What ICMP says of a peer that is gone would else wake us without end.
            guard count > 0 else {
                port.takeReports { _ in }
                continue
            }
            answers.removeAll()
            var ends: [(start: Int, end: Int, to: Endpoint)] = []
            for i in 0..<count {
                let octets = port.octets(i)
                guard octets.byteCount > 12 else { continue }
                let start = answers.count
                // S: an answer. P: PUBLISH. M: MESSAGE.
                switch octets[0] {
                case 0x53:
                    answers.append(octets)
                    ends.append((start, answers.count, user))
                case 0x50, 0x4D:
                    answers.append(octets)
                    ends.append((start, answers.count, octets[0] == 0x50 ? server : called))
                default:
                    answers.append("SIP/2.0 200 OK")
                    answers.append(octets.part(lineEnd(octets), octets.byteCount - lineEnd(octets)))
                    ends.append((start, answers.count, port.source(i)))
                }
            }
            for (start, end, destination) in ends {
                port.add(answers.bytes(from: start, count: end - start), to: destination)
            }
            port.flush { _ in }
        }
    }

    private static func lineEnd(_ octets: RawSpan) -> Int { octets.firstOffset(of: 0x0D) ?? octets.byteCount }
}
