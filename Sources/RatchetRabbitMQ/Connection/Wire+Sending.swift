#if RabbitMQ
    import CRabbitMQ

    /// Methods whose answers come as frames, later. A send waits only while the socket is full.
    extension Wire {
        func send<M: BitwiseCopyable>(_ method: M, _ id: amqp_method_number_t, _ channel: UInt16) throws(RabbitMQError)
        {
            var method = method
            let status = amqp_send_method(connection, channel, id, &method)
            guard status == AMQP_STATUS_OK.rawValue else { throw broken(status, "sending") }
        }

        func openChannel(_ channel: UInt16) throws(RabbitMQError) {
            try send(amqp_channel_open_t(), AMQP_CHANNEL_OPEN_METHOD, channel)
        }

        func closeChannel(_ channel: UInt16) throws(RabbitMQError) {
            var close = amqp_channel_close_t()
            close.reply_code = UInt16(AMQP_REPLY_SUCCESS)
            try send(close, AMQP_CHANNEL_CLOSE_METHOD, channel)
        }

        /// Answers the server's closing of a channel: its number is free then.
        func confirmClosed(_ channel: UInt16) throws(RabbitMQError) {
            try send(amqp_channel_close_ok_t(), AMQP_CHANNEL_CLOSE_OK_METHOD, channel)
        }

        /// Asks whether a queue is there; makes none.
        func findQueue(_ name: String, _ channel: UInt16) throws(RabbitMQError) {
            try name.withBytes { name throws(RabbitMQError) in
                var declare = amqp_queue_declare_t()
                declare.queue = name
                declare.passive = 1
                try send(declare, AMQP_QUEUE_DECLARE_METHOD, channel)
            }
        }

        /// Asks whether an exchange is there; makes none.
        func findExchange(_ name: String, _ channel: UInt16) throws(RabbitMQError) {
            try name.withBytes { name throws(RabbitMQError) in
                var declare = amqp_exchange_declare_t()
                declare.exchange = name
                declare.passive = 1
                try send(declare, AMQP_EXCHANGE_DECLARE_METHOD, channel)
            }
        }

        func setPrefetch(_ count: UInt16, _ channel: UInt16) throws(RabbitMQError) {
            try send(
                amqp_basic_qos_t(prefetch_size: 0, prefetch_count: count, global: 0),
                AMQP_BASIC_QOS_METHOD,
                channel
            )
        }

        /// Begins deliveries, each to be acked; of a stream from a message on.
        func consume(
            _ queue: String,
            from start: StreamStart? = nil,
            as tag: String,
            _ channel: UInt16
        ) throws(RabbitMQError) {
            var table = FieldTable()
            if let start { table.append(MessageProperties.streamOffsetHeader, start.value) }
            let status = table.withTable { arguments in
                queue.withBytes { queue in
                    tag.withBytes { tag in
                        var consume = amqp_basic_consume_t()
                        consume.queue = queue
                        consume.consumer_tag = tag
                        consume.arguments = arguments
                        return amqp_send_method(connection, channel, AMQP_BASIC_CONSUME_METHOD, &consume)
                    }
                }
            }
            guard status == AMQP_STATUS_OK.rawValue else { throw broken(status, "sending") }
        }

        /// Ends deliveries; what is on its way still comes.
        func cancel(_ tag: String, _ channel: UInt16) throws(RabbitMQError) {
            try tag.withBytes { tag throws(RabbitMQError) in
                try send(amqp_basic_cancel_t(consumer_tag: tag, nowait: 1), AMQP_BASIC_CANCEL_METHOD, channel)
            }
        }

        func ack(_ tag: Int64, isMultiple: Bool, _ channel: UInt16) throws(RabbitMQError) {
            let ack = amqp_basic_ack_t(delivery_tag: UInt64(tag), multiple: isMultiple ? 1 : 0)
            try send(ack, AMQP_BASIC_ACK_METHOD, channel)
        }

        func nack(_ tag: Int64, isMultiple: Bool, requeue: Bool, _ channel: UInt16) throws(RabbitMQError) {
            let nack = amqp_basic_nack_t(
                delivery_tag: UInt64(tag),
                multiple: isMultiple ? 1 : 0,
                requeue: requeue ? 1 : 0
            )
            try send(nack, AMQP_BASIC_NACK_METHOD, channel)
        }

        func selectConfirms(_ channel: UInt16) throws(RabbitMQError) {
            try send(amqp_confirm_select_t(nowait: 0), AMQP_CONFIRM_SELECT_METHOD, channel)
        }

        func selectTransactions(_ channel: UInt16) throws(RabbitMQError) {
            try send(amqp_tx_select_t(), AMQP_TX_SELECT_METHOD, channel)
        }

        func commit(_ channel: UInt16) throws(RabbitMQError) {
            try send(amqp_tx_commit_t(), AMQP_TX_COMMIT_METHOD, channel)
        }
    }
#endif
