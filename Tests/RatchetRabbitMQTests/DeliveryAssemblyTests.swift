#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    @Suite struct DeliveryAssemblyTests {
        private static func part(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws -> Bool) rethrows -> Bool {
            try bytes.withUnsafeBytes { try body($0) }
        }

        private static func code(_ body: () throws -> Bool) -> RabbitMQError.Code? {
            (#expect(throws: RabbitMQError.self) { _ = try body() })?.code
        }

        @Test("A message in parts becomes one record, with how often it was delivered")
        func parts() throws {
            var assembly = DeliveryAssembly(maximumSize: 100)
            var properties = MessageProperties()
            properties.key = [7]
            properties.failedDeliveries = 4
            try assembly.begin(tag: 1, isRedelivered: true)
            #expect(try !assembly.header(size: 3, properties, now: 50))
            #expect(try !Self.part([1, 2]) { try assembly.body($0) })
            // Not whole: nothing to take.
            #expect(assembly.take() == nil)
            #expect(try Self.part([3]) { try assembly.body($0) })
            try assembly.begin(tag: 2, isRedelivered: true)
            #expect(try assembly.header(size: 0, MessageProperties(), now: 60))
            let chunk = assembly.take()
            let batch = try #require(chunk).batch(of: TopicPartition("q", 3), generation: 9)
            #expect(batch.count == 2 && batch.startOffset == 1 && batch.lastOffset == 2)
            #expect(batch[0].payload == [1, 2, 3] && batch[0].key == [7] && batch[0].timestamp == 50)
            #expect(batch[0].deliveryCount == 5 && batch[1].deliveryCount == 2 && batch[1].payload == [])
            #expect(assembly.take() == nil)
        }

        @Test("What is delivered for the first time has not failed before, whatever its publisher says")
        func forgedCount() throws {
            var assembly = DeliveryAssembly(maximumSize: 100)
            var properties = MessageProperties()
            properties.failedDeliveries = 1_000
            try assembly.begin(tag: 1, isRedelivered: false)
            #expect(try assembly.header(size: 0, properties, now: 0))
            let chunk = assembly.take()
            let batch = try #require(chunk).batch(of: TopicPartition("q", 1), generation: 1)
            #expect(batch[0].deliveryCount == 1)
        }

        @Test("Sizes that do not fit are refused before they are believed")
        func sizes() throws {
            var assembly = DeliveryAssembly(maximumSize: 100)
            #expect(Self.code { try assembly.header(size: 1, MessageProperties(), now: 0) } == .protocolViolation)
            #expect(Self.code { try Self.part([1]) { try assembly.body($0) } } == .protocolViolation)
            try assembly.begin(tag: 1, isRedelivered: false)
            #expect(Self.code { try assembly.header(size: .max, MessageProperties(), now: 0) } == .tooLarge)
            #expect(Self.code { try assembly.header(size: 101, MessageProperties(), now: 0) } == .tooLarge)
            #expect(try !assembly.header(size: 2, MessageProperties(), now: 0))
            #expect(Self.code { try Self.part([1, 2, 3]) { try assembly.body($0) } } == .protocolViolation)
        }

        @Test("A delivery out of turn is refused")
        func turns() throws {
            var assembly = DeliveryAssembly(maximumSize: 100)
            for tag in [0, 2, UInt64.max] {
                #expect(throws: RabbitMQError.self) { try assembly.begin(tag: tag, isRedelivered: false) }
            }
            try assembly.begin(tag: 1, isRedelivered: false)
            #expect(throws: RabbitMQError.self) { try assembly.begin(tag: 1, isRedelivered: false) }
        }
    }
#endif
