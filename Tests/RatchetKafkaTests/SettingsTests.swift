#if Kafka
    import CRdkafka
    import Logging
    import Ratchet
    import Testing

    @testable import RatchetKafka

    @Suite struct SettingsTests {
        private var configuration: KafkaConfiguration { KafkaConfiguration(servers: ["a:1", "b:2"]) }

        private func consumer(_ configuration: KafkaConfiguration) throws -> KafkaSettings {
            try ClientSettings.member(configuration, group: "g", instanceID: nil).all
        }

        @Test("Every setting of librdkafka can be set, for all clients, for consumers or for producers")
        func reachable() throws {
            var configuration = configuration
            configuration.settings = ["security.protocol": "SASL_SSL", "queued.min.messages": "7"]
            configuration.consumerSettings = ["queued.min.messages": "8"]
            configuration.producerSettings = ["linger.ms": "3"]
            let consumer = try consumer(configuration)
            #expect(consumer["queued.min.messages"] == "8" && consumer["security.protocol"] == "SASL_SSL")
            #expect(consumer["bootstrap.servers"] == "a:1,b:2" && consumer["linger.ms"] == nil)
            #expect(try ClientSettings.producer(configuration).all["linger.ms"] == "3")
        }

        @Test(
            "What the promise hangs on is not the caller's to choose",
            arguments: [
                "enable.auto.commit", "auto.offset.reset", "partition.assignment.strategy", "group.id",
                "auto.commit.enable",
            ]
        )
        func refused(name: String) throws {
            var configuration = configuration
            configuration.settings[name] = "x"
            let error = try #require(throws: KafkaError.self) { try consumer(configuration) }
            #expect(error.code == .invalidArgument && error.detail.contains(name))
        }

        @Test(
            "A producer that could lose or repeat something is not made",
            arguments: [
                "acks", "enable.idempotence", "partitioner", "retries", "message.timeout.ms", "request.required.acks",
                "message.send.max.retries", "delivery.report.only.error",
            ]
        )
        func refusedForProducers(name: String) throws {
            var configuration = configuration
            configuration.producerSettings[name] = "0"
            let error = try #require(throws: KafkaError.self) { try ClientSettings.producer(configuration) }
            #expect(error.code == .invalidArgument && error.detail.contains(name))
        }

        @Test("Values of settings are never shown, whatever shows them")
        func hidden() throws {
            var configuration = configuration
            configuration.settings = ["sasl.password": "hunter2", "ssl.key.pem": "hunter3"]
            configuration.producerSettings = ["ssl.keystore.password": "hunter4"]
            var dumped = ""
            dump(configuration, to: &dumped)
            for text in ["\(configuration)", "\(configuration.settings)", String(reflecting: configuration), dumped] {
                #expect(!text.contains("hunter"), "\(text)")
            }
            #expect("\(configuration.settings)".contains("sasl.password"))
        }

        @Test("An error of librdkafka that quotes a secret is told without it")
        func redacted() throws {
            var configuration = configuration
            configuration.settings = ["sasl.password": "hunter2", "ssl.key.password": "hunter22"]
            let redact = try ClientSettings.producer(configuration).redact
            #expect(redact("'hunter22' and hunter2 in user:hunter2") == "'(hidden)' and (hidden) in user:(hidden)")
        }

        @Test("A key that cannot be read is refused without being shown")
        func wrongKey() throws {
            var configuration = configuration
            configuration.settings = ["security.protocol": "SSL", "ssl.key.pem": "hunter2-is-no-key"]
            let settings = try ClientSettings.producer(configuration)
            let error = try #require(throws: KafkaError.self) {
                try Client(RD_KAFKA_PRODUCER, settings, ClientReports(MockCluster.silent))
            }
            #expect(error.code == .invalidArgument && !error.description.contains("hunter2"), "\(error)")
        }

        @Test("A setting that librdkafka does not know is refused by its name")
        func unknown() throws {
            var configuration = configuration
            configuration.settings = ["no.such.setting": "1"]
            let error = try #require(throws: KafkaError.self) { _ = try Kafka(configuration).sink() }
            #expect(error.code == .invalidArgument && error.detail.contains("no.such.setting"))
        }

        @Test("Bounds are checked")
        func bounds() throws {
            for change: (inout KafkaConfiguration) -> Void in [
                { $0.servers = [] }, { $0.timeout = .zero }, { $0.sessionTimeout = .seconds(400) },
                { $0.deliveryTimeout = .zero }, { $0.rebalanceTimeout = .seconds(100_000) },
                { $0.statisticsInterval = .seconds(-1) },
            ] {
                var configuration = configuration
                change(&configuration)
                let error = try #require(throws: KafkaError.self) { try consumer(configuration) }
                #expect(error.code == .invalidArgument)
            }
        }
    }
#endif
