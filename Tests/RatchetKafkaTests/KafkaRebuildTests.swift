#if Kafka
    import Ratchet
    import RatchetKafka
    import RatchetTesting
    import Testing

    /// A partition that another ledger has had, or a newer copy of this one: what was done is read again from Kafka.
    @Suite(.timeLimit(.minutes(30)), .serialized) struct KafkaRebuildTests {
        private func message(_ number: Int, to topic: String, _ partition: Int) -> OutgoingMessage {
            var message = OutgoingMessage.text("\(number)", to: topic)
            message.partition = partition
            return message
        }

        @Test("What one ledger has done is done for the next one, too, in whichever partition it comes again")
        func takenOver() async throws {
            let cluster = try MockCluster(brokers: 2)
            let topic = try await cluster.newTopic(partitions: 3)
            let group = MockCluster.newName("group")
            let (own, next) = (try ScratchLedger(), try ScratchLedger())
            // More than one read brings of a partition.
            try await cluster.produce((0..<6_000).map { message($0, to: topic, $0 % 3) })
            let first = try await CountingPipeline.make(cluster, topic, group, own.ledger)
            try await first.run(through: try await cluster.ends(of: topic, partitions: 3))
            #expect(first.statistics.processed == 6_000)
            // Every third one comes once more, in another partition, and some that are new.
            let repeats = stride(from: 0, to: 6_000, by: 3).map { message($0, to: topic, ($0 + 1) % 3) }
            try await cluster.produce(repeats)
            try await cluster.produce((6_000..<6_100).map { message($0, to: topic, $0 % 3) })
            let policy = ResumePolicy(lineage: .rebuild)
            let second = try await CountingPipeline.make(cluster, topic, group, next.ledger, resume: policy)
            try await second.run(through: try await cluster.ends(of: topic, partitions: 3))
            #expect(second.statistics.passed == 6_000, "\(second.statistics)")
            #expect(second.statistics.duplicates == repeats.count, "\(second.statistics)")
            let counts = try CountingPipeline.counts(in: next.ledger)
            #expect(counts.keys.sorted() == (6_000..<6_100).map { "\($0)" }.sorted())
            #expect(counts.allSatisfy { $0.value == 1 })
            try await own.close()
            try await next.close()
        }

        @Test("An old copy of the ledger is refused, and taken when asked for with what the newer one has done")
        func olderLedger() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let group = MockCluster.newName("group")
            let partition = TopicPartition(topic, 0)
            let original = try ScratchLedger()
            try await cluster.produce((0..<10).map { message($0, to: topic, 0) })
            try await CountingPipeline.make(cluster, topic, group, original.ledger).run(through: [partition: 10])
            let (newer, older) = try await original.fork()
            try await cluster.produce((10..<20).map { message($0, to: topic, 0) })
            try await CountingPipeline.make(cluster, topic, group, newer.ledger).run(through: [partition: 20])
            try await newer.close()
            let refused = try await CountingPipeline.make(
                cluster,
                topic,
                group,
                older.ledger,
                resume: ResumePolicy(refusal: .endPipeline)
            )
            let error = await #expect(throws: ResumeError.self) { try await refused.run() }
            #expect(error?.code == .olderLedger && error?.detail.contains("rebuild") == true)
            try await cluster.produce([message(15, to: topic, 0), message(20, to: topic, 0)])
            let rebuilt = try await CountingPipeline.make(
                cluster,
                topic,
                group,
                older.ledger,
                resume: ResumePolicy(olderLedger: .rebuild)
            )
            try await rebuilt.run(through: [partition: 22])
            #expect(rebuilt.statistics.passed == 20 && rebuilt.statistics.duplicates == 1, "\(rebuilt.statistics)")
            let counts = try CountingPipeline.counts(in: older.ledger)
            #expect(counts.keys.sorted() == ((0..<10).map { "\($0)" } + ["20"]).sorted())
            try await older.close()
        }

        @Test("A log is read again as far as it is there and no further than asked, whatever is delivered meanwhile")
        func ranges() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let partition = TopicPartition(topic, 0)
            try await cluster.produce((0..<10).map { message($0, to: topic, 0) })
            let session = try await cluster.kafka.subscribe(to: topic, as: MockCluster.newName("group")).open()
            let assignment = try await session.assigned()[0]
            try await session.start(partition, at: 0, generation: assignment.generation)
            let again = try #require(session as? any RereadableSession)
            func texts(_ range: Range<Int64>) async throws -> [String] {
                var (texts, next) = ([String](), range.lowerBound)
                while let batch = try await again.messages(from: next, to: range.upperBound, of: partition) {
                    #expect(batch.generation == assignment.generation && batch.startOffset >= next)
                    texts += (0..<batch.count).map { batch[$0].text }
                    next = batch.lastOffset + 1
                }
                return texts
            }
            #expect(try await texts(2..<5) == ["2", "3", "4"])
            #expect(try await texts(5..<5) == [])
            #expect(try await texts(8..<1_000) == ["8", "9"])
            #expect(try await texts(10..<1_000) == [])
            #expect(try await session.messages(10).map(\.text) == (0..<10).map { "\($0)" })
            try await cluster.removeOldest(of: partition)
            let log = try await cluster.plain.log(of: partition)
            #expect(try await texts(0..<log.lowerBound) == [])
            #expect(try await texts(0..<log.lowerBound + 2).count == 2)
            await #expect(throws: SourceError.self) {
                try await again.messages(from: 0, to: 1, of: TopicPartition(topic, 7))
            }
            await session.close()
        }

        @Test("Brokers that are away while a log is read again are waited for")
        func brokersAway() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let partition = TopicPartition(topic, 0)
            try await cluster.produce((0..<10).map { message($0, to: topic, 0) })
            let log = LogRecorder()
            var configuration = cluster.configuration
            configuration.logger = log.logger
            let group = MockCluster.newName("group")
            let session = try await Kafka(configuration).subscribe(to: topic, as: group).open()
            _ = try await session.assigned()
            let again = try #require(session as? any RereadableSession)
            #expect(try await again.messages(from: 0, to: 2, of: partition)?.count == 2)
            try cluster.process.tell("down 1")
            // Only who asks anew has not known the broker by its number.
            let refused = log.next(with: "/bootstrap: Connect to")
            async let batch = again.messages(from: 2, to: 4, of: partition)
            await refused.wait()
            try cluster.process.tell("up 1")
            #expect(try await batch?.count == 2)
            await session.close()
        }
    }
#endif
