#if RabbitMQ
    import CRabbitMQ
    import Ratchet

    /// What a group has committed of streams. This protocol's server keeps no offsets of a group, so each stream's last one is
    /// the one message of a queue that has room for one.
    struct StreamPositions: Sendable {
        let group: String

        /// Points in the group's name are written `%2E`: no two groups and streams share a queue.
        func queue(of stream: String) -> String {
            let name = group.replacing("%", with: "%25").replacing(".", with: "%2E")
            return "ratchet.positions.\(name).\(stream)"
        }

        static var arguments: FieldTable {
            var table = FieldTable()
            table.append("x-queue-type", text: "quorum")
            table.append("x-max-length", .number(1))
            table.append("x-overflow", text: "drop-head")
            // To read it counts as a delivery, and some servers drop what was delivered twenty times.
            table.append("x-delivery-limit", .number(1 << 30))
            return table
        }

        /// What the queue holds: where a group is, and under which generation that was written.
        struct Position: Equatable {
            /// Above all generations that clocks make, and far from the largest number.
            private static let largestGeneration: Int64 = 1 << 62

            var committed: CommittedOffset
            var generation: Int64

            init(committed: CommittedOffset, generation: Int64) {
                self.committed = committed
                self.generation = generation
            }

            /// Reads a payload, or an offset alone, as an operator writes it; nil for anything else.
            init?(_ payload: [UInt8]) {
                let parts = String(decoding: payload, as: UTF8.self)
                    .split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
                guard let offset = Int64(parts[0]), offset >= 0, parts.count != 2 else { return nil }
                committed = CommittedOffset(offset: offset, metadata: parts.count > 2 ? String(parts[2]) : "")
                guard let generation = parts.count > 2 ? Int64(parts[1]) : 0 else { return nil }
                guard (0..<Self.largestGeneration).contains(generation) else { return nil }
                self.generation = generation
            }

            var payload: [UInt8] { Array("\(committed.offset) \(generation) \(committed.metadata)".utf8) }
        }

        func message(_ commit: OffsetCommit) -> OutgoingMessage {
            let committed = CommittedOffset(offset: commit.offset, metadata: commit.metadata)
            let position = Position(committed: committed, generation: commit.generation)
            return OutgoingMessage(
                to: queue(of: commit.partition.topic),
                key: nil as [UInt8]?,
                payload: position.payload
            )
        }

        /// What was committed last, nil for nothing; makes the queue if it is not there. Whoever reads it has it in hand for a
        /// moment, in which others find nothing.
        func read(of stream: String, _ wire: Wire) throws(RabbitMQError) -> Position? {
            let queue = queue(of: stream)
            try wire.declareQueue(queue, isDurable: true, Self.arguments)
            guard let payload = try wire.peek(queue) else { return nil }
            guard let position = Position(payload) else {
                throw RabbitMQError(
                    .mismatch,
                    "the queue '\(queue)' holds what is no position: purge it, and the ledger alone decides"
                )
            }
            return position
        }

        /// Puts a position in the place of what was read; returns once the server has it.
        func write(_ position: Position, of stream: String, _ wire: Wire, within limit: Duration) throws(RabbitMQError)
        {
            try wire.put(position.payload, in: queue(of: stream), within: limit)
        }
    }

    extension Wire {
        private static let channel: UInt16 = 1

        /// The first message of a queue, which stays there.
        fileprivate func peek(_ queue: String) throws(RabbitMQError) -> [UInt8]? {
            let reply = queue.withBytes { amqp_basic_get(connection, Self.channel, $0, 0) }
            if let error = Self.error(of: reply, "reading queue '\(queue)'") { throw broken(error) }
            guard reply.reply.id == AMQP_BASIC_GET_OK_METHOD, let decoded = reply.reply.decoded else { return nil }
            let tag = decoded.assumingMemoryBound(to: amqp_basic_get_ok_t.self).pointee.delivery_tag
            var message = amqp_message_t()
            let read = amqp_read_message(connection, Self.channel, &message, 0)
            if let error = Self.error(of: read, "reading queue '\(queue)'") { throw broken(error) }
            let payload = Array(UnsafeRawBufferPointer(message.body))
            amqp_destroy_message(&message)
            try nack(Int64(clamping: tag), isMultiple: false, requeue: true, Self.channel)
            // Answered behind the nack: the message is back.
            _ = try hasQueue(queue)
            return payload
        }

        /// Publishes a message that nobody has to be able to route, and waits for its confirm.
        fileprivate func put(_ payload: [UInt8], in queue: String, within limit: Duration) throws(RabbitMQError) {
            amqp_confirm_select(connection, Self.channel)
            if let error = Self.error(of: amqp_get_rpc_reply(connection), "asking for confirms") { throw broken(error) }
            var properties = amqp_basic_properties_t()
            properties.delivery_mode = 2
            properties._flags = amqp_flags_t(AMQP_BASIC_DELIVERY_MODE_FLAG)
            let status = String(decoding: payload, as: UTF8.self).withBytes { payload in
                queue.withBytes {
                    amqp_basic_publish(connection, Self.channel, amqp_bytes_t(), $0, 0, 0, &properties, payload)
                }
            }
            guard status == AMQP_STATUS_OK.rawValue else { throw broken(status, "publishing") }
            while let frame = try read(within: limit) {
                switch frame {
                case .method(Self.channel, .confirmed): return
                case .method(Self.channel, .nacked):
                    throw broken(RabbitMQError(.nacked, "queue '\(queue)' does not take a position, \(address)"))
                case .method(_, .blocked(let reason)):
                    throw broken(RabbitMQError(.refused, "the server takes no position: \(reason), \(address)"))
                default: break
                }
            }
            throw broken(RabbitMQError(.timedOut, "queue '\(queue)' does not confirm a position, \(address)"))
        }
    }
#endif
