// Whatever a file holds, reading it ends in a topology or in faults.
import Testing
import Topology

@Suite struct RobustnessTests {
    @Test func brokenFilesEndInFaults() {
        let text = withBase(
            """
            core: {listen: [udp://127.0.0.1:5060], expires: {min: 60}, trusted: [10.0.0.0/8], seed: 1, trace_bytes: 1MiB, clock_start: 2026-01-01T00:00:00Z}
            service_profiles: {p: {filter_criteria: [{priority: 0, application_server: im, trigger: [[{header: a, content: '[a]\\(b'}]]}]}}
            scenarios: {x: [alice: message bob "hi", {expect: {at: im, request: MESSAGE, within: 2s}}]}
            """
        ).replacing("  alice: {password", with: "  'u{00..99}': {password: x}\n  alice: {password")
        #expect(read(text).topology != nil && faults(text).count == 1)
        let characters = Array(text)
        var generator = Numbers(state: 7)
        for _ in 0..<200 {
            var changed = characters
            for _ in 0...generator.below(3) {
                let place = generator.below(changed.count)
                switch generator.below(3) {
                case 0: changed.remove(at: place)
                case 1: changed.insert(Array("{}[]:,'\"\\&*#-.0 9\n\u{E9}${")[generator.below(20)], at: place)
                default: changed.swapAt(place, generator.below(changed.count))
                }
            }
            let result = read(String(changed))
            #expect(result.topology != nil || result.hasErrors)
        }
        for end in stride(from: 0, to: characters.count, by: 7) { _ = read(String(characters[..<end])) }
    }

    @Test func faultsAreSortedAndSaidOnce() {
        let text = "domain: a.test\nsubscribers:\n  a: &x {pasword: y}\n  b: *x\ncore: {trase: 1}\n"
        let found = read(text).faults
        #expect(found.map(\.line) == found.map(\.line).sorted() && Set(found.map(\.description)).count == found.count)
        #expect(found.count == 3)
    }

    /// A small generator, so that a failure comes again.
    private struct Numbers {
        var state: UInt64
        mutating func below(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(truncatingIfNeeded: state >> 33) % limit
        }
    }
}
