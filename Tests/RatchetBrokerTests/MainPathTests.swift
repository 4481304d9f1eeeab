import Ratchet
import RatchetBroker
import Testing

@Suite struct MainPathTests {
    @Test("What was sent is delivered, what was committed is remembered, across a close")
    func sendConsumeCommitReopen() async throws {
        let directory = try TemporaryDirectory()
        let partition = TopicPartition("orders", 0)
        do {
            let broker = try await Broker(at: directory.broker, configuration: .quiet)
            try await broker.createTopic("orders")
            let receipt = try await broker.send(.text("a", to: "orders"))
            #expect(receipt.partition == partition && receipt.offset == 0)
            let receipts = try await broker.send([.text("b", to: "orders"), .text("c", to: "orders")])
            #expect(receipts.map(\.offset) == [1, 2])

            let session = try await broker.subscribe(to: "orders", as: "billing").open()
            let assignments = try await session.nextAssigned()
            #expect(assignments.map(\.partition) == [partition])
            #expect(assignments[0].committed == nil)
            #expect(assignments[0].log == 0..<3)
            try await session.start(assignments)
            #expect(try await session.nextMessages().texts == ["a", "b", "c"])
            try await session.commit([
                OffsetCommit(
                    partition: partition,
                    offset: 2,
                    generation: assignments[0].generation,
                    metadata: "ledger"
                )
            ])
            await session.close()
            #expect(try await session.next().isClosed)
            try await broker.close()
        }
        let broker = try await Broker(at: directory.broker, configuration: .quiet)
        #expect(broker.topics() == ["orders"])
        let session = try await broker.subscribe(to: "orders", as: "billing").open()
        let assignments = try await session.nextAssigned()
        #expect(assignments[0].committed == CommittedOffset(offset: 2, metadata: "ledger"))
        #expect(assignments[0].generation == 2)
        try await session.start(assignments)
        #expect(try await session.nextMessages().texts == ["c"])
        #expect(try await session.message(at: 1, of: partition)?.text == "b")
        #expect(try await session.message(at: 3, of: partition) == nil)
        try await broker.close()
    }
}

extension SourceEvent {
    var isClosed: Bool { if case .closed = self { true } else { false } }
}
