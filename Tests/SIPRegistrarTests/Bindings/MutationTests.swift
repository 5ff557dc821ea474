import SIPMessage
import SIPRegistrar
import SansIO
import Testing

/// REGISTER requests with octets changed at random: whatever comes, nothing traps, and what is kept stays sound.
@Suite struct MutationTests {
    private static let request = """
        REGISTER sip:home1.test SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1
        From: <sip:alice@home1.test>;tag=1
        To: <sip:alice@home1.test>
        Call-ID: call-1
        CSeq: 1 REGISTER
        Supported: path, outbound
        Path: <sip:one.test;lr>, <sip:two.test;lr;ob>
        P-Charging-Vector: icid-value="abc"
        Contact: "A" <sip:a@h.test;transport=tcp?x=y>;q=0.5;+sip.instance="<urn:1>";reg-id=1;expires=100
        Contact: <tel:+1-555;ext=1>, sip:b@[::1]:5062;expires=200
        Expires: 3600


        """.replacing("\n", with: "\r\n")

    @Test(arguments: [RegistrarSettings.Profile.ims, .rfc3261])
    func `survives mutated requests`(profile: RegistrarSettings.Profile) throws {
        let rig = RegistrarRig(profile, keepsUndo: true, maximumContacts: 4)
        let copy = RegistrarRig(profile)
        var random = RandomSource(seed: 11)
        let alphabet = Array("<>\";=,*: \r\n%0a@?[]\u{0}\\".utf8)
        var accepted = 0
        for sequence in 1...1500 {
            var bytes = Array(MutationTests.request.utf8)
            for _ in 0..<Int.random(in: 0..<4, using: &random) {
                let place = Int.random(in: 60..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = alphabet.randomElement(using: &random)!
                case 1: bytes.remove(at: place)
                default: bytes.insert(alphabet.randomElement(using: &random)!, at: place)
                }
            }
            var scanner = MessageScanner()
            guard case .message = scanner.scan(bytes.span.bytes) else { continue }
            let message = scanner.message(bytes.span.bytes)
            guard var essentials = try? message.essentials() else { continue }
            essentials.sequence = UInt32(sequence)
            let outcome = rig.registrar.register(message, essentials, subscriber: 7, device: 0, over: .udp(1), at: rig.now)
            if let change = outcome.change {
                accepted += 1
                if Bool.random(using: &random) { rig.registrar.undo(change.token) } else { rig.registrar.confirm(change.token) }
            }
            for contact in rig.contacts() { try #require(!contact.contains("\r") && !contact.contains("\n")) }
            try #require(copy.restore(rig.record()))
            rig.pass(20)
            rig.advance()
        }
        #expect(accepted > 200)
        rig.pass(1_000_000)
        rig.advance()
        #expect(rig.bytesKept == 0)
    }
}
