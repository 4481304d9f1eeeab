#if Kafka
    import Ratchet
    import RatchetKafka
    import RatchetTesting
    import ServiceLifecycleTestKit
    import Testing

    /// A pipeline over Kafka, when brokers come and go and ledgers meet.
    @Suite(.timeLimit(.minutes(30)), .serialized) struct KafkaPipelineTests {
        private static let effects = StateTable<String, Int>("effects")

        private func pipeline(_ cluster: MockCluster, _ topic: String, _ group: String, _ ledger: Ledger) async throws
            -> Pipeline<Message>
        {
            var configuration = PipelineConfiguration()
            configuration.logger = MockCluster.silent
            configuration.commitInterval = .milliseconds(50)
            return Pipeline(
                "effects",
                from: try await cluster.kafka.subscribe(to: topic, as: group),
                ledger: ledger,
                decoding: .raw,
                identifiedBy: .messageID,
                configuration: configuration,
                transactional: { message, transaction in
                    try transaction.update(Self.effects, message.text, default: 0) { $0 += 1 }
                }
            )
        }

        /// Runs the pipeline until everything before these offsets is settled, and shuts it down: that is committed then.
        private func run(_ pipeline: Pipeline<Message>, through offsets: [TopicPartition: Int64]) async throws {
            try await testGracefulShutdown { shutdown in
                try await withThrowingTaskGroup { group in
                    group.addTask { try await pipeline.run() }
                    await pipeline.settled(through: offsets)
                    shutdown.triggerGracefulShutdown()
                    try await group.waitForAll()
                }
            }
        }

        @Test(
            "Brokers that go down and come back, one after the other and all at once, cost nothing and repeat nothing"
        )
        func brokersDownAndUp() async throws {
            let cluster = try MockCluster()
            let topic = try await cluster.newTopic(partitions: 2)
            let scratch = try ScratchLedger()
            let pipeline = try await pipeline(cluster, topic, MockCluster.newName("group"), scratch.ledger)
            try await withThrowingTaskGroup { group in
                group.addTask { try await pipeline.run() }
                var sent = 0
                for brokers in [[1], [2], [3], [1, 2, 3]] {
                    let messages = (sent..<sent + 50).map { OutgoingMessage.text("\($0)", to: topic, key: "\($0 % 7)") }
                    try await cluster.produce(messages + messages.prefix(15))
                    sent += 50
                    for broker in brokers { try cluster.process.tell("down \(broker)") }
                    for broker in brokers { try cluster.process.tell("up \(broker)") }
                    var offsets: [TopicPartition: Int64] = [:]
                    for number in 0..<2 {
                        let partition = TopicPartition(topic, number)
                        offsets[partition] = try await cluster.plain.log(of: partition).upperBound
                    }
                    await pipeline.settled(through: offsets)
                    try Task.checkCancellation()
                }
                group.cancelAll()
                do { try await group.waitForAll() } catch is CancellationError {}
            }
            var counts: [String: Int] = [:]
            try scratch.ledger.reader.forEach(in: Self.effects) { counts[$0] = $1 }
            #expect(counts.count == 200 && counts.allSatisfy { $0.value == 1 })
            #expect(pipeline.statistics.duplicates == 60, "\(pipeline.statistics)")
            try await scratch.close()
        }

        @Test("A partition that another ledger has processed is refused; its own goes on where it was")
        func foreignLedger() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let group = MockCluster.newName("group")
            let partition = TopicPartition(topic, 0)
            let (own, foreign) = (try ScratchLedger(), try ScratchLedger())
            try await cluster.produce((0..<10).map { .text("\($0)", to: topic) })
            try await run(try await pipeline(cluster, topic, group, own.ledger), through: [partition: 10])
            let other = try await pipeline(cluster, topic, group, foreign.ledger)
            try await withThrowingTaskGroup { tasks in
                tasks.addTask { try await other.run() }
                while other.stoppedPartitions.isEmpty { try await Task.sleep(for: .milliseconds(20)) }
                tasks.cancelAll()
                do { try await tasks.waitForAll() } catch is CancellationError {}
            }
            #expect(other.stoppedPartitions[partition]?.code == .foreignLedger)
            try await cluster.produce((10..<20).map { .text("\($0)", to: topic) })
            let again = try await pipeline(cluster, topic, group, own.ledger)
            try await run(again, through: [partition: 20])
            #expect(again.statistics.processed == 10, "\(again.statistics)")
            try await own.close()
            try await foreign.close()
        }

        @Test("Ten members that join and leave again under load lose nothing and repeat nothing")
        func joinsAndLeaves() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic(partitions: 4)
            let group = MockCluster.newName("group")
            let scratch = try ScratchLedger()
            let staying = try await pipeline(cluster, topic, group, scratch.ledger)
            var sent = 0
            /// Sends until a pipeline has been given something, a message to each partition at a time.
            func feed(until pipeline: Pipeline<Message>) async throws {
                while pipeline.statistics.delivered == 0 {
                    try Task.checkCancellation()
                    try await cluster.produce(
                        (0..<4).map { number in
                            var message = OutgoingMessage.text("\(sent + number)", to: topic)
                            message.partition = number
                            return message
                        }
                    )
                    sent += 4
                }
            }
            try await testGracefulShutdown { end in
                try await withThrowingTaskGroup { members in
                    members.addTask { try await staying.run() }
                    try await feed(until: staying)
                    for _ in 0..<10 {
                        let coming = try await pipeline(cluster, topic, group, scratch.ledger)
                        try await testGracefulShutdown { leave in
                            try await withThrowingTaskGroup { member in
                                member.addTask { try await coming.run() }
                                try await feed(until: coming)
                                leave.triggerGracefulShutdown()
                                try await member.waitForAll()
                            }
                        }
                    }
                    var offsets: [TopicPartition: Int64] = [:]
                    for number in 0..<4 {
                        let partition = TopicPartition(topic, number)
                        offsets[partition] = try await cluster.plain.log(of: partition).upperBound
                    }
                    await staying.settled(through: offsets)
                    end.triggerGracefulShutdown()
                    try await members.waitForAll()
                }
            }
            var counts: [String: Int] = [:]
            try scratch.ledger.reader.forEach(in: Self.effects) { counts[$0] = $1 }
            #expect(
                counts.count == sent && counts.allSatisfy { $0.value == 1 },
                "\(sent) sent, \(counts.count) effects"
            )
            try await scratch.close()
        }
    }
#endif
