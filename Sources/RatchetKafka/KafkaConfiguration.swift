#if Kafka
    public import CoreMetrics
    public import Logging
    public import Ratchet

    /// How Kafka is reached, and how its clients behave. Everything but the servers has a default.
    public struct KafkaConfiguration: Sendable {
        /// Brokers to begin with, as `host:port`: one that can be reached is enough, and tells of the others.
        public var servers: [String]
        /// The name under which ledgers keep this cluster's positions, nil for the cluster's own id, which is asked for
        /// at every subscription. Default: nil. Another name is another cluster: positions under the old one are not
        /// found, and partitions are refused rather than processed again.
        public var cluster: String?
        /// Settings of librdkafka for all clients: TLS and SASL by `security.protocol`, `ssl.*` and `sasl.*`. What a
        /// pipeline's promise hangs on cannot be set here and is refused with its reason. Default: none.
        public var settings: KafkaSettings = [:]
        /// Settings of librdkafka for consumers alone, over ``settings``. Default: none.
        public var consumerSettings: KafkaSettings = [:]
        /// Settings of librdkafka for producers alone, over ``settings``. Default: none.
        public var producerSettings: KafkaSettings = [:]
        /// How long a question to the cluster may take, from a subscription, a sink or an audit: 1 ms to a day. Default:
        /// 30 s.
        public var timeout = Duration.seconds(30)
        /// How long a member may take for a rebalance, `max.poll.interval.ms`: 1 s to a day. What is revoked must be
        /// given back within four fifths of it, or is taken for lost. Default: 5 min.
        public var rebalanceTimeout = Duration.seconds(300)
        /// After how long without a heartbeat a member's partitions are given to others, `session.timeout.ms`: 1 s to an
        /// hour. Default: 45 s.
        public var sessionTimeout = Duration.seconds(45)
        /// How long a message may be tried to be sent, `delivery.timeout.ms`: 1 ms to a day. Default: 2 min.
        public var deliveryTimeout = Duration.seconds(120)
        /// How often the clients' statistics become metrics, `statistics.interval.ms`: 0, for never, to a day. Default:
        /// 5 s.
        public var statisticsInterval = Duration.seconds(5)
        /// Where the clients report what they notice.
        public var logger = Logger(label: "ratchet.kafka")
        /// Where their instruments are made. Default: what the application has bootstrapped.
        public var metrics: any MetricsFactory = MetricsSystem.factory
        /// What deadlines and generations are made from. Default: the machine's clocks.
        public var time = TimeSource.system

        /// The defaults for these servers.
        public init(servers: [String]) { self.servers = servers }

        func check() throws(KafkaError) {
            guard !servers.isEmpty, servers.allSatisfy({ !$0.isEmpty }) else {
                throw KafkaError(.invalidArgument, "name at least one server, as host:port")
            }
            let day = Duration.seconds(86_400)
            for (name, value, bounds) in [
                ("timeout", timeout, Duration.milliseconds(1)...day),
                ("rebalanceTimeout", rebalanceTimeout, .seconds(1)...day),
                ("sessionTimeout", sessionTimeout, .seconds(1)...(.seconds(3_600))),
                ("deliveryTimeout", deliveryTimeout, .milliseconds(1)...day),
                ("statisticsInterval", statisticsInterval, .zero...day),
            ] where !bounds.contains(value) {
                throw KafkaError(
                    .invalidArgument,
                    "\(name) of \(value): from \(bounds.lowerBound) to \(bounds.upperBound)"
                )
            }
            guard sessionTimeout <= rebalanceTimeout else {
                throw KafkaError(
                    .invalidArgument,
                    "sessionTimeout of \(sessionTimeout): no longer than rebalanceTimeout, \(rebalanceTimeout)"
                )
            }
        }
    }
#endif
