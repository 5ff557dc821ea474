import Glibc
import Testing

@testable import Lab

@Suite struct GuardMessageTests {
    @Test func commandsAndEventsSurviveTheirFrames() throws {
        let commands: [GuardCommand] = [
            .start(ProcessSpec(node: "im", arguments: ["prog", "", "ü"], environment: ["A": "1", "B": ""], folder: "/tmp")),
            .start(ProcessSpec(node: "run 1", arguments: ["prog"], folder: "/tmp", takesInput: false)),
            .stop(node: "im", graceMilliseconds: 5000), .write(node: "alice", bytes: [0, 255, 10]),
        ]
        for command in commands { #expect(try GuardCommand(Array(command.frame.dropFirst(4))) == command) }
        let events: [GuardEvent] = [
            .started(node: "im", pid: 4711), .startFailed(node: "im", code: ENOENT),
            .output(node: "im", stream: .error, bytes: Array("x\n".utf8)), .ended(node: "im", cause: .exited(3)),
            .ended(node: "im", cause: .signalled(9)),
        ]
        for event in events { #expect(try GuardEvent(Array(event.frame.dropFirst(4))) == event) }
    }

    @Test func framesMayComeInAnyPieces() throws {
        let stream = GuardCommand.stop(node: "im", graceMilliseconds: 1).frame + GuardCommand.write(node: "a", bytes: [1]).frame
        var splitter = FrameSplitter()
        var payloads: [[UInt8]] = []
        for byte in stream {
            splitter.append([byte])
            while let payload = try splitter.next() { payloads.append(payload) }
        }
        #expect(try payloads.map(GuardCommand.init) == [.stop(node: "im", graceMilliseconds: 1), .write(node: "a", bytes: [1])])
    }

    @Test func nonsenseIsAFailureAndNeverATrap() {
        var splitter = FrameSplitter()
        splitter.append([255, 255, 255, 255])
        #expect(throws: MalformedFrame.self) { try splitter.next() }
        let whole = Array(GuardCommand.start(shell("true")).frame.dropFirst(4))
        for count in 0..<whole.count {
            #expect(throws: MalformedFrame.self) { try GuardCommand(Array(whole.prefix(count))) }
        }
        #expect(throws: MalformedFrame.self) { try GuardEvent([3, 255, 255, 255, 255]) }
    }

    @Test func aProcessNameMayHoldAnything() {
        let stat = Array("42 (a) R 1 (b) S 7 9 9 0".utf8)
        #expect(ProcessTree.Entry(pid: 42, stat: stat) == .init(pid: 42, parent: 7, group: 9))
        #expect(ProcessTree.Entry(pid: 42, stat: Array("42 (a) Z 7 9 9 0".utf8)) == nil)
        #expect(ProcessTree.Entry(pid: 42, stat: Array("garbage".utf8)) == nil)
    }

    @Test func descendantsAreChildrenAndTheirChildren() {
        let tree = ProcessTree(entries: [
            .init(pid: 2, parent: 1, group: 2), .init(pid: 3, parent: 2, group: 2), .init(pid: 4, parent: 3, group: 4),
            .init(pid: 5, parent: 1, group: 5),
        ])
        #expect(Set(tree.descendants(of: 2)) == [3, 4])
        #expect(Set(tree.descendants(of: 1)) == [2, 3, 4, 5])
    }
}

/// Real processes under a real guard.
@Suite struct GuardTests {
    private func link() throws -> GuardLink { try GuardLink(command: [sipcoreExecutable, LabGuard.subcommand]) }

    @Test func aNodeIsStartedWrittenToReadAndSeenToEnd() async throws {
        let link = try link()
        link.send(.start(shell("read line; echo \"got $line\"; echo oops >&2; exit 7")))
        link.send(.write(node: "node", bytes: Array("hello\n".utf8)))
        var output: [OutputStream: [UInt8]] = [:]
        var cause: EndCause?
        for await event in link.events {
            if case .output(_, let stream, let bytes) = event { output[stream, default: []] += bytes }
            if case .ended(_, let how) = event {
                cause = how
                break
            }
        }
        #expect(cause == .exited(7))
        #expect(output == [.standard: Array("got hello\n".utf8), .error: Array("oops\n".utf8)])
        await link.end()
    }

    @Test func aMissingProgramOrFolderIsReported() async throws {
        let link = try link()
        link.send(.start(ProcessSpec(node: "a", arguments: ["./no-such-program"], folder: "/tmp")))
        link.send(.start(ProcessSpec(node: "b", arguments: ["true"], folder: "/no-such-folder")))
        var failures: [GuardEvent] = []
        for await event in link.events {
            failures.append(event)
            if failures.count == 2 { break }
        }
        #expect(failures == [.startFailed(node: "a", code: ENOENT), .startFailed(node: "b", code: ENOENT)])
        await link.end()
    }

    @Test func theProcessGetsItsEnvironmentAndFolder() async throws {
        let link = try link()
        var spec = shell("echo $GREETING $PWD; ls /proc/self/fd | wc -l")
        spec.environment = ["GREETING": "hello"]
        spec.folder = "/usr"
        link.send(.start(spec))
        var output = ""
        for await event in link.events {
            if case .output(_, _, let bytes) = event { output += String(decoding: bytes, as: UTF8.self) }
            if case .ended = event { break }
        }
        // The listing itself has one descriptor open beside the standard three.
        #expect(output.split(whereSeparator: \.isWhitespace) == ["hello", "/usr", "4"])
        await link.end()
    }

    /// The pipe closes when the lab is killed as well: nothing may be left, wherever it went.
    @Test(arguments: [
        "echo $$; exec sleep 1000",
        "echo $$; sleep 1000",
        "setsid sh -c 'echo $$; exec sleep 1000' & wait",
        "(setsid sh -c 'echo $$; exec sleep 1000' &) ; exec sleep 1000",
        "trap '' TERM; echo $$; while :; do sleep 1000; done",
        "env -i /usr/bin/setsid sh -c 'echo $$; exec sleep 1000' & wait",
    ])
    func nothingOutlivesTheClosedPipe(script: String) async throws {
        let link = try link()
        link.send(.start(shell(script)))
        var pids: [pid_t] = []
        for await event in link.events {
            if case .started(_, let pid) = event { pids.append(pid) }
            if case .output(_, _, let bytes) = event {
                pids += String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { pid_t($0) }
                break
            }
        }
        #expect(pids.count == 2)
        await link.end()
        #expect(pids.filter(isAlive) == [])
    }

    @Test func stoppingANodeEndsWhatItLeftBehindToo() async throws {
        let link = try link()
        link.send(.start(shell("setsid sh -c 'echo $$; exec sleep 1000' & echo started; exec sleep 1000")))
        var text = ""
        var isAsked = false
        for await event in link.events {
            if case .output(_, _, let bytes) = event { text += String(decoding: bytes, as: UTF8.self) }
            if !isAsked, text.split(separator: "\n").count == 2 {
                isAsked = true
                link.send(.stop(node: "node", graceMilliseconds: 3000))
            }
            if case .ended(_, let cause) = event {
                #expect(cause == .signalled(SIGTERM))
                break
            }
        }
        let left = try #require(text.split(separator: "\n").compactMap { pid_t($0) }.first)
        // The guard's last look at what was left comes after the report of the end.
        #expect(await eventually { !isAlive(left) })
        await link.end()
    }

    @Test func aNodeThatIgnoresTheRequestIsKilledAfterItsGrace() async throws {
        let link = try link()
        link.send(.start(shell("trap '' TERM; echo ready; while :; do sleep 1000; done")))
        var cause: EndCause?
        for await event in link.events {
            if case .output = event { link.send(.stop(node: "node", graceMilliseconds: 50)) }
            if case .ended(_, let how) = event {
                cause = how
                break
            }
        }
        #expect(cause == .signalled(SIGKILL))
        await link.end()
    }

    @Test func theGuardRemovesTheScratchFolder() async throws {
        let folder = try TemporaryFolder()
        var template = Array("\(folder.path)/scratch-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let scratch = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        let link = try GuardLink(command: [sipcoreExecutable, LabGuard.subcommand], scratch: scratch)
        link.send(.start(shell("echo x > \(scratch)/im.sqlite; echo ${SIPCORE_LAB_SCRATCH-none}")))
        for await event in link.events {
            if case .output(_, _, let bytes) = event { #expect(bytes == Array("none\n".utf8)) }
            if case .ended = event { break }
        }
        await link.end()
        #expect(access(scratch, F_OK) != 0)
    }
}
