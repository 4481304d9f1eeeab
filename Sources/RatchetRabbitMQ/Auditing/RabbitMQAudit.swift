#if RabbitMQ
    public import Ratchet

    /// Finds where messages that go through a queue of a RabbitMQ server can be lost, or take effect twice: from what the
    /// server's management API says, which is asked with the address's own credentials. Where the API or a right is missing
    /// a check says "could not be read", never that all is well.
    ///
    /// ```swift
    /// let audit = RabbitMQAudit(of: "orders", at: address)
    /// print(await audit.report(producer: sink.audited, consumer: billing.audited))
    /// ```
    public struct RabbitMQAudit: Sendable {
        /// The queue.
        public let queue: String
        /// The exchange that producers send to; nil for the server's own.
        public let exchange: String?
        /// Where the server is.
        public let address: RabbitMQAddress
        /// The port of its management API, on the same host and without TLS.
        public let managementPort: Int
        /// How long each step of asking may take.
        public let timeout: Duration
        /// Whether the management API may be told the password though the address asks for TLS. Without, nothing could be read
        /// of such a server.
        public let sendsPasswordInClear: Bool

        /// An audit. Nothing happens before it reports.
        public init(
            of queue: String,
            exchange: String? = nil,
            at address: RabbitMQAddress,
            managementPort: Int = 15_672,
            timeout: Duration = .seconds(10),
            sendsPasswordInClear: Bool = false
        ) {
            self.queue = queue
            self.exchange = exchange
            self.address = address
            self.managementPort = managementPort
            self.timeout = timeout
            self.sendsPasswordInClear = sendsPasswordInClear
        }

        /// Looks at the queue, at its policies and consumers, and at a producer's and a pipeline's settings: where those are
        /// not given they could not be read.
        public func report(
            producer: AuditedChain.Producer? = nil,
            consumer: AuditedChain = AuditedChain()
        ) async -> AuditReport {
            let (name, vhost) = (URLText.encoded(queue), URLText.encoded(address.virtualHost))
            let found = await read("/api/queues/\(vhost)/\(name)")
            var chain = consumer
            chain.producer = producer ?? .notGiven
            chain.consumer = chain.consumer ?? .notGiven
            chain.topic = QueueChecks.topic(found)
            var checks = Audit.of(chain).checks + QueueChecks.of(found)
            if let exchange {
                let found = await read("/api/exchanges/\(vhost)/\(URLText.encoded(exchange))")
                checks.append(QueueChecks.alternate(found, policy: await policy(of: found, vhost)))
            }
            return AuditReport(checks: checks)
        }

        /// The policy that an exchange names: the API says no more of it there.
        private func policy(of exchange: AuditFact<JSON>, _ vhost: String) async -> AuditFact<JSON> {
            guard case .known(let json) = exchange, let name = json["policy"].text, !name.isEmpty else {
                return .known(.none)
            }
            return await read("/api/policies/\(vhost)/\(URLText.encoded(name))")
        }

        private func read(_ path: String) async -> AuditFact<JSON> {
            guard !address.isEncrypted || sendsPasswordInClear else {
                return .unreadable(
                    "the management API is asked without TLS, and with amqps no password is sent in clear: "
                        + "sendsPasswordInClear allows it"
                )
            }
            let client = ManagementClient(address: address, port: managementPort, timeout: timeout)
            do {
                return .known(try await Asking.blocking { try client.get(path) })
            } catch {
                return .unreadable("\(error)")
            }
        }
    }

    extension RabbitMQSink {
        /// What an audit has to know of it: it believes confirms alone, and what is sent again may come twice.
        public var audited: AuditedChain.Producer {
            AuditedChain.Producer(
                acks: .known(.all),
                isIdempotent: .known(false),
                deliveryTimeout: .known(settings.timeout)
            )
        }
    }
#endif
