#if RabbitMQ
    import CRabbitMQ
    import Seeds
    import Testing

    @testable import Ratchet
    @testable import RatchetRabbitMQ

    @Suite("Fuzzing: what a RabbitMQ server sends", .fuzzing)
    struct AMQPTests {
        /// A byte that stands for a flag is written out, and what frames a message becomes a record's.
        private static func bound(_ bytes: Int) -> Int { 4 * bytes + 500 }

        @Test("Bytes that are no properties are refused, or read within their bounds", arguments: Seed.some(1))
        func properties(seed: Seed) async throws {
            try await Fuzz.run("amqp-properties", seed, rounds: 5_000) { random in
                let whole = AMQPSample.properties(&random)
                let bytes = random.chance(95) ? whole.damaged(by: AMQPSample.properties(&random), &random) : whole
                guard let read = Self.properties(bytes) else { return #expect(bytes != whole) }
                #expect(read.headers.count + (read.key?.count ?? 0) <= Self.bound(bytes.count))
                let isWhole = read.headers.withUnsafeBytes { RecordLayout.forEachHeader(in: $0) { _, _ in true } }
                #expect(isWhole)
            }
        }

        /// By the library, and then by us.
        private static func properties(_ bytes: [UInt8]) -> MessageProperties? {
            var pool = amqp_pool_t()
            init_amqp_pool(&pool, 4_096)
            defer { empty_amqp_pool(&pool) }
            var bytes = bytes
            return bytes.withUnsafeMutableBytes { bytes in
                var decoded: UnsafeMutableRawPointer?
                let encoded = amqp_bytes_t(len: bytes.count, bytes: bytes.baseAddress)
                guard amqp_decode_properties(60, &pool, encoded, &decoded) == 0, let decoded else { return nil }
                return MessageProperties(decoded.assumingMemoryBound(to: amqp_basic_properties_t.self))
            }
        }

        @Test("Arrays within arrays, as deep as a frame holds them, are left out from the eighth on")
        func nested() async throws {
            let bytes = AMQPSample.nested(26_000)
            // A frame is no larger than that.
            #expect(bytes.count < 131_072)
            // On a thread like a connection's.
            let read = try await Asking.blocking { Self.properties(bytes).map(\.headers) }
            let value = Array((String(repeating: "[", count: 8) + String(repeating: "]", count: 8)).utf8)
            #expect(read?.suffix(value.count) == value[...])
        }

        @Test("A damaged conversation breaks off with an error, or gives no more than came", arguments: Seed.some(1))
        func frames(seed: Seed) async throws {
            try await Fuzz.run("amqp-frames", seed, rounds: 3_000) { random in
                let payloads = (0..<random.below(5)).map { _ in random.bytes(random.below(60)) }
                let whole = AMQPSample.conversation(payloads, &random)
                let other = AMQPSample.conversation([[7]], &random)
                let bytes = random.chance(95) ? whole.damaged(by: other, &random) : whole
                var reading = Reading(maximumSize: random.chance(90) ? 1 << 16 : 20)
                let isRead = reading.take(bytes, &random)
                if bytes == whole, payloads.allSatisfy({ $0.count <= reading.maximumSize }) {
                    #expect(isRead && reading.whole == payloads.count)
                }
                guard let chunk = reading.channel.assembly.take() else { return }
                let batch = try chunk.batch(of: TopicPartition("orders", 1), generation: 1)
                #expect(batch.count == reading.whole)
                #expect(batch.byteCount <= Self.bound(bytes.count) + batch.count * RecordLayout.fixedSize)
                if bytes == whole { #expect((0..<batch.count).allSatisfy { batch[$0].payload == payloads[$0] }) }
            }
        }

        /// What a session's thread does with a server's bytes, but for the socket.
        private struct Reading {
            let maximumSize: Int
            var channel: ConsumerChannel
            var whole = 0

            init(maximumSize: Int) {
                self.maximumSize = maximumSize
                channel = ConsumerChannel(number: 1, queue: "orders", maximumSize: maximumSize)
                _ = channel.open(at: 0)
            }

            /// In pieces, as they come. False once the connection would be given up.
            mutating func take(_ bytes: [UInt8], _ random: inout SeededRandom) -> Bool {
                guard let connection = amqp_new_connection() else { return false }
                defer { amqp_destroy_connection(connection) }
                var rest = bytes[...]
                while !rest.isEmpty {
                    amqp_maybe_release_buffers(connection)
                    let piece = random.below(rest.count) + 1
                    var frame = amqp_frame_t()
                    let used = rest.withUnsafeBytes {
                        let bytes = UnsafeMutableRawPointer(mutating: $0.baseAddress)
                        return amqp_handle_input(connection, amqp_bytes_t(len: piece, bytes: bytes), &frame)
                    }
                    guard used > 0 else { return false }
                    rest = rest.dropFirst(Int(used))
                    // Nothing yet, or a heartbeat, which the library keeps to itself.
                    if [0, UInt8(AMQP_FRAME_HEARTBEAT)].contains(frame.frame_type) { continue }
                    do throws(RabbitMQError) { try take(Frame(frame)) } catch {
                        #expect([.protocolViolation, .tooLarge].contains(error.code))
                        return false
                    }
                }
                return true
            }

            private mutating func take(_ frame: Frame) throws(RabbitMQError) {
                switch frame {
                case .method(_, .delivered(let tag, let isRedelivered)):
                    try channel.assembly.begin(tag: tag, isRedelivered: isRedelivered)
                case .header(_, let size, let properties):
                    try note(channel.assembly.header(size: size, MessageProperties(properties), now: 5))
                case .body(_, let part): try note(channel.assembly.body(part))
                case .method(_, let method): _ = channel.handle(method, at: 0) { _ in 1 }
                }
            }

            private mutating func note(_ isWhole: Bool) {
                guard isWhole else { return }
                channel.unacked.deliver()
                whole += 1
            }
        }
    }
#endif
