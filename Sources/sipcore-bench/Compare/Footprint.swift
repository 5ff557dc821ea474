// What a server is before the first request: how soon it answers, how large it is, and what it holds when idle.

import Foundation
import LoadDriver
import SansIO

/// When a server serves: OPTIONS is sent until it is answered.
enum ReadyProbe {
    /// - Returns: the seconds until the first answer.
    static func wait(for child: Child, at port: UInt16, since start: Date = Date()) throws -> Double {
        let socket = try DatagramPort(binding: Endpoint(address: .loopback, port: 0))
        let target = Endpoint(address: .loopback, port: port)
        // Kamailio touches all its memory first.
        let limit = start.addingTimeInterval(60)
        var number = 0
        while Date() < limit {
            number += 1
            let text = Array(request(number, from: socket.local.port).utf8)
            // Its octets must stay until they are sent.
            withExtendedLifetime(text) {
                socket.add(text.span.bytes, to: target)
                socket.flush { _ in }
            }
            if socket.wait(for: TimeSpan(nanoseconds: 500_000)), socket.receive() > 0 { return Date().timeIntervalSince(start) }
            socket.takeReports { _ in }
            // A report of ICMP ends the wait at once, and a flood of requests would be what is measured.
            usleep(500)
            if child.exitStatus != nil { throw BenchFailure("the server ended before it served:\n\(child.errors.suffix(2000))") }
            try Interruption.check()
        }
        throw BenchFailure("the server did not answer OPTIONS within 60 s:\n\(child.errors.suffix(2000))")
    }

    private static func request(_ number: Int, from port: UInt16) -> String {
        "OPTIONS sip:home1.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:\(port);rport;branch=z9hG4bKready\(getpid())x\(port)x\(number)\r\n"
            + "Max-Forwards: 70\r\nFrom: <sip:bench@home1.test>;tag=1\r\nTo: <sip:home1.test>\r\nCall-ID: ready-\(port)-\(number)\r\n"
            + "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    }
}

/// The figures of servers at rest; nil: not measured.
struct Footprint {
    /// Seconds from the start to the first answer, of each run.
    var start: [Double] = []
    var kamailioStart: [Double] = []
    /// Seconds from the start of a lab to its ready line, of each run.
    var lab: [Double] = []
    var idleKiB: [Int] = []
    var kamailioIdleKiB: [Int] = []
    /// Octets of the executable; of Kamailio with the modules that it has loaded.
    var size = 0
    var kamailioSize = 0

    static func measure(_ options: CompareOptions, in folder: String) throws -> Footprint {
        var footprint = Footprint()
        footprint.size = octets(of: options.sipcore)
        for run in 0..<max(options.runs, 3) {
            try footprint.startCore(options, run, in: folder)
            if Kamailio.version != nil { try footprint.startKamailio(run, in: folder) }
            try footprint.startLab(options, run, in: folder)
        }
        return footprint
    }

    private mutating func startCore(_ options: CompareOptions, _ run: Int, in folder: String) throws {
        let port = try freePorts(1)[0]
        let path = "\(folder)/idle.yaml"
        let text = "domain: home1.test\ncore:\n  listen: [udp://127.0.0.1:\(port)]\nsubscribers:\n  alice: {password: wonderland}\n"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        let begin = Date()
        let child = try Child([options.sipcore, "core", path], named: "idle-core-\(run)", in: folder)
        start.append(try ReadyProbe.wait(for: child, at: port, since: begin))
        try Interruption.sleep(until: Date().addingTimeInterval(0.3))
        idleKiB.append(child.process.residentKiB)
        child.stop()
    }

    private mutating func startKamailio(_ run: Int, in folder: String) throws {
        let port = try freePorts(1)[0]
        let path = "\(folder)/kamailio.cfg"
        try (KamailioConfiguration.text + "\n").write(toFile: path, atomically: true, encoding: .utf8)
        let begin = Date()
        let command = Kamailio.command(path, "publish", port: port, server: 5080, preallocated: false)
        let child = try Child(command, named: "idle-kamailio-\(run)", in: folder)
        kamailioStart.append(try ReadyProbe.wait(for: child, at: port, since: begin))
        try Interruption.sleep(until: Date().addingTimeInterval(0.3))
        kamailioIdleKiB.append(child.process.residentKiB)
        kamailioSize = Footprint.loaded(by: child)
        child.stop()
    }

    /// The lab's own ports are free ones, so that a lab of the user's may run beside it.
    private mutating func startLab(_ options: CompareOptions, _ run: Int, in folder: String) throws {
        guard let text = try? String(contentsOfFile: options.labTopology, encoding: .utf8) else {
            if run == 0 { Comparison.note("\(options.labTopology) cannot be read; no lab is timed") }
            return
        }
        let path = "\(folder)/lab.yaml"
        try text.replacing(/127\.0\.0\.1:\d+/, with: "127.0.0.1:0").write(toFile: path, atomically: true, encoding: .utf8)
        let begin = Date()
        let child = try Child([options.sipcore, "lab", path], named: "lab-\(run)", in: folder)
        while !child.output.contains("\"role\":\"lab\"") {
            guard child.exitStatus == nil, Date().timeIntervalSince(begin) < 20 else {
                throw BenchFailure("the lab did not get ready:\n\(child.errors.suffix(2000))")
            }
            try Interruption.check()
            usleep(500)
        }
        lab.append(Date().timeIntervalSince(begin))
        child.stop()
    }

    private static func octets(of path: String) -> Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        return (attributes?[.size] as? Int) ?? 0
    }

    /// The executable and all of Kamailio's own libraries and modules that it has mapped.
    private static func loaded(by child: Child) -> Int {
        let maps = (try? String(contentsOfFile: "/proc/\(child.process.pid)/maps", encoding: .utf8)) ?? ""
        let files = Set(maps.split(separator: "\n").compactMap { $0.split(separator: " ").last }.filter { $0.contains("kamailio") })
        return files.reduce(0) { $0 + octets(of: String($1)) }
    }
}
