#if RabbitMQ
    import CRabbitMQ
    import Ratchet

    /// One connection as the C library has it: connected and logged in when it is made. One thread uses it, and whoever
    /// lets go of it has it closed.
    final class Wire {
        /// What a pipeline needs and asks the server for: its own nacks, and to hear of what it would be blind to else.
        private static let capabilities = [
            "authentication_failure_close", "basic.nack", "connection.blocked", "consumer_cancel_notify",
            "publisher_confirms",
        ]
        private static let frameSize: CInt = 131_072

        let connection: amqp_connection_state_t
        /// What is slept on for the server's next bytes.
        let descriptor: CInt
        let address: RabbitMQAddress
        /// The largest frame of either side, in bytes.
        let frameSize: Int
        /// How often each side says that it is alive: what both have agreed on.
        let heartbeat: Duration
        private var isBroken = false

        /// Connects and logs in; blocks the thread for the timeout, twice at the most. Throws ``RabbitMQError``.
        init(_ address: RabbitMQAddress, _ configuration: RabbitMQConfiguration) throws(RabbitMQError) {
            guard let connection = amqp_new_connection() else {
                throw RabbitMQError(.disconnected, "no memory for a connection")
            }
            do {
                try Self.connect(connection, address, configuration)
            } catch {
                amqp_destroy_connection(connection)
                throw error
            }
            self.connection = connection
            self.address = address
            descriptor = amqp_get_sockfd(connection)
            frameSize = Int(amqp_get_frame_max(connection))
            let agreed = amqp_get_heartbeat(connection)
            // 0: the server wants none.
            heartbeat = agreed > 0 ? .seconds(Int64(agreed)) : configuration.heartbeat
        }

        deinit { amqp_destroy_connection(connection) }

        /// Says no good-bye: the server does not listen.
        func abandon() { isBroken = true }

        /// Says good-bye, as far as the server still listens.
        func close() {
            if !isBroken { _ = amqp_connection_close(connection, CInt(AMQP_REPLY_SUCCESS)) }
            isBroken = true
        }

        private static func connect(
            _ connection: amqp_connection_state_t,
            _ address: RabbitMQAddress,
            _ configuration: RabbitMQConfiguration
        ) throws(RabbitMQError) {
            var limit = timeval(configuration.timeout)
            amqp_set_handshake_timeout(connection, &limit)
            amqp_set_rpc_timeout(connection, &limit)
            let socket =
                try address.tls.map { tls throws(RabbitMQError) in try self.socket(connection, tls, address) }
                ?? amqp_tcp_socket_new(connection)
            guard let socket else { throw RabbitMQError(.disconnected, "no memory for a socket") }
            let status = amqp_socket_open_noblock(socket, address.host, CInt(address.port), &limit)
            guard status == AMQP_STATUS_OK.rawValue else { throw failure(status, "connecting to \(address)") }
            try login(connection, address, configuration)
        }

        private static func socket(
            _ connection: amqp_connection_state_t,
            _ tls: RabbitMQAddress.TLS,
            _ address: RabbitMQAddress
        ) throws(RabbitMQError) -> OpaquePointer? {
            guard let socket = amqp_ssl_socket_new(connection) else { return nil }
            amqp_ssl_socket_set_verify_peer(socket, tls.isVerified ? 1 : 0)
            amqp_ssl_socket_set_verify_hostname(socket, tls.isVerified ? 1 : 0)
            _ = amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST)
            if tls.isVerified {
                try check(amqp_ssl_socket_set_cacert(socket, try authorities(tls)), "cacertfile", address)
            }
            if let certificate = tls.certificate, let key = tls.key {
                try check(amqp_ssl_socket_set_key(socket, certificate, key), "certfile or keyfile", address)
            }
            return socket
        }

        private static func check(_ status: CInt, _ file: String, _ address: RabbitMQAddress) throws(RabbitMQError) {
            guard status == AMQP_STATUS_OK.rawValue else {
                throw RabbitMQError(.invalidAddress, "\(address): the file of \(file) cannot be used")
            }
        }

        /// Where systems keep whom they trust.
        private static func authorities(_ tls: RabbitMQAddress.TLS) throws(RabbitMQError) -> String {
            if let file = tls.authorities { return file }
            let places = [
                "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
            ]
            guard let place = places.first(where: { Descriptors.canRead($0) }) else {
                throw RabbitMQError(.invalidAddress, "the system's trusted certificates are not found: give cacertfile")
            }
            return place
        }

        private static func login(
            _ connection: amqp_connection_state_t,
            _ address: RabbitMQAddress,
            _ configuration: RabbitMQConfiguration
        ) throws(RabbitMQError) {
            let heartbeat = CInt(configuration.heartbeat.components.seconds)
            var table = FieldTable()
            table.append("connection_name", text: configuration.connectionName)
            table.append("product", text: "Ratchet")
            table.append("capabilities", flags: capabilities)
            let reply = table.withTable { properties in
                var properties = properties
                return address.isExternal
                    ? crabbitmq_login_external(
                        connection,
                        address.virtualHost,
                        0,
                        frameSize,
                        heartbeat,
                        &properties,
                        address.user
                    )
                    : crabbitmq_login_plain(
                        connection,
                        address.virtualHost,
                        0,
                        frameSize,
                        heartbeat,
                        &properties,
                        address.user,
                        address.password
                    )
            }
            if let error = error(of: reply, "logging in to \(address) as '\(address.user)'") { throw error }
        }

        // MARK: What went wrong

        /// The connection is of no use any more.
        func broken(_ status: CInt, _ what: String) -> RabbitMQError {
            isBroken = true
            return Self.failure(status, "\(what), \(address)")
        }

        func broken(_ error: RabbitMQError) -> RabbitMQError {
            isBroken = true
            return error
        }

        static func failure(_ status: CInt, _ what: String) -> RabbitMQError {
            let text = amqp_error_string2(status).map { String(cString: $0) } ?? "status \(status)"
            switch status {
            case AMQP_STATUS_TIMEOUT.rawValue: return RabbitMQError(.timedOut, "\(what): \(text)")
            case AMQP_STATUS_BAD_AMQP_DATA.rawValue, AMQP_STATUS_UNKNOWN_CLASS.rawValue,
                AMQP_STATUS_UNKNOWN_METHOD.rawValue, AMQP_STATUS_INCOMPATIBLE_AMQP_VERSION.rawValue,
                AMQP_STATUS_WRONG_METHOD.rawValue, AMQP_STATUS_UNEXPECTED_STATE.rawValue:
                return RabbitMQError(.protocolViolation, "\(what): \(text)")
            default: return RabbitMQError(.disconnected, "\(what): \(text)")
            }
        }

        /// What a reply of the library says was wrong, nil for nothing.
        static func error(of reply: amqp_rpc_reply_t, _ what: String) -> RabbitMQError? {
            switch reply.reply_type {
            case AMQP_RESPONSE_NORMAL: return nil
            case AMQP_RESPONSE_SERVER_EXCEPTION:
                // Both methods begin with the code and the text.
                guard let decoded = reply.reply.decoded else { return RabbitMQError(.refused, what) }
                let close = decoded.assumingMemoryBound(to: amqp_channel_close_t.self).pointee
                return .reply(Int(close.reply_code), String(close.reply_text), what)
            case AMQP_RESPONSE_LIBRARY_EXCEPTION: return failure(reply.library_error, what)
            default: return RabbitMQError(.disconnected, "\(what): the server has closed the connection")
            }
        }
    }

    extension timeval {
        init(_ duration: Duration) {
            let (seconds, attoseconds) = duration.components
            self.init(
                tv_sec: .init(clamping: min(seconds, 1 << 30)),
                tv_usec: .init(clamping: attoseconds / 1_000_000_000_000)
            )
        }
    }
#endif
