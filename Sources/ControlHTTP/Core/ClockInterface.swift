// The calls that tell the time of the core, and move it.

public import SansIO

/// The clock of a core.
public struct ClockState: Sendable, Hashable {
    public var isVirtual: Bool
    public var now: WallTime

    public init(isVirtual: Bool, now: WallTime) {
        self.isVirtual = isVirtual
        self.now = now
    }
}

struct ClockInterface: Sendable {
    let backing: any CoreBacking

    var routes: [Route] {
        let backing = backing
        guard backing.operations.contains(.clock) else { return [] }
        return [
            Route(.get, "/api/clock") { _ in await backing.clock().answer },
            Route(.post, "/api/clock/advance") { call in
                let text = try await call.text()
                do throws(ProvisioningFailure) { return try await backing.advanceClock(json: text).answer } catch { throw APIError(error) }
            },
        ]
    }
}

extension ClockState {
    fileprivate var answer: Answer {
        .json { json in
            json.object { json in
                json.member("clock", isVirtual ? "virtual" : "real")
                json.member("now", now)
            }
        }
    }
}
