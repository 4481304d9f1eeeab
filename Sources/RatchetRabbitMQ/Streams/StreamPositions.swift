#if RabbitMQ
    import CRabbitMQ
    import Ratchet

    /// What a group has committed of streams. This protocol's server keeps no offsets of a group, so each stream's last one is
    /// the one message of a queue that has room for one.
    struct StreamPositions: Sendable {
        let group: String

        func queue(of stream: String) -> String { "ratchet.positions.\(group).\(stream)" }

        static var arguments: FieldTable {
            var table = FieldTable()
            table.append("x-queue-type", text: "quorum")
            table.append("x-max-length", .number(1))
            table.append("x-overflow", text: "drop-head")
            return table
        }

        static func message(_ commit: OffsetCommit, to queue: String) -> OutgoingMessage {
            OutgoingMessage(to: queue, key: nil as [UInt8]?, payload: Array("\(commit.offset) \(commit.metadata)".utf8))
        }

        /// Reads what ``message(_:to:)`` wrote; nil for anything else.
        static func committed(_ payload: [UInt8]) -> CommittedOffset? {
            let parts = String(decoding: payload, as: UTF8.self)
                .split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let offset = Int64(parts[0]) else { return nil }
            return CommittedOffset(offset: offset, metadata: String(parts[1]))
        }

        /// What was committed last, nil for nothing; makes the queue if it is not there.
        func read(of stream: String, _ wire: Wire) throws(RabbitMQError) -> CommittedOffset? {
            let queue = queue(of: stream)
            try wire.declareQueue(queue, isDurable: true, Self.arguments)
            guard let payload = try wire.peek(queue) else { return nil }
            guard let committed = Self.committed(payload) else {
                throw RabbitMQError(.protocolViolation, "the queue '\(queue)' holds what is no position")
            }
            return committed
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
    }
#endif
