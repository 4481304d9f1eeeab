#if Kafka
    import Ratchet

    /// What a client is made with: our defaults, the caller's settings over them, and what no caller may change.
    struct ClientSettings: Sendable {
        let all: KafkaSettings
        let redact: Redaction

        /// Throws when the caller has set what is not the caller's to choose.
        private init(
            _ configuration: KafkaConfiguration,
            defaults: KafkaSettings,
            own: KafkaSettings,
            fixed: KafkaSettings,
            reasons: [String: String]
        ) throws(KafkaError) {
            try configuration.check()
            let given = configuration.settings.merging(own)
            for name in given.names {
                if let reason = reasons[Self.aliases[name] ?? name] {
                    throw KafkaError(.invalidArgument, "the setting \(name) cannot be chosen: \(reason)")
                }
                if fixed[Self.aliases[name] ?? name] != nil {
                    throw KafkaError(
                        .invalidArgument,
                        "the setting \(name) has a place of its own in the configuration"
                    )
                }
            }
            all = defaults.merging(given).merging(fixed).merging([
                "bootstrap.servers": configuration.servers.joined(separator: ",")
            ])
            redact = Redaction(all)
        }

        /// librdkafka's other names of what we set.
        private static let aliases = [
            "metadata.broker.list": "bootstrap.servers", "request.required.acks": "acks",
            "message.timeout.ms": "delivery.timeout.ms", "auto.commit.enable": "enable.auto.commit",
            "message.send.max.retries": "retries",
        ]

        private static let common: KafkaSettings = ["client.id": "ratchet"]

        /// A member of a group, which fetches nothing.
        static func member(
            _ configuration: KafkaConfiguration,
            group: String,
            instanceID: String?
        ) throws(KafkaError) -> ClientSettings {
            var fixed: KafkaSettings = [
                "group.id": group, "enable.auto.commit": "false", "enable.auto.offset.store": "false",
                "auto.offset.reset": "error", "partition.assignment.strategy": "cooperative-sticky",
                "allow.auto.create.topics": "false", "enable.partition.eof": "false",
                "max.poll.interval.ms": "\(configuration.rebalanceTimeout.milliseconds)",
                "session.timeout.ms": "\(configuration.sessionTimeout.milliseconds)",
                "statistics.interval.ms": "0",
            ]
            if let instanceID { fixed["group.instance.id"] = instanceID }
            return try ClientSettings(
                configuration,
                defaults: common.merging(consuming),
                own: configuration.consumerSettings,
                fixed: fixed,
                reasons: consumerReasons
            )
        }

        /// A client that fetches for a member, and is in no group itself.
        static func fetcher(_ configuration: KafkaConfiguration, group: String) throws(KafkaError) -> ClientSettings {
            try ClientSettings(
                configuration,
                defaults: common.merging(consuming),
                own: configuration.consumerSettings,
                fixed: [
                    "group.id": group, "enable.auto.commit": "false", "enable.auto.offset.store": "false",
                    "auto.offset.reset": "error", "allow.auto.create.topics": "false", "enable.partition.eof": "false",
                    "statistics.interval.ms": "\(configuration.statisticsInterval.milliseconds)",
                ],
                reasons: consumerReasons
            )
        }

        /// A client that asks questions for a group, and never joins it.
        static func lookup(_ configuration: KafkaConfiguration, group: String?) throws(KafkaError) -> ClientSettings {
            // It fetches one record at a time.
            try outside(configuration, group: group, defaults: ["queued.min.messages": "1"])
        }

        /// A client that reads logs from one offset to another, in no group.
        static func reader(_ configuration: KafkaConfiguration) throws(KafkaError) -> ClientSettings {
            try outside(configuration, group: nil, defaults: [:])
        }

        private static func outside(
            _ configuration: KafkaConfiguration,
            group: String?,
            defaults: KafkaSettings
        ) throws(KafkaError) -> ClientSettings {
            try ClientSettings(
                configuration,
                defaults: common.merging(consuming).merging(defaults),
                own: configuration.consumerSettings,
                fixed: [
                    "group.id": group ?? "ratchet", "enable.auto.commit": "false", "enable.auto.offset.store": "false",
                    "auto.offset.reset": "error", "allow.auto.create.topics": "false", "enable.partition.eof": "true",
                    "statistics.interval.ms": "0",
                ],
                reasons: consumerReasons
            )
        }

        // The default of 100,000 makes a fast consumer stand still for a second at a time. What bounds memory is the other one,
        // for each partition by itself: a quarter of its default.
        private static let consuming: KafkaSettings = [
            "queued.min.messages": "1000000", "queued.max.messages.kbytes": "16384", "check.crcs": "true",
        ]

        private static let consumerReasons = [
            "enable.auto.commit": "only what is durable in the ledger is committed",
            "enable.auto.offset.store": "only what is durable in the ledger is committed",
            "auto.offset.reset": "the pipeline alone decides where to start, see ResumePolicy",
            "partition.assignment.strategy": "partitions move one at a time, cooperatively",
            "allow.auto.create.topics": "a misspelt topic is to be an error",
            "enable.partition.eof": "the end of a partition is nothing that a pipeline acts upon",
        ]

        /// A producer that loses nothing.
        static func producer(_ configuration: KafkaConfiguration) throws(KafkaError) -> ClientSettings {
            try ClientSettings(
                configuration,
                defaults: common.merging(["linger.ms": "1"]),
                own: configuration.producerSettings,
                fixed: [
                    "acks": "all", "enable.idempotence": "true", "enable.gapless.guarantee": "true",
                    "partitioner": "murmur2_random",
                    "delivery.timeout.ms": "\(configuration.deliveryTimeout.milliseconds)",
                    "statistics.interval.ms": "0",
                ],
                reasons: [
                    "acks": "what fewer replicas have confirmed can be lost",
                    "enable.idempotence": "a retry would write a message twice, or out of order",
                    "enable.gapless.guarantee": "messages of a key would be written out of order",
                    "partitioner": "a key's partition must be the same for all producers",
                    "delivery.report.only.error": "each message's confirmation is waited for",
                    "retries": "a message is retried until its delivery timeout",
                    "transactional.id": "the outbox is what makes publishing atomic",
                ]
            )
        }
    }
#endif
