#if RabbitMQ
    import CRabbitMQ
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
            var dropped: [UInt64?] = []
            for (index, offset) in (5...8).enumerated() {
                try assembly.begin(tag: UInt64(index + 1))
                try assembly.header(size: 2, Self.properties(Int64(offset)))
                // Not whole: nothing to take.
                #expect(assembly.take() == nil && assembly.takeDropped() == nil)
                try Self.body([UInt8(offset)], &assembly)
                try Self.body([0], &assembly)
                dropped.append(assembly.takeDropped())
            }
            #expect(dropped == [1, 2, nil, nil])
            let taken = assembly.take()
            let whole = try #require(taken)
            let batch = try whole.chunk.batch(of: TopicPartition("s", 0), generation: 3, countsDeliveries: false)
            #expect(batch.startOffset == 7 && batch.lastOffset == 8 && assembly.nextOffset == 9 && whole.tag == 4)
            #expect((0..<2).map { batch[$0].payload } == [[7, 0], [8, 0]] && whole.chunk.passed.isEmpty)
            #expect(batch[0].deliveryCount == nil)
            #expect(assembly.take() == nil)
        }

        @Test("A message that nobody has dated is the same whenever it is read")
        func undated() throws {
            var assembly = StreamAssembly(from: 0, maximumSize: 100)
            try assembly.begin(tag: 1)
            try assembly.header(size: 0, Self.properties(0))
            let whole = assembly.take()
            let chunk = try #require(whole).chunk
            #expect(try chunk.batch(of: TopicPartition("s", 0), generation: 1)[0].timestamp == -1)
        }

        @Test("Offsets that are passed over end a chunk, and the next one says which they are")
        func passed() throws {
            var assembly = StreamAssembly(from: 7, maximumSize: 100)
            for (index, offset) in [8, 9, 11, 20].enumerated() {
                try assembly.begin(tag: UInt64(index + 1))
                try assembly.header(size: 1, Self.properties(Int64(offset)))
                // The last one is not whole.
                if offset < 20 { try Self.body([0], &assembly) }
            }
            let both = (assembly.take(), assembly.take())
            let (first, second) = (try #require(both.0), try #require(both.1))
            // One offset before all others may have been removed, one between two of them is a new segment's.
            #expect(first.chunk.passed == 7..<8 && first.chunk.lastOffset == 9 && first.tag == 2)
            #expect(second.chunk.passed == 10..<11 && second.chunk.firstOffset == 11 && second.tag == 3)
            #expect(!first.chunk.isExplained && second.chunk.isExplained)
            let batch = try second.chunk.batch(of: TopicPartition("s", 0), generation: 3, countsDeliveries: false)
            #expect(batch.startOffset == 10 && batch[0].offset == 11 && batch.coveredOffsets(at: 0) == 10..<12)
            #expect(assembly.take() == nil)
            try Self.body([0], &assembly)
            let last = assembly.take()
            let third = try #require(last)
            #expect(third.chunk.passed == 12..<20 && third.chunk.count == 1 && assembly.nextOffset == 21)
            #expect(!third.chunk.isExplained)
        }

        @Test("An offset that the publisher has written into a header is not the stream's, and no header tells one")
        func forged() throws {
            func read(_ entries: [(String, FieldTable.Value)]) -> MessageProperties {
                var table = FieldTable()
                for (name, value) in entries { table.append(name, value) }
                return table.withTable { table in
                    var properties = amqp_basic_properties_t()
                    properties._flags = amqp_flags_t(AMQP_BASIC_HEADERS_FLAG)
                    properties.headers = table
                    return MessageProperties(&properties)
                }
            }
            let name = MessageProperties.streamOffsetHeader
            // The server's comes in the place of the publisher's first one.
            let properties = read([(name, .number(3)), (name, .number(900)), (name, .text("900"))])
            #expect(properties.streamOffset == 3 && properties.headers.isEmpty)
            let count = MessageProperties.countHeader
            let counted = read([(count, .number(2)), (count, .number(900))])
            #expect(counted.failedDeliveries == 2 && counted.headers.isEmpty)
        }

        @Test("What is out of turn, too large, or of no stream is refused")
        func refused() throws {
            var assembly = StreamAssembly(from: 0, maximumSize: 100)
            #expect(Self.code { try assembly.header(size: 1, Self.properties(0)) } == .protocolViolation)
            #expect(Self.code { try assembly.begin(tag: 2) } == .protocolViolation)
            try assembly.begin(tag: 1)
            for offset in [nil, -1, Int64.max] {
                #expect(Self.code { try assembly.header(size: 1, Self.properties(offset)) } == .protocolViolation)
            }
            #expect(Self.code { try assembly.header(size: 101, Self.properties(0)) } == .tooLarge)
            try assembly.header(size: 2, Self.properties(0))
            #expect(Self.code { try Self.body([1, 2, 3], &assembly) } == .protocolViolation)
        }

        @Test("A position is read as it was written or as an operator writes it, and nothing else for one")
        func positions() {
            let commit = OffsetCommit(partition: TopicPartition("s", 0), offset: 12, generation: 1, metadata: "a b  c")
            let message = StreamPositions(group: "g").message(commit)
            let position = StreamPositions.Position(message.payload)
            #expect(position?.committed == CommittedOffset(offset: 12, metadata: "a b  c") && position?.generation == 1)
            let operators = StreamPositions.Position(Array("12".utf8))
            #expect(operators?.committed == CommittedOffset(offset: 12, metadata: "") && operators?.generation == 0)
            for text in [
                "", "-1", "x 1 y", "12x", "12 1", "1 x y", "1 -1 y", "99999999999999999999", "1 \(Int64.max) y",
            ] {
                #expect(StreamPositions.Position(Array(text.utf8)) == nil, "\(text)")
            }
        }

        @Test("No two groups keep their positions in one queue, whatever they and their streams are called")
        func positionQueues() {
            let pairs = [("a", "b.c"), ("a.b", "c"), ("a%2Eb", "c")]
            let queues = pairs.map { StreamPositions(group: $0).queue(of: $1) }
            #expect(Set(queues).count == 3 && queues[0] == "ratchet.positions.a.b.c", "\(queues)")
        }
    }
#endif
