#if RabbitMQ
    /// Where a RabbitMQ server is, and who asks: `amqp://user:password@host:port/vhost`, or `amqps` for TLS.
    ///
    /// Parts are percent-encoded where they hold `:`, `@`, `/`, `?`, `#` or `%`. What is left out is `guest`, `guest`, port
    /// 5672 (with TLS 5671) and the virtual host `/`. After a `?` TLS is told, with the names that other clients use:
    /// `cacertfile` (whom to trust; default: what the system trusts), `certfile` and `keyfile` (who this client is),
    /// `verify` (`verify_peer`, the default, or `verify_none`), `auth_mechanism` (`plain`, the default, or `external`).
    ///
    /// Neither its descriptions nor a reflection of it holds the password.
    public struct RabbitMQAddress: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible,
        CustomReflectable
    {
        /// How a connection is encrypted.
        struct TLS: Sendable, Hashable {
            /// A file of the certificates to trust, nil for the system's.
            var authorities: String?
            var certificate: String?
            var key: String?
            /// Whether the server must be who it says.
            var isVerified = true
        }

        /// The host's name or number.
        public let host: String
        /// The port.
        public let port: Int
        /// The virtual host.
        public let virtualHost: String
        /// The user's name.
        public let user: String
        /// Whether the connection is encrypted.
        public var isEncrypted: Bool { tls != nil }
        let password: String
        let tls: TLS?
        /// The client's certificate says who it is, not a password.
        let isExternal: Bool

        /// The server's name, for errors and as a cluster's name: no user, no password.
        public var description: String {
            let vhost = virtualHost == "/" ? "" : "/" + URLText.encoded(virtualHost)
            return "\(isEncrypted ? "amqps" : "amqp")://\(URLText.bracketed(host)):\(port)\(vhost)"
        }

        /// The same.
        public var debugDescription: String { description }
        /// No parts: one of them is a secret.
        public var customMirror: Mirror { Mirror(self, children: []) }

        /// Reads a URL. Throws ``RabbitMQError`` with `invalidAddress`; the error never repeats the URL.
        public init(_ url: String) throws(RabbitMQError) {
            let parts = try URLText(url)
            isExternal = try Self.choice("auth_mechanism", of: parts, ["plain", "external"]) == "external"
            switch parts.scheme {
            case "amqp": tls = nil
            case "amqps":
                tls = TLS(
                    authorities: parts.query["cacertfile"],
                    certificate: parts.query["certfile"],
                    key: parts.query["keyfile"],
                    isVerified: try Self.choice("verify", of: parts, ["verify_peer", "verify_none"]) == "verify_peer"
                )
            default: throw Self.invalid("it begins with amqp:// or amqps://")
            }
            let known = tls == nil ? [] : ["auth_mechanism", "cacertfile", "certfile", "keyfile", "verify"]
            // Not named: of a password that is not encoded it may be a part.
            guard parts.query.keys.allSatisfy(known.contains) else {
                throw Self.invalid("after the ? is what is not known, or not without amqps://")
            }
            if let tls, (tls.certificate == nil) != (tls.key == nil) {
                throw Self.invalid("certfile and keyfile belong together")
            }
            host = parts.host.isEmpty ? "localhost" : parts.host
            port = parts.port ?? (tls == nil ? 5672 : 5671)
            user = parts.user ?? "guest"
            password = parts.password ?? "guest"
            virtualHost = parts.path.first ?? "/"
            guard parts.path.count <= 1 else { throw Self.invalid("a virtual host with a / in it is written %2F") }
            for text in [host, user, password, virtualHost] where text.utf8.contains(0) || text.utf8.count > 255 {
                throw Self.invalid("a part has more than 255 bytes, or a zero")
            }
        }

        /// The address, and the queue that a URL names behind the virtual host: `amqp://host/queue`, or
        /// `amqp://host/vhost/queue`. Throws ``RabbitMQError`` with `invalidAddress`.
        public static func withQueue(_ url: String) throws(RabbitMQError) -> (address: RabbitMQAddress, queue: String) {
            let parts = try URLText(url)
            guard let queue = parts.path.last, !queue.isEmpty, parts.path.count <= 2 else {
                throw invalid("a queue is named by amqp://HOST/QUEUE or amqp://HOST/VHOST/QUEUE")
            }
            return (try RabbitMQAddress(parts.text(path: parts.path.dropLast())), queue)
        }

        private static func choice(
            _ name: String,
            of parts: URLText,
            _ values: [String]
        ) throws(RabbitMQError) -> String {
            let value = parts.query[name] ?? values[0]
            guard values.contains(value) else {
                throw invalid("\(name) is one of \(values.joined(separator: ", "))")
            }
            return value
        }

        static func invalid(_ detail: String) -> RabbitMQError {
            RabbitMQError(.invalidAddress, "the URL of the RabbitMQ server: \(detail)")
        }
    }
#endif
