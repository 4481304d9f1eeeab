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
            var chunk = DeliveryChunk(firstTag: 1)
            chunk.begin(MessageProperties(), payload: 0, timestamp: 0, deliveryCount: 1)
            desk.deliver(chunk, identity.partition)
            desk.lost(identity.partition)
            guard case .lost? = try desk.take() else {
                Issue.record("nothing was lost")
                return
            }
            #expect(try desk.take().map { _ in true } == nil)
        }
    }
#endif
