#if Kafka
    import CRdkafka
    import Ratchet
    import RatchetTesting
    import Testing

    @testable import RatchetKafka

    /// What a sink does when Kafka refuses, or is away. Each test has a cluster of its own to do that to.
    @Suite(.timeLimit(.minutes(30)), .serialized) struct KafkaSinkTests {
        private static let produce = 0

        private func texts(_ cluster: MockCluster, _ topic: String) async throws -> [String] {
            try await cluster.contents(of: TopicPartition(topic, 0)).map(\.text)
        }

        private func batch(_ texts: [String], to topic: String) throws -> OutgoingBatch {
            try OutgoingBatch(texts.map { .text($0, to: topic, key: "k") })
        }

        @Test("What a broker refuses for a moment is sent again, in order and once", arguments: [6, 7, 19])
        func retried(code: Int) async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let sink = try cluster.kafka.sink()
            try cluster.process.tell("errors \(Self.produce) \(code) 3")
            for round in 0..<3 {
                let failures = try await sink.send(try batch((0..<10).map { "\(round)-\($0)" }, to: topic))
                #expect(failures.isEmpty, "\(failures)")
            }
            let expected = (0..<3).flatMap { round in (0..<10).map { "\(round)-\($0)" } }
            #expect(try await texts(cluster, topic) == expected)
            #expect(sink.failure == nil)
        }

        @Test("What a broker refuses for good fails with those of its key behind it, and the sink goes on")
        func refused() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let sink = try cluster.kafka.sink()
            // Its own settings of the topic, which the client cannot know: the record is too large.
            try cluster.process.tell("errors \(Self.produce) 10 1")
            let failures = try await sink.send(try batch(["a", "b", "c"], to: topic))
            #expect(failures.map(\.index) == [0, 1, 2])
            #expect((failures.first?.error as? MessageError)?.code == .tooLarge, "\(failures)")
            #expect(sink.failure == nil)
            #expect(try await sink.send(try batch(["a", "b", "c"], to: topic)).isEmpty)
            #expect(try await texts(cluster, topic) == ["a", "b", "c"])
        }

        @Test(
            "A message that is not confirmed in time fails with those behind it; with the broker back the sink goes on"
        )
        func timedOut() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            var configuration = cluster.configuration
            configuration.deliveryTimeout = .seconds(10)
            configuration.settings["reconnect.backoff.max.ms"] = "500"
            let sink = try Kafka(configuration).sink()
            #expect(try await sink.send(try batch(["a"], to: topic)).isEmpty)
            try cluster.process.tell("down 1")
            let failures = try await sink.send(try batch(["b", "c"], to: topic))
            #expect(failures.map(\.index) == [0, 1])
            #expect(failures.allSatisfy { ($0.error as? KafkaError)?.isRetriable == true }, "\(failures)")
            #expect(sink.failure == nil)
            try cluster.process.tell("up 1")
            var rest = ["b", "c"]
            while !rest.isEmpty { rest = try await sink.send(try batch(rest, to: topic)).map { rest[$0.index] } }
            // One that was written and not confirmed in time is there again.
            var seen: Set<String> = []
            #expect(try await texts(cluster, topic).filter { seen.insert($0).inserted } == ["a", "b", "c"])
        }

        private func sink(_ cluster: MockCluster, _ settings: KafkaSettings) throws -> KafkaSink {
            var configuration = cluster.configuration
            configuration.producerSettings = settings
            return try Kafka(configuration).sink()
        }

        @Test("A full queue is waited for, however small it is", .timeLimit(.minutes(2)))
        func fullQueue() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let sink = try sink(cluster, ["queue.buffering.max.messages": "1", "linger.ms": "0"])
            let texts = (0..<2_000).map { "\($0)" }
            #expect(try await sink.send(try batch(texts, to: topic)).isEmpty)
            #expect(try await self.texts(cluster, topic) == texts)
        }

        @Test("Room that came after a message was refused and before it is waited for is not missed")
        func roomMeanwhile() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let producer = try ProducerThread(.producer(cluster.configuration), MockCluster.silent)
            producer.start()
            let rounds = producer.rounds
            _ = try await producer.send([0], of: try batch(["a"], to: topic))
            try await producer.room(after: rounds)
            producer.stop()
        }

        @Test("A producer that was replaced hands nothing over, and says so of each message")
        func replaced() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let producer = try ProducerThread(.producer(cluster.configuration), MockCluster.silent)
            producer.start()
            producer.stop()
            await producer.ended.wait()
            let outcome = try await producer.send([0, 1], of: try batch(["a", "b"], to: topic))
            #expect(outcome.map(\.code) == [RD_KAFKA_RESP_ERR__PURGE_QUEUE, RD_KAFKA_RESP_ERR__PURGE_QUEUE])
            #expect(try await texts(cluster, topic).isEmpty)
        }

        @Test("A message larger than the queue fails with those of its key behind it", .timeLimit(.minutes(2)))
        func largerThanTheQueue() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let sink = try sink(cluster, ["queue.buffering.max.kbytes": "1"])
            let large = String(repeating: "x", count: 1_025)
            let batch = try OutgoingBatch([
                .text("a", to: topic, key: "k"), .text(large, to: topic, key: "k"), .text("b", to: topic, key: "k"),
                .text(String(large.dropLast()), to: topic, key: "l"), .text("c", to: topic, key: "l"),
            ])
            let failures = try await sink.send(batch)
            #expect(failures.map(\.index) == [1, 2])
            #expect((failures.first?.error as? MessageError)?.code == .tooLarge, "\(failures)")
            #expect(try await texts(cluster, topic) == ["a", String(large.dropLast()), "c"])
        }

        @Test("Who waits for a full queue can be cancelled", .timeLimit(.minutes(2)))
        func cancelled() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            var configuration = cluster.configuration
            configuration.deliveryTimeout = .seconds(3_600)
            configuration.producerSettings = [
                "queue.buffering.max.messages": "1", "reconnect.backoff.max.ms": "500",
            ]
            let sink = try Kafka(configuration).sink()
            // It knows the topic then.
            #expect(try await sink.send(try batch(["a"], to: topic)).isEmpty)
            try cluster.process.tell("down 1")
            let batch = try batch(["b", "c"], to: topic)
            let senders = (0..<20).map { _ in Task { try await sink.send(batch) } }
            for sender in senders {
                sender.cancel()
                await #expect(throws: CancellationError.self) { try await sender.value }
            }
            try cluster.process.tell("up 1")
            #expect(try await sink.send(try self.batch(["d"], to: topic)).isEmpty)
        }

        @Test("A producer that has fallen out with the cluster says so, and sends nothing more")
        func fatal() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let sink = try cluster.kafka.sink()
            try cluster.process.tell("errors \(Self.produce) 45 1")
            let error = await #expect(throws: KafkaError.self) {
                try await sink.send(try batch(["a", "b"], to: topic))
            }
            #expect(error?.isFatal == true, "\(String(describing: error))")
            #expect((sink.failure as? KafkaError)?.isFatal == true)
            await #expect(throws: KafkaError.self) { try await sink.send(try batch(["c"], to: topic)) }
            #expect(try await texts(cluster, topic).isEmpty)
        }

        @Test("Keys go to the partitions that the in-process broker gives them")
        func placement() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic(partitions: 7)
            let sink = try cluster.kafka.sink()
            // By Kafka's own vectors of murmur2, which the in-process broker is tested by too.
            let keys: [(key: String, hash: Int32)] = [
                ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
                ("abc", 479_470_107),
            ]
            let failures = try await sink.send(try OutgoingBatch(keys.map { .text($0.key, to: topic, key: $0.key) }))
            #expect(failures.isEmpty)
            for (key, hash) in keys {
                let partition = Int(hash & 0x7FFF_FFFF) % 7
                let found = try await cluster.contents(of: TopicPartition(topic, partition)).map(\.text)
                #expect(found.contains(key), "\(key) is not in partition \(partition)")
            }
        }

        @Test("An audit reads what the cluster tells, and says of all else that it could not be read")
        func audit() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            var configuration = cluster.configuration
            configuration.timeout = .seconds(10)
            let kafka = Kafka(configuration)
            let report = try await kafka.audit(topic: topic, producer: kafka.audited)
            let verdicts = Dictionary(uniqueKeysWithValues: report.checks.map { ($0.name, $0.verdict) })
            #expect(verdicts["producer.acks"] == .pass && verdicts["producer.idempotence"] == .pass, "\(report)")
            // The mock cluster tells the replicas of a topic, and cannot describe its settings.
            #expect(verdicts["topic.replication-factor"] != .unreadable, "\(report)")
            #expect(verdicts["topic.unclean-election"] == .unreadable, "\(report)")
            #expect(verdicts["consumer.settles-after-processing"] == .unreadable, "\(report)")
            await #expect(throws: SourceError.self) { try await kafka.audit(topic: "no-such-topic") }
        }
    }
#endif
