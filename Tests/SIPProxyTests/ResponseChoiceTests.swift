import SIPProxy
import Testing

/// Which of several final responses goes back (RFC 3261 §16.7 step 6).
@Suite struct ResponseChoiceTests {
    @Test(
        arguments: [
            ([404, 603, 200 + 300], UInt16(603)), ([500, 404, 302], 302), ([404, 486, 407], 407), ([486, 401, 415], 401),
            ([408, 486], 486),
            ([503, 500], 500), ([503, 599], 599), ([503], 503), ([480, 404], 404), ([420, 484, 410], 420),
        ] as [([UInt16], UInt16)])
    func theBestOfThem(_ statuses: [UInt16], _ expected: UInt16) {
        var best: UInt16 = 0
        for status in statuses where ResponseChoice.isBetter(status, than: best) { best = status }
        #expect(best == expected)
    }

    @Test func anEqualOneDoesNotTakeThePlace() {
        #expect(!ResponseChoice.isBetter(404, than: 404))
        #expect(ResponseChoice.isBetter(503, than: 0))
    }
}
