#if Kafka
    import Logging
    import Ratchet
    import RatchetKafka
    import RatchetTesting
    import Synchronization

    /// librdkafka's mock cluster as the conformance suite sees it. What it only pretends to do is not among its features:
    /// it has neither transactions nor deletion, and elects no leaders.
    final class MockCluster: BrokerUnderTest {
        static let features: Features = [
            .log, .partitions, .keysToPartitions, .commitMetadata, .fencing, .cooperativeRevocation, .retention,
            .sizeLimit,
        ]

        let process: MockProcess
        let plain: PlainClient

        /// Brokers that answer after so many milliseconds. A member that syncs after its leader is sent away, to join
        /// again, where Kafka would tell it its partitions; the group then goes on without who holds partitions back. A
        /// leader asks for metadata before it syncs: where that takes longer, the others are ahead of it.
        init(brokers: Int = 3, latency: Int = 0) throws {
            process = try MockProcess(brokers: brokers)
            plain = PlainClient(process.servers)
            if latency > 0 { for broker in 1...brokers { try process.tell("slow \(broker) \(latency)") } }
        }

        static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

        var configuration: KafkaConfiguration {
            var configuration = KafkaConfiguration(servers: process.servers.split(separator: ",").map(String.init))
            configuration.logger = Self.silent
            // The mock cluster waits for so long, less a second, for those who have not joined again.
            configuration.sessionTimeout = .seconds(8)
            return configuration
        }

        var kafka: Kafka { Kafka(configuration) }

        /// As ``kafka``, with what its clients log.
        func kafka(logger: Logger) -> Kafka {
            var configuration = configuration
            configuration.logger = logger
            return Kafka(configuration)
        }

        func createTopic(_ name: String, partitions: Int) async throws {
            try process.tell("topic \(name) \(partitions)")
        }

        /// The mock cluster keeps its topics. Nobody asks for one of the same name.
        func deleteTopic(_ name: String) async throws {}

        func source(of topics: [String], group: String) async throws -> any Source {
            try await kafka.subscribe(to: topics, as: group)
        }

        func sink() async throws -> any Sink { try kafka.sink() }

        func produce(_ messages: [OutgoingMessage]) async throws { try await plain.produce(messages) }

        func contents(of partition: TopicPartition) async throws -> [Message] {
            try await plain.contents(of: partition)
        }

        /// It keeps 5 MiB of a partition.
        func removeOldest(of partition: TopicPartition) async throws {
            let start = try await plain.log(of: partition).lowerBound
            let filler = OutgoingMessage(
                to: partition.topic,
                payload: Array(repeating: 0, count: 900_000),
                partition: partition.partition
            )
            while try await plain.log(of: partition).lowerBound == start { try await plain.produce([filler]) }
        }
    }
#endif
