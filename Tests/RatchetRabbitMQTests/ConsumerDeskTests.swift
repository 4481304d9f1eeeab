#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    @Suite struct ConsumerDeskTests {
        private static func identity(_ number: Int) -> ConsumerChannel.Identity {
            ConsumerChannel.Identity(partition: TopicPartition("q", number), generation: Int64(number))
        }

        @Test("However often a channel comes and goes unheard, only the last one is told")
        func unheard() throws {
            let desk = ConsumerDesk()
            for number in 1...100 {
                desk.assigned(Self.identity(number))
                if number < 100 { desk.lost(Self.identity(number).partition) }
            }
            guard case .assigned(let assignments)? = try desk.take() else {
                Issue.record("nothing was assigned")
                return
            }
            #expect(assignments.map(\.partition.partition) == [100])
            #expect(try desk.take().map { _ in true } == nil)
            desk.lost(Self.identity(100).partition)
            guard case .lost(let lost)? = try desk.take() else {
                Issue.record("nothing was lost")
                return
            }
            #expect(lost.map(\.partition) == [100])
        }

        @Test("What was delivered to a channel that is lost is not taken")
        func lostDeliveries() throws {
            let desk = ConsumerDesk()
            let identity = Self.identity(1)
            desk.assigned(identity)
            _ = try desk.take()
            try desk.start(identity.partition, at: 1, identity.generation)
            var chunk = DeliveryChunk(firstOffset: 1)
            chunk.begin(MessageProperties(), payload: 0, timestamp: 0, deliveryCount: 1)
            desk.deliver(chunk, identity.partition)
            desk.lost(identity.partition)
            guard case .lost? = try desk.take() else {
                Issue.record("nothing was lost")
                return
            }
            #expect(try desk.take().map { _ in true } == nil)
        }

        private static func chunk(_ offsets: Range<Int64>, passed: Range<Int64> = 0..<0) -> DeliveryChunk {
            let isExplained = passed.isEmpty
            var chunk = DeliveryChunk(firstOffset: offsets.lowerBound, passed: passed, isExplained: isExplained)
            for _ in offsets { chunk.begin(MessageProperties(), payload: 0, timestamp: 0, deliveryCount: 1) }
            return chunk
        }

        /// A stream that was started at 3 and has delivered 3 and 4, then 6 and 7.
        private static func streamWithPassing() throws -> (ConsumerDesk, ConsumerChannel.Identity) {
            let desk = ConsumerDesk(model: .log)
            let identity = Self.identity(1)
            desk.assigned(identity, log: 0..<8)
            _ = try desk.take()
            try desk.start(identity.partition, at: 3, identity.generation)
            desk.deliver(Self.chunk(3..<5), identity.partition)
            desk.deliver(Self.chunk(6..<8, passed: 5..<6), identity.partition)
            return (desk, identity)
        }

        private static func taken(_ desk: ConsumerDesk) throws -> Range<Int64>? {
            guard case .messages(let batch)? = try desk.take() else { return nil }
            return batch.startOffset..<batch.lastOffset + 1
        }

        @Test("What lies behind offsets that were passed over is taken once it is known that nothing was removed")
        func holes() throws {
            let (desk, identity) = try Self.streamWithPassing()
            // What comes before them waits for nothing.
            #expect(desk.passing == nil)
            #expect(try Self.taken(desk) == 3..<5)
            let passing = try #require(desk.passing)
            #expect(passing == ConsumerDesk.Passing(identity: identity, offsets: 5..<6))
            #expect(try Self.taken(desk) == nil)
            desk.explain(passing, log: 5..<8)
            // With what was passed over, which is not waited for.
            #expect(try Self.taken(desk) == 5..<8 && desk.passing == nil)
        }

        @Test("What retention has removed under a running stream is told behind what was delivered; no more is taken")
        func removed() throws {
            let (desk, identity) = try Self.streamWithPassing()
            desk.deliver(Self.chunk(8..<9), identity.partition)
            #expect(try Self.taken(desk) == 3..<5)
            desk.explain(try #require(desk.passing), log: 7..<9)
            guard case .outOfRange(let gap)? = try desk.take() else {
                Issue.record("no gap was told")
                return
            }
            let generation = identity.generation
            #expect(
                gap == OffsetGap(partition: identity.partition, generation: generation, position: 5, log: 7..<9)
            )
            // Started elsewhere, what the old consumer still delivers is not taken for what is wanted.
            try desk.start(identity.partition, at: 7, generation)
            desk.deliver(Self.chunk(9..<10), identity.partition)
            #expect(try desk.take().map { _ in true } == nil)
        }

        @Test("A stream that is started a second time delivers nothing that was asked for before")
        func startedTwice() throws {
            let (desk, identity) = try Self.streamWithPassing()
            try desk.start(identity.partition, at: 7, identity.generation)
            desk.deliver(Self.chunk(8..<9), identity.partition)
            #expect(try desk.take().map { _ in true } == nil && desk.passing == nil)
        }
    }
#endif
