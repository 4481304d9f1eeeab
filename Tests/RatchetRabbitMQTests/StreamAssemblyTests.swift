#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    @Suite struct StreamAssemblyTests {
        private static func properties(_ offset: Int64?) -> MessageProperties {
            var properties = MessageProperties()
            properties.streamOffset = offset
            return properties
        }

        private static func body(_ bytes: [UInt8], _ assembly: inout StreamAssembly) throws {
            try bytes.withUnsafeBytes { try assembly.body($0) }
        }

        private static func code(_ body: () throws -> Void) -> RabbitMQError.Code? {
            (#expect(throws: RabbitMQError.self) { try body() })?.code
        }

        @Test("Messages from the offset on become one chunk; what a stream's chunk has before it is dropped")
        func offsets() throws {
            var assembly = StreamAssembly(from: 7, maximumSize: 100)
            for (index, offset) in (5...8).enumerated() {
                try assembly.begin(tag: UInt64(index + 1))
                #expect(try assembly.header(size: 2, Self.properties(Int64(offset)), now: 50) == .goesOn)
                // Not whole: nothing to take.
                #expect(assembly.take() == nil)
                try Self.body([UInt8(offset)], &assembly)
                try Self.body([0], &assembly)
            }
            let chunk = assembly.take()
            let batch = try #require(chunk).batch(of: TopicPartition("s", 0), generation: 3, countsDeliveries: false)
            #expect(
                batch.startOffset == 7 && batch.lastOffset == 8 && assembly.nextOffset == 9 && assembly.lastTag == 4
            )
            #expect((0..<2).map { batch[$0].payload } == [[7, 0], [8, 0]])
            #expect(batch[0].deliveryCount == nil && batch[0].timestamp == 50)
            #expect(assembly.take() == nil)
        }

        @Test("A stream that no longer has what comes next says so")
        func gap() throws {
            var assembly = StreamAssembly(from: 7, maximumSize: 100)
            try assembly.begin(tag: 1)
            #expect(try assembly.header(size: 2, Self.properties(9), now: 0) == .gap(9))
            #expect(assembly.nextOffset == 7)
        }

        @Test("What is out of turn, too large, or of no stream is refused")
        func refused() throws {
            var assembly = StreamAssembly(from: 0, maximumSize: 100)
            #expect(Self.code { _ = try assembly.header(size: 1, Self.properties(0), now: 0) } == .protocolViolation)
            #expect(Self.code { try assembly.begin(tag: 2) } == .protocolViolation)
            try assembly.begin(tag: 1)
            #expect(Self.code { _ = try assembly.header(size: 1, Self.properties(nil), now: 0) } == .protocolViolation)
            #expect(Self.code { _ = try assembly.header(size: 101, Self.properties(0), now: 0) } == .tooLarge)
            _ = try assembly.header(size: 2, Self.properties(0), now: 0)
            #expect(Self.code { try Self.body([1, 2, 3], &assembly) } == .protocolViolation)
        }

        @Test("A position is read as it was written, and nothing else for one")
        func positions() {
            let commit = OffsetCommit(partition: TopicPartition("s", 0), offset: 12, generation: 1, metadata: "a b  c")
            let message = StreamPositions.message(commit, to: "q")
            #expect(StreamPositions.committed(message.payload) == CommittedOffset(offset: 12, metadata: "a b  c"))
            for text in ["", "12", "x y"] { #expect(StreamPositions.committed(Array(text.utf8)) == nil, "\(text)") }
        }
    }
#endif
