#if Kafka
    import Logging
    import Ratchet
    import RatchetKafka
    import ServiceLifecycleTestKit

    /// A pipeline over Kafka that counts in its ledger how often each message has had its effect.
    enum CountingPipeline {
        private static let effects = StateTable<String, Int>("effects")

        static func make(
            _ cluster: MockCluster,
            _ topic: String,
            _ group: String,
            _ ledger: Ledger,
            resume: ResumePolicy = ResumePolicy(),
            logger: Logger = MockCluster.silent
        ) async throws -> Pipeline<Message> {
            var configuration = PipelineConfiguration()
            configuration.logger = MockCluster.silent
            configuration.commitInterval = .milliseconds(50)
            configuration.resume = resume
            return Pipeline(
                "effects",
                from: try await cluster.kafka(logger: logger).subscribe(to: topic, as: group),
                ledger: ledger,
                decoding: .raw,
                identifiedBy: .messageID,
                configuration: configuration,
                transactional: { message, transaction in
                    try transaction.update(effects, message.text, default: 0) { $0 += 1 }
                }
            )
        }

        /// How often each message has had its effect.
        static func counts(in ledger: Ledger) throws -> [String: Int] {
            var counts: [String: Int] = [:]
            try ledger.reader.forEach(in: effects) { counts[$0] = $1 }
            return counts
        }
    }

    extension Pipeline {
        /// Runs until everything before these offsets is settled, and is shut down: that is committed then.
        func run(through offsets: [TopicPartition: Int64]) async throws {
            try await testGracefulShutdown { shutdown in
                try await withThrowingTaskGroup { group in
                    group.addTask { try await self.run() }
                    await self.settled(through: offsets)
                    shutdown.triggerGracefulShutdown()
                    try await group.waitForAll()
                }
            }
        }
    }

    extension MockCluster {
        /// The offset behind the last message of each partition.
        func ends(of topic: String, partitions: Int) async throws -> [TopicPartition: Int64] {
            var ends: [TopicPartition: Int64] = [:]
            for number in 0..<partitions {
                let partition = TopicPartition(topic, number)
                ends[partition] = try await plain.log(of: partition).upperBound
            }
            return ends
        }
    }
#endif
