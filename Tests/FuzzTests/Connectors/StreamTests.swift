#if RabbitMQ
    import Seeds
    import Testing

    @testable import Ratchet
    @testable import RatchetRabbitMQ

    @Suite("Fuzzing: streams of RabbitMQ", .fuzzing)
    struct StreamTests {
        private static let maximumSize = 60

        @Test(
            "Frames of a stream that do not fit break off with an error; what comes of others rises",
            arguments: Seed.some(1)
        )
        func frames(seed: Seed) async throws {
            try await Fuzz.run("stream-frames", seed, rounds: 5_000) { random in
                let start = Int64(random.below(5))
                var assembly = StreamAssembly(from: start, maximumSize: Self.maximumSize)
                var (next, fed) = (Int64(0), 0)
                var last = start - 1
                for tag in 1...UInt64(random.below(30) + 1) {
                    do throws(RabbitMQError) {
                        fed += try Self.feed(&assembly, tag, &next, &random)
                    } catch {
                        return #expect([.protocolViolation, .tooLarge].contains(error.code))
                    }
                    while random.chance(40), let whole = assembly.take() {
                        let batch = try whole.chunk.batch(of: TopicPartition("s", 0), generation: 1)
                        #expect(batch.startOffset > last && batch.byteCount <= fed && whole.tag <= tag)
                        last = batch.lastOffset
                    }
                }
            }
        }

        /// One delivery, most often as it should be; returns how many bytes it was at the most.
        private static func feed(
            _ assembly: inout StreamAssembly,
            _ tag: UInt64,
            _ next: inout Int64,
            _ random: inout SeededRandom
        ) throws(RabbitMQError) -> Int {
            var properties = MessageProperties()
            next += Int64(random.below(10) / 8)
            properties.streamOffset =
                random.chance(98) ? next : Int64(bitPattern: random.next() >> UInt64(random.below(2)))
            next += 1
            let size = random.below(maximumSize)
            try assembly.begin(tag: random.chance(98) ? tag : random.next())
            if random.chance(1) { return 0 }
            try assembly.header(size: random.chance(98) ? UInt64(size) : random.next(), properties)
            var missing = size
            while missing > 0 {
                let part = random.bytes(random.below(missing) + (random.chance(98) ? 1 : 2))
                let result = part.withUnsafeBytes { bytes in
                    Result { () throws(RabbitMQError) in try assembly.body(bytes) }
                }
                try result.get()
                missing -= part.count
            }
            return size + RecordLayout.fixedSize
        }

        @Test("A group's position that is damaged is none, or one that reads the same again", arguments: Seed.some(1))
        func position(seed: Seed) async throws {
            try await Fuzz.run("stream-position", seed, rounds: 10_000) { random in
                let digits = String((0..<32).map { _ in "0123456789abcdef".randomElement(using: &random) ?? "0" })
                let metadata = CommitMetadata(ledger: digits, epoch: String(digits.prefix(16))).description
                let committed = CommittedOffset(offset: Int64(random.below(1 << 40)), metadata: metadata)
                let whole = StreamPositions.Position(committed: committed, generation: Int64(random.below(1 << 40)))
                let bytes = random.chance(95) ? whole.payload.damaged(by: [0x2D, 0x39], &random) : whole.payload
                let read = StreamPositions.Position(bytes)
                if bytes == whole.payload { #expect(read == whole) }
                guard let read else { return }
                #expect(read.committed.offset >= 0 && read.generation >= 0)
                #expect(StreamPositions.Position(read.payload) == read)
            }
        }
    }
#endif
