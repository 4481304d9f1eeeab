#if RabbitMQ
    import CRabbitMQ

    /// Questions whose answers are waited for: for connections on which nothing else happens. After an error the channel is
    /// open again.
    extension Wire {
        private static let channel: UInt16 = 1

        /// Opens the channel that the questions go by.
        func beginAsking() throws(RabbitMQError) {
            amqp_channel_open(connection, Self.channel)
            try check("opening a channel")
        }

        /// Whether the queue is there; makes none.
        func hasQueue(_ name: String) throws(RabbitMQError) -> Bool {
            try isThere("queue '\(name)'") {
                name.withBytes { name in
                    _ = amqp_queue_declare(connection, Self.channel, name, 1, 0, 0, 0, amqp_table_t())
                }
            }
        }

        /// What waits in the queue; `notFound` where it is not there.
        func backlog(of queue: String) throws(RabbitMQError) -> RabbitMQBacklog {
            let found = queue.withBytes { queue in
                amqp_queue_declare(connection, Self.channel, queue, 1, 0, 0, 0, amqp_table_t())
            }
            let counts = found.map { (Int($0.pointee.message_count), Int($0.pointee.consumer_count)) }
            try check("queue '\(queue)'")
            guard let (waiting, consumers) = counts else {
                throw broken(RabbitMQError(.protocolViolation, "no answer about queue '\(queue)', \(address)"))
            }
            return RabbitMQBacklog(waiting: waiting, consumers: consumers)
        }

        /// Whether the exchange is there; makes none.
        func hasExchange(_ name: String) throws(RabbitMQError) -> Bool {
            try isThere("exchange '\(name)'") {
                name.withBytes { name in
                    "direct".withBytes { kind in
                        _ = amqp_exchange_declare(connection, Self.channel, name, kind, 1, 0, 0, 0, amqp_table_t())
                    }
                }
            }
        }

        /// Makes the queue; if it is there, has the server compare: `mismatch` names what differs.
        func declareQueue(_ name: String, isDurable: Bool, _ arguments: FieldTable) throws(RabbitMQError) {
            arguments.withTable { arguments in
                name.withBytes { name in
                    _ = amqp_queue_declare(connection, Self.channel, name, 0, isDurable ? 1 : 0, 0, 0, arguments)
                }
            }
            try check("queue '\(name)'")
        }

        /// Makes the exchange, or has the server compare.
        func declareExchange(_ name: String, _ kind: String, _ arguments: FieldTable) throws(RabbitMQError) {
            arguments.withTable { arguments in
                name.withBytes { name in
                    kind.withBytes { kind in
                        _ = amqp_exchange_declare(connection, Self.channel, name, kind, 0, 1, 0, 0, arguments)
                    }
                }
            }
            try check("exchange '\(name)'")
        }

        /// Binds a queue to an exchange; to bind twice changes nothing.
        func bind(_ queue: String, to exchange: String, by routingKey: String) throws(RabbitMQError) {
            queue.withBytes { queue in
                exchange.withBytes { exchange in
                    routingKey.withBytes { routingKey in
                        _ = amqp_queue_bind(connection, Self.channel, queue, exchange, routingKey, amqp_table_t())
                    }
                }
            }
            try check("binding '\(queue)' to '\(exchange)'")
        }

        /// Removes a queue with all that is in it; nothing if it is not there.
        func deleteQueue(_ name: String) throws(RabbitMQError) {
            name.withBytes { name in _ = amqp_queue_delete(connection, Self.channel, name, 0, 0) }
            try check("queue '\(name)'")
        }

        private func isThere(_ what: String, _ ask: () -> Void) throws(RabbitMQError) -> Bool {
            ask()
            do {
                try check(what)
                return true
            } catch  where error.code == .notFound {
                return false
            }
        }

        /// What the last answer says was wrong. The server closes a channel with an error: it is opened again.
        private func check(_ what: String) throws(RabbitMQError) {
            let reply = amqp_get_rpc_reply(connection)
            guard let error = Self.error(of: reply, what) else { return }
            let isChannel =
                reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD
            guard isChannel else { throw broken(error) }
            try confirmClosed(Self.channel)
            amqp_channel_open(connection, Self.channel)
            guard Self.error(of: amqp_get_rpc_reply(connection), what) == nil else { throw broken(error) }
            throw error
        }
    }
#endif
