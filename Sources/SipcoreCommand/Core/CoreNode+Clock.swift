// The core's clock as its HTTP interface tells and moves it.

import ControlHTTP
import NodeRuntime
import SansIO
import Topology

extension CoreNode {
    func clock() async -> ClockState {
        guard let conductor else { return ClockState(isVirtual: false, now: SystemClock.now.wall) }
        return ClockState(isVirtual: true, now: conductor.clock.now.wall)
    }

    func advanceClock(json: String) async throws(ProvisioningFailure) -> ClockState {
        let milliseconds: Int
        do throws(FieldFault) {
            milliseconds = try topology.advance(json: json, in: surroundings)
        } catch {
            throw .invalid(error.text, field: error.field)
        }
        guard let conductor else {
            throw .conflict("the clock of this core is real, so it moves by itself; write core.clock: virtual in the topology", field: nil)
        }
        guard let now = await conductor.advance(by: .milliseconds(milliseconds)) else {
            throw .conflict("the core is about to end; nothing moves its clock any more", field: nil)
        }
        return ClockState(isVirtual: true, now: now)
    }
}
