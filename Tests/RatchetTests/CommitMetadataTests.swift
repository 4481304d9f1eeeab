import Testing

@testable import Ratchet

@Suite("Commit metadata")
struct CommitMetadataTests {
    private static let ledger = String(repeating: "0f", count: 16)
    private static let epoch = String(repeating: "9a", count: 8)

    @Test("What is committed beside an offset says whose commit it was")
    func roundTrip() {
        let metadata = CommitMetadata(ledger: Self.ledger, epoch: Self.epoch)
        #expect(CommitMetadata(metadata.description) == metadata)
        #expect(metadata.description.utf8.count == 59)
    }

    @Test(
        "Anything else is nobody's",
        arguments: [
            "", "ratchet/1", "ratchet/1  ", "ratchet/2 \(ledger) \(epoch)", "ratchet/1 \(ledger) \(epoch) ",
            "ratchet/1 \(epoch) \(ledger)", "ratchet/1 \(ledger)\(epoch)", "kafka-client-1",
            " ratchet/1 \(ledger) \(epoch)",
        ]
    )
    func anythingElseIsNobodys(text: String) {
        #expect(CommitMetadata(text) == nil)
    }
}
