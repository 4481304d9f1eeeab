#if Kafka
    import Ratchet
    import RatchetKafka
    import RatchetTesting
    import Seeds
    import ServiceLifecycleTestKit
    import Testing

    #if canImport(FoundationEssentials)
        import FoundationEssentials
    #else
        import Foundation
    #endif

    /// Members of a group that come and go, and the history of what they did.
    @Suite(.serialized) struct KafkaGroupTests {
        private static let partitions = 4
        private static let keys = 12

        /// A member of the group: a pipeline until it is told to leave.
        private final class Member: Sendable {
            let pipeline: Pipeline<Message>
            let leaving = Latch()
            let left = Latch()

            init(_ pipeline: Pipeline<Message>) { self.pipeline = pipeline }

            func run() async throws {
                defer { left.open() }
                try await testGracefulShutdown { shutdown in
                    try await withThrowingTaskGroup { tasks in
                        tasks.addTask {
                            defer { self.leaving.open() }
                            try await self.pipeline.run()
                        }
                        await leaving.wait()
                        shutdown.triggerGracefulShutdown()
                        try await tasks.waitForAll()
                    }
                }
            }

            func leave() async {
                leaving.open()
                await left.wait()
            }
        }

        private struct FirstAttempt: Error {}

        private func member(
            _ cluster: MockCluster,
            _ topic: String,
            _ group: String,
            _ record: GroupRecord,
            _ ledger: Ledger
        )
            async throws -> Member
        {
            var configuration = PipelineConfiguration()
            configuration.logger = MockCluster.silent
            configuration.commitInterval = .milliseconds(100)
            configuration.retries = RetryPolicy(initialDelay: .milliseconds(20))
            configuration.settled = { entry, outcome in
                do {
                    switch outcome {
                    case .processed: try record.see(entry.message)
                    case .duplicate, .redelivered: try record.record(entry.message, History.Event.skipped)
                    case .deadLettered: try record.record(entry.message, History.Event.deadLettered)
                    case .discarded, .deferred, .failed, .stopped, .fenced: break
                    }
                } catch { Issue.record(error) }
            }
            let source = RecordedSource(inner: try await cluster.kafka.subscribe(to: topic, as: group), record: record)
            return Member(
                Pipeline(
                    "recorded",
                    from: source,
                    ledger: ledger,
                    decoding: .raw,
                    identifiedBy: .messageID,
                    configuration: configuration
                ) { message, context in
                    try record.record(message, History.Event.started)
                    await Task.yield()
                    if context.attempt == 1, Int(message.text)?.isMultiple(of: 17) == true {
                        try record.record(message, History.Event.failed)
                        throw FirstAttempt()
                    }
                    context.onCommit { try GroupRecord.add(message, in: $0) }
                    try record.record(message, History.Event.finished)
                }
            )
        }

        /// What is sent, in the order of its numbers and nearly a third of it once more, and told to the record.
        private final class Feed {
            private let cluster: MockCluster
            private let topic: String
            private let record: GroupRecord
            private var random: SeededRandom
            private(set) var sent = 0

            init(_ cluster: MockCluster, _ topic: String, _ record: GroupRecord, _ seed: Seed) {
                (self.cluster, self.topic, self.record, random) = (cluster, topic, record, seed.random)
            }

            func send(_ count: Int) async throws {
                var messages: [OutgoingMessage] = []
                for number in sent..<sent + count {
                    messages.append(message(number))
                    if number >= KafkaGroupTests.keys, random.chance(30) {
                        messages.append(message(number - KafkaGroupTests.keys * random.below(2)))
                    }
                }
                sent += count
                for message in messages {
                    record.record { .sending($0.message(Self.text(message)), by: $0.producer("feed")) }
                }
                try await cluster.produce(messages)
                for message in messages {
                    try record.record { history in
                        let partition = TopicPartition(topic, message.partition ?? 0)
                        return .sentOK(history.message(Self.text(message)), try history.partition(partition))
                    }
                }
            }

            private static func text(_ message: OutgoingMessage) -> String {
                String(decoding: message.payload, as: UTF8.self)
            }

            private func message(_ number: Int) -> OutgoingMessage {
                var message = OutgoingMessage.text("\(number)", to: topic, key: "key \(number % KafkaGroupTests.keys)")
                message.partition = number % KafkaGroupTests.partitions
                return message
            }
        }

        @Test(
            "Two members that join and leave in turn under load: the checker finds nothing",
            .timeLimit(.minutes(60)),
            arguments: Seed.some(1)
        )
        func joinsAndLeaves(seed: Seed) async throws {
            // A round takes some ten seconds there.
            let rounds = ProcessInfo.processInfo.environment["RATCHET_KAFKA_ROUNDS"].flatMap { Int($0) } ?? 3
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic(partitions: Self.partitions)
            let group = MockCluster.newName("group")
            let scratch = try ScratchLedger()
            let record = GroupRecord(scratch.ledger)
            let feed = Feed(cluster, topic, record, seed)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                var staying = try await member(cluster, topic, group, record, scratch.ledger)
                tasks.addTask { [staying] in try await staying.run() }
                try await keepFeeding(feed, until: staying)
                for round in 0..<rounds {
                    let coming = try await member(cluster, topic, group, record, scratch.ledger)
                    tasks.addTask { try await coming.run() }
                    try await keepFeeding(feed, until: coming)
                    // Now the newer one, now the older one: what it had goes on with the other.
                    let leaving = round.isMultiple(of: 2) ? coming : staying
                    if leaving === staying { staying = coming }
                    async let left: Void = leaving.leave()
                    repeat { try await feed.send(8) } while !leaving.left.isOpen
                    await left
                }
                await staying.pipeline.settled(through: try await cluster.ends(of: topic, partitions: Self.partitions))
                await staying.leave()
                try await tasks.waitForAll()
            }
            let report = HistoryChecker.check(try await history(record, cluster, topic))
            print("\(seed): \(rounds) joins and leaves\n\(report)")
            #expect(report.isSound && report.isDrained, "\(report)")
            #expect(report.counts.okWithEffect == feed.sent && report.counts.withEffect == feed.sent, "\(report)")
            let counts = try record.counts()
            #expect(counts.count == feed.sent && counts.allSatisfy { $0.value == 1 })
            try await scratch.close()
        }

        /// Sends on until a member has been given something.
        private func keepFeeding(_ feed: Feed, until member: Member) async throws {
            while member.pipeline.statistics.delivered == 0 {
                try #require(!member.left.isOpen, "the member has ended by itself")
                try Task.checkCancellation()
                try await feed.send(8)
                try await Task.sleep(for: .milliseconds(50))
            }
        }

        /// What was recorded, and what the log then holds.
        private func history(_ record: GroupRecord, _ cluster: MockCluster, _ topic: String) async throws -> History {
            for number in 0..<Self.partitions {
                let name = TopicPartition(topic, number)
                for message in try await cluster.contents(of: name) {
                    try record.record { history in
                        let partition = try history.partition(name)
                        return .appended(history.message(message.text), partition, offset: message.offset)
                    }
                }
                let end = try await cluster.plain.log(of: name).upperBound
                try record.record { .end(of: try $0.partition(name), offset: end) }
            }
            record.record { _ in .drained }
            return record.history
        }
    }
#endif
