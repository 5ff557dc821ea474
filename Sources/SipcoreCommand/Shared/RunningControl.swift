// The HTTP interface of a role, from the binding of its address to its end.

import ControlHTTP
import Logging
import SansIO

struct RunningControl: Sendable {
    /// With the real port.
    let address: Endpoint
    private let task: Task<Void, Never>

    /// Serves an interface, and returns when its address is bound.
    static func start(
        _ interface: ControlInterface, at address: Endpoint, token: String?, hostNames: [String] = [], logger: Logger
    ) async throws(CommandFailure) -> RunningControl {
        let server = ControlServer(interface, at: address, token: token, hostNames: hostNames, logger: logger)
        let (outcomes, tell) = AsyncStream.makeStream(of: Result<Endpoint, ControlFailure>.self)
        let task = Task {
            do throws(ControlFailure) {
                try await server.run { tell.yield(.success($0)) }
            } catch {
                tell.yield(.failure(error))
            }
            tell.finish()
        }
        for await outcome in outcomes {
            switch outcome {
            case .success(let bound): return RunningControl(address: bound, task: task)
            case .failure(.tokenMissing(let address)):
                throw CommandFailure(status: 1, text: ControlFailure.tokenMissing(address).description)
            case .failure(let failure): throw CommandFailure(status: 3, text: failure.description)
            }
        }
        throw CommandFailure(status: 3, text: "the HTTP interface at \(address.text) ended before it served")
    }

    /// Answers calls that wait, finishes the others, and ends.
    func stop() async {
        task.cancel()
        await task.value
    }
}
