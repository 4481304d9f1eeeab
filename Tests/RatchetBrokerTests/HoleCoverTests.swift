import Ratchet
import Testing

@testable import RatchetBroker

@Suite("Offsets that are gone are settled with the message behind them", .timeLimit(.minutes(30)))
struct HoleCoverTests {
    @Test(
        "A member's batches cover every offset up to the last message, however small they are",
        arguments: [1, 2, 100]
    )
    func covered(size: Int) async throws {
        var configuration = Broker.Configuration.quiet
        configuration.maximumFetchMessages = size
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t", cleanup: .compact)
        // Two chunks of a mebibyte and more, which are not put together: the first one loses its end, the second its
        // beginning.
        let large = [UInt8](repeating: 1, count: 600_000)
        for keys in [["a", "b", "x", "y"], ["x", "y", "c", "d"], ["x", "y"], ["end"]] {
            let messages = keys.map { OutgoingMessage(to: "t", key: $0, payload: $0 == "x" || $0 == "y" ? [1] : large) }
            let _: [RecordMetadata] = try await broker.send(messages)
        }
        try await broker.compact("t")
        let session = try await broker.subscribe(to: "t", as: "g").open()
        let assignment = try await session.nextAssigned()[0]
        try await session.start([assignment])
        var (covered, offsets): (Int64, [Int64]) = (0, [])
        while covered < 11 {
            let batch = try await session.nextMessages()
            for index in 0..<batch.count {
                #expect(batch.coveredOffsets(at: index).lowerBound == covered)
                covered = batch.coveredOffsets(at: index).upperBound
                offsets.append(batch.offset(at: index))
            }
        }
        #expect(offsets == [0, 1, 6, 7, 8, 9, 10])
        try await broker.close()
    }
}
