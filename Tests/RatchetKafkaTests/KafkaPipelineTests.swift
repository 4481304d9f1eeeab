#if Kafka
    import Ratchet
    import RatchetKafka
    import RatchetTesting
    import Testing

    /// A pipeline over Kafka, when brokers come and go and ledgers meet.
    @Suite(.timeLimit(.minutes(30)), .serialized) struct KafkaPipelineTests {
        @Test(
            "Brokers that go down and come back, one after the other and all at once, cost nothing and repeat nothing"
        )
        func brokersDownAndUp() async throws {
            let cluster = try MockCluster()
            let topic = try await cluster.newTopic(partitions: 2)
            let name = MockCluster.newName("group")
            // The first and the second lead, the third coordinates the group: it needs each of them.
            for order in ["leader \(topic) 0 1", "leader \(topic) 1 2", "coordinator \(name) 3"] {
                try cluster.process.tell(order)
            }
            let coordinator = "GroupCoordinator: \(cluster.process.servers.split(separator: ",")[2])"
            let scratch = try ScratchLedger()
            let log = LogRecorder()
            let pipeline = try await CountingPipeline.make(cluster, topic, name, scratch.ledger, logger: log.logger)
            try await withThrowingTaskGroup { group in
                group.addTask { try await pipeline.run() }
                var sent = 0
                for brokers in [[1], [2], [3], [1, 2, 3]] {
                    let messages = (sent..<sent + 50).map { OutgoingMessage.text("\($0)", to: topic, key: "\($0 % 7)") }
                    try await cluster.produce(Array(messages[..<25]) + messages[..<15])
                    sent += 50
                    // Once something is settled it is connected to the leaders. The coordinator it may know as that alone, and
                    // may not have found again after it was away.
                    await pipeline.settled(through: try await cluster.ends(of: topic, partitions: 2))
                    let noticed = brokers.filter { $0 != 3 || brokers == [3] }
                        .map { log.next(with: "\($0 == 3 ? coordinator : "/\($0)"): Disconnected") }
                    for broker in brokers { try cluster.process.tell("down \(broker)") }
                    for latch in noticed {
                        let isNoticed = await latch.wait(atMost: .seconds(60), clock: ContinuousClock())
                        #expect(isNoticed, "\(brokers) are not missed: \(log.lines.suffix(20))")
                    }
                    // What is sent while they are away is there when they are back.
                    async let producing: Void = cluster.produce(Array(messages[25...]))
                    for broker in brokers { try cluster.process.tell("up \(broker)") }
                    try await producing
                    await pipeline.settled(through: try await cluster.ends(of: topic, partitions: 2))
                    try Task.checkCancellation()
                }
                group.cancelAll()
                do { try await group.waitForAll() } catch is CancellationError {}
            }
            let counts = try CountingPipeline.counts(in: scratch.ledger)
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
            let first = try await CountingPipeline.make(cluster, topic, group, own.ledger)
            try await first.run(through: [partition: 10])
            let other = try await CountingPipeline.make(cluster, topic, group, foreign.ledger)
            try await withThrowingTaskGroup { tasks in
                tasks.addTask { try await other.run() }
                while other.stoppedPartitions.isEmpty { try await Task.sleep(for: .milliseconds(20)) }
                tasks.cancelAll()
                do { try await tasks.waitForAll() } catch is CancellationError {}
            }
            #expect(other.stoppedPartitions[partition]?.code == .foreignLedger)
            try await cluster.produce((10..<20).map { .text("\($0)", to: topic) })
            let again = try await CountingPipeline.make(cluster, topic, group, own.ledger)
            try await again.run(through: [partition: 20])
            #expect(again.statistics.processed == 10, "\(again.statistics)")
            try await own.close()
            try await foreign.close()
        }

        @Test(
            "Retention that overtakes a pipeline that runs costs what it has deleted, which is counted, or stops the partition",
            arguments: [ResumePolicy.OutOfRange.earliest, .fail]
        )
        func overtaken(policy: ResumePolicy.OutOfRange) async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let partition = TopicPartition(topic, 0)
            let scratch = try ScratchLedger()
            try await cluster.produce([.text("first", to: topic)])
            let (isRunning, gate) = (Latch(), Latch())
            let pipeline = try await gated(cluster, topic, scratch.ledger, policy) {
                isRunning.open()
                await gate.wait()
            }
            try await withThrowingTaskGroup { group in
                group.addTask { try await pipeline.run() }
                await isRunning.wait()
                // Far more than is fetched ahead.
                while try await cluster.plain.log(of: partition).lowerBound < 30 {
                    try await cluster.removeOldest(of: partition)
                }
                let log = try await cluster.plain.log(of: partition)
                gate.open()
                if policy == .fail {
                    while pipeline.stoppedPartitions.isEmpty { try await Task.sleep(for: .milliseconds(20)) }
                    let stopped = try #require(pipeline.stoppedPartitions[partition])
                    #expect(stopped.code == .retentionPassed && stopped.lost?.upperBound == log.lowerBound)
                } else {
                    await pipeline.settled(through: [partition: log.upperBound])
                    let statistics = pipeline.statistics
                    #expect(statistics.lost > 0, "\(statistics)")
                    #expect(statistics.processed + statistics.lost == Int(log.upperBound), "\(statistics)")
                }
                group.cancelAll()
                do { try await group.waitForAll() } catch is CancellationError {}
            }
            try await scratch.close()
        }

        /// A pipeline that fetches little ahead, and whose handler waits.
        private func gated(
            _ cluster: MockCluster,
            _ topic: String,
            _ ledger: Ledger,
            _ policy: ResumePolicy.OutOfRange,
            _ wait: @escaping @Sendable () async -> Void
        ) async throws -> Pipeline<Message> {
            var settings = cluster.configuration
            settings.consumerSettings = ["queued.max.messages.kbytes": "1", "queued.min.messages": "1"]
            var configuration = PipelineConfiguration()
            configuration.logger = MockCluster.silent
            configuration.resume.outOfRange = policy
            configuration.partitionInFlight = 1
            return Pipeline(
                "gated",
                from: try await Kafka(settings).subscribe(to: topic, as: MockCluster.newName("group")),
                ledger: ledger,
                decoding: .raw,
                identifiedBy: .positionOnly,
                configuration: configuration
            ) { _, _ in await wait() }
        }
    }
#endif
