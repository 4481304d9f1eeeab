#if RabbitMQ
    import CRabbitMQ
    import Ratchet
    import RatchetTesting

    @testable import RatchetRabbitMQ

    /// A real server's queues of one kind as the conformance suite sees them.
    struct RealRabbitMQ: BrokerUnderTest {
        /// Of every queue.
        static let features: Features = [.queue, .fencing]
        /// Of every stream: older generations of other sessions are not fenced.
        static let streamFeatures: Features = [.log, .commitMetadata]

        let kind: RabbitMQQueue.Kind
        var settings = RabbitMQSinkSettings()

        private func address() async throws -> RabbitMQAddress { try await RabbitMQServer.running().address }

        func createTopic(_ name: String, partitions: Int) async throws {
            var topology = RabbitMQTopology()
            topology.add(RabbitMQQueue(name, kind: kind))
            try await topology.declare(at: try await address(), configuration: .quick)
        }

        func deleteTopic(_ name: String) async throws {
            try await Asking.connected(to: try await address(), .quick) { try $0.deleteQueue(name) }
        }

        func source(of topics: [String], group: String) async throws -> any Source {
            let address = try await address()
            guard kind == .stream else {
                return try RabbitMQSubscription(to: topics, at: address, as: group, configuration: .quick)
            }
            return try RabbitMQStreamSubscription(to: topics, at: address, as: group, configuration: .quick)
        }

        func sink() async throws -> any Sink {
            try RabbitMQSink(at: try await address(), settings: settings, configuration: .quick)
        }

        func produce(_ messages: [OutgoingMessage]) async throws {
            try await PlainProducer.send(messages, at: try await address())
        }

        func contents(of partition: TopicPartition) async throws -> [Message] {
            try await kind == .stream
                ? PlainReader.contents(ofStream: partition.topic, at: address())
                : PlainReader.contents(of: partition.topic, at: address())
        }

        /// By a crash.
        func restart() async throws {
            let server = try await RabbitMQServer.running()
            try await server.keepDeclarations()
            try await server.crash()
        }
    }

    /// Publishes and waits, message by message: not as the sink does.
    enum PlainProducer {
        static func send(_ messages: some Sequence<OutgoingMessage> & Sendable, at address: RabbitMQAddress)
            async throws
        {
            let batch = try OutgoingBatch(Array(messages))
            try await Asking.connected(to: address, .quick) { wire in
                amqp_confirm_select(wire.connection, 1)
                for entry in batch.entries {
                    try batch.bytes.withUnsafeBytes { bytes in
                        try wire.publish(
                            bytes,
                            batch.parts(of: entry, in: bytes),
                            to: Route(exchange: "", routingKey: batch.topics[Int(entry.topic)]),
                            isPersistent: true,
                            now: 0,
                            1
                        )
                    }
                }
                var (confirmed, limit) = (UInt64(0), timeval(tv_sec: 60, tv_usec: 0))
                while confirmed < UInt64(batch.count) {
                    var frame = amqp_frame_t()
                    guard amqp_simple_wait_frame_noblock(wire.connection, &frame, &limit) == 0,
                        frame.payload.method.id == AMQP_BASIC_ACK_METHOD, let decoded = frame.payload.method.decoded
                    else { throw ConformanceFailure("the server has not confirmed what was produced") }
                    let ack = decoded.assumingMemoryBound(to: amqp_basic_ack_t.self).pointee
                    confirmed = ack.multiple != 0 ? max(confirmed, ack.delivery_tag) : confirmed + 1
                }
            }
        }
    }

    extension PlainProducer {
        /// Publishes messages with headers of any kind, an id and nothing else, as other programs do.
        static func send(
            _ payloads: [String],
            with headers: FieldTable,
            to queue: String,
            at address: RabbitMQAddress
        ) async throws {
            try await Asking.connected(to: address, .quick) { wire in
                for payload in payloads {
                    let status = headers.withTable { table in
                        queue.withBytes { queue in
                            payload.withBytes { payload in
                                var properties = amqp_basic_properties_t()
                                properties._flags = amqp_flags_t(
                                    AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG
                                )
                                properties.headers = table
                                properties.message_id = payload
                                let exchange = amqp_bytes_t()
                                return amqp_basic_publish(
                                    wire.connection,
                                    1,
                                    exchange,
                                    queue,
                                    0,
                                    0,
                                    &properties,
                                    payload
                                )
                            }
                        }
                    }
                    guard status == 0 else { throw ConformanceFailure("'\(payload)' cannot be sent") }
                }
                // Answered behind them.
                _ = try wire.hasQueue(queue)
            }
        }
    }

    /// Gets all that a queue holds, and gives it back.
    enum PlainReader {
        static func contents(of queue: String, at address: RabbitMQAddress) async throws -> [Message] {
            let chunk = try await Asking.connected(to: address, .quick) { wire in
                var chunk = DeliveryChunk(firstOffset: 1)
                while try get(queue, wire) { try read(wire, into: &chunk) }
                if chunk.count > 0 {
                    try wire.nack(Int64(chunk.count), isMultiple: true, requeue: true, 1)
                    // Answered behind the nack.
                    _ = try wire.hasQueue(queue)
                }
                return chunk
            }
            guard chunk.count > 0 else { return [] }
            let batch = try chunk.batch(of: TopicPartition(queue, 0), generation: 0)
            return (0..<batch.count).map { batch[$0] }
        }

        /// All that a stream holds.
        static func contents(ofStream stream: String, at address: RabbitMQAddress) async throws -> [Message] {
            let chunks = try await Asking.connected(to: address, .quick) { wire in
                let offsets = try wire.offsets(of: [stream], emptyAfter: .seconds(1), .quick)[0]
                guard !offsets.isEmpty else { return [] as [DeliveryChunk] }
                try wire.setPrefetch(60_000, 1)
                try wire.consume(stream, from: .first, as: "reader", 1)
                var assembly = StreamAssembly(from: offsets.lowerBound, maximumSize: 1 << 30)
                while assembly.nextOffset < offsets.upperBound || assembly.isInParts {
                    switch try wire.read(within: .seconds(60)) {
                    case .method(1, .delivered(let tag, _)): try assembly.begin(tag: tag)
                    case .header(1, let size, let properties):
                        try assembly.header(size: size, MessageProperties(properties))
                    case .body(1, let part): try assembly.body(part)
                    case nil: throw ConformanceFailure("the stream '\(stream)' does not deliver what it holds")
                    default: break
                    }
                }
                var chunks: [DeliveryChunk] = []
                while let whole = assembly.take() { chunks.append(whole.chunk) }
                return chunks
            }
            return try chunks.flatMap { chunk in
                let batch = try chunk.batch(of: TopicPartition(stream, 0), generation: 0, countsDeliveries: false)
                return (0..<batch.count).map { batch[$0] }
            }
        }

        private static func get(_ queue: String, _ wire: Wire) throws -> Bool {
            let reply = queue.withBytes { amqp_basic_get(wire.connection, 1, $0, 0) }
            guard reply.reply_type == AMQP_RESPONSE_NORMAL else {
                throw ConformanceFailure("nothing can be read from '\(queue)': is there such a queue?")
            }
            return reply.reply.id == AMQP_BASIC_GET_OK_METHOD
        }

        private static func read(_ wire: Wire, into chunk: inout DeliveryChunk) throws {
            var message = amqp_message_t()
            let reply = amqp_read_message(wire.connection, 1, &message, 0)
            guard reply.reply_type == AMQP_RESPONSE_NORMAL else { throw ConformanceFailure("a message cannot be read") }
            defer { amqp_destroy_message(&message) }
            let properties = withUnsafePointer(to: message.properties) { MessageProperties($0) }
            let body = UnsafeRawBufferPointer(message.body)
            chunk.begin(properties, payload: body.count, timestamp: properties.timestamp ?? 0, deliveryCount: 1)
            chunk.append(body)
        }
    }
#endif
