#if Kafka
    import CoreMetrics
    import MetricsTestKit
    import Ratchet
    import RatchetTesting
    import Synchronization
    import Testing

    @testable import RatchetKafka

    /// What a source does beside the conformance suite's promises. Each test has a cluster of its own.
    @Suite(.timeLimit(.minutes(30)), .serialized) struct KafkaSourceTests {
        private static let fetch = 1
        private static let offsetCommit = 8

        private func session(
            _ cluster: MockCluster,
            _ topic: String,
            _ group: String,
            instanceID: String? = nil
        ) async throws -> any SourceSession {
            try await cluster.kafka.subscribe(to: topic, as: group, instanceID: instanceID).open()
        }

        private func commit(_ assignment: Assignment, _ offset: Int64) -> OffsetCommit {
            OffsetCommit(
                partition: assignment.partition,
                offset: offset,
                generation: assignment.generation,
                metadata: "m"
            )
        }

        @Test("Members that leave at whatever moment of their joining leave the process alive, and the group to others")
        func leavesAsItJoins() async throws {
            let cluster = try MockCluster()
            let topic = try await cluster.newTopic()
            for broker in 1...3 { try cluster.process.tell("slow \(broker) 300") }
            let group = MockCluster.newName("group")
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for step in 1...40 {
                    let session = try await session(cluster, topic, "\(group)-\(step)")
                    tasks.addTask {
                        // From before it knows its group's coordinator until after its first assignment.
                        _ = await Latch().wait(atMost: .milliseconds(200) * step, clock: ContinuousClock())
                        await session.close()
                    }
                }
                try await tasks.waitForAll()
            }
            let next = try await session(cluster, topic, "\(group)-20")
            #expect(try await next.assigned().map(\.partition) == [TopicPartition(topic, 0)])
            await next.close()
        }

        @Test("What kcat sends arrives with its key and headers, in the partition of its key")
        func kcat() async throws {
            let cluster = try MockCluster()
            let topic = try await cluster.newTopic(partitions: 3)
            try await Shell.run(
                "printf 'foobar:one\\nfoobar:two\\n' | kcat -P -b \(cluster.process.servers) -t \(topic) -K: "
                    + "-H message-id=id-1 -H empty= -X topic.partitioner=murmur2_random 2>/dev/null"
            )
            try await expect(["one", "two"], [.messageID("id-1"), Header("empty", [])], cluster, topic)
        }

        @Test("What Python's confluent-kafka sends arrives with its key and headers, in the partition of its key")
        func confluent() async throws {
            let cluster = try MockCluster()
            let topic = try await cluster.newTopic(partitions: 3)
            let purchase = #"{"id":"id-1","customer":"foobar"}"#
            // A share of 1: each is sent twice.
            try await Shell.run(
                "echo '\(purchase)' | \(Shell.producer) \(cluster.process.servers) \(topic) /dev/stdin 1 1 >/dev/null"
            )
            try await expect([purchase, purchase], [.messageID("id-1")], cluster, topic)
        }

        /// Two messages of the key `foobar`, which murmur2 puts in one partition, whoever has sent them.
        private func expect(_ texts: [String], _ headers: [Header], _ cluster: MockCluster, _ topic: String)
            async throws
        {
            let session = try await session(cluster, topic, MockCluster.newName("group"))
            for assignment in try await session.assigned(3) {
                try await session.start(assignment.partition, at: 0, generation: assignment.generation)
            }
            let messages = try await session.messages(2)
            #expect(messages.map(\.text) == texts)
            for message in messages {
                #expect(message.key == Array("foobar".utf8))
                #expect(message.headers == headers)
                #expect(message.timestamp > 1_500_000_000_000)
                #expect(message.partition == Int(Int32(-790_332_482) & 0x7FFF_FFFF) % 3)
            }
            await session.close()
        }

        @Test("A commit that the group has gone on without is fenced, one that cannot be taken now may be tried again")
        func commitErrors() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            try await cluster.produce([.text("a", to: topic)])
            let session = try await session(cluster, topic, MockCluster.newName("group"))
            let assignment = try await session.assigned()[0]
            try cluster.process.tell("errors \(Self.offsetCommit) 89 1")
            let passing = await #expect(throws: KafkaError.self) { try await session.commit([commit(assignment, 1)]) }
            #expect(passing?.isRetriable == true)
            try await session.commit([commit(assignment, 1)])
            try cluster.process.tell("errors \(Self.offsetCommit) 22 1")
            let final = await #expect(throws: SourceError.self) { try await session.commit([commit(assignment, 1)]) }
            #expect(final?.code == .fenced)
            await session.close()
        }

        @Test("A commit while the group rebalances is made once it has, or ends with the session")
        func commitsInRebalance() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let group = MockCluster.newName("group")
            try await cluster.produce([.text("a", to: topic)])
            let session = try await session(cluster, topic, group)
            let assignment = try await session.assigned()[0]
            try cluster.process.tell("errors \(Self.offsetCommit) 27 3")
            try await session.commit([commit(assignment, 1)])
            await session.close()
            let next = try await self.session(cluster, topic, group)
            let again = try await next.assigned()[0]
            #expect(again.committed?.offset == 1)
            try cluster.process.tell("errors \(Self.offsetCommit) 27 1000")
            let refused = Task { try await next.commit([commit(again, 0)]) }
            while try await !isPostponing(next) {}
            await next.close()
            let error = await #expect(throws: SourceError.self) { try await refused.value }
            #expect(error?.code == .closed)
        }

        /// Somebody who waits for a commit.
        private final class Waiter: Sendable {
            let continuation = Mutex<CheckedContinuation<Void, any Error>?>(nil)
        }

        @Test("A commit that was postponed is not made behind a later one")
        func commitsInOrder() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let group = MockCluster.newName("group")
            try await cluster.produce((0..<2).map { .text("\($0)", to: topic) })
            let session = try await session(cluster, topic, group)
            let assignment = try await session.assigned()[0]
            let thread = try #require(session as? KafkaSession).thread
            let waiter = Waiter()
            let earlier = Task {
                try await withCheckedThrowingContinuation { continuation in
                    waiter.continuation.withLock { $0 = continuation }
                }
            }
            while waiter.continuation.withLock({ $0 == nil }) { await Task.yield() }
            // The first of them is refused, and would be asked again when the second was taken.
            try cluster.process.tell("errors \(Self.offsetCommit) 27 1")
            try await withCheckedThrowingContinuation { (later: CheckedContinuation<Void, any Error>) in
                thread.submit { thread in
                    guard let earlier = waiter.continuation.withLock({ $0 }) else { return }
                    thread.commit([commit(assignment, 1)], earlier)
                    thread.commit([commit(assignment, 2)], later)
                }
            }
            try await earlier.value
            await session.close()
            let next = try await self.session(cluster, topic, group)
            #expect(try await next.assigned()[0].committed?.offset == 2)
            await next.close()
        }

        /// Whether a commit waits to be tried again.
        private func isPostponing(_ session: any SourceSession) async throws -> Bool {
            let thread = try #require(session as? KafkaSession).thread
            return await withCheckedContinuation { continuation in
                if !thread.submit({ continuation.resume(returning: $0.hasPostponed) }) {
                    continuation.resume(returning: true)
                }
            }
        }

        @Test("An offset that the log does not hold is told, and the partition can be started elsewhere")
        func outOfRange() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            try await cluster.produce((0..<5).map { .text("\($0)", to: topic) })
            let session = try await session(cluster, topic, MockCluster.newName("group"))
            let assignment = try await session.assigned()[0]
            try await session.start(assignment.partition, at: 1_000, generation: assignment.generation)
            let gap = try await session.gap()
            #expect(gap.position == 1_000 && gap.log == 0..<5 && gap.partition == assignment.partition)
            #expect(gap.generation == assignment.generation)
            for offset in [3, 0] as [Int64] {
                try await session.start(assignment.partition, at: offset, generation: assignment.generation)
                #expect(try await session.messages(5 - Int(offset)).map(\.offset) == Array(offset..<5))
            }
            await session.close()
        }

        @Test("An offset that a leader denies for a moment is asked for again, and nothing is told")
        func denied() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            try await cluster.produce((0..<5).map { .text("\($0)", to: topic) })
            let session = try await session(cluster, topic, MockCluster.newName("group"))
            let assignment = try await session.assigned()[0]
            try cluster.process.tell("errors \(Self.fetch) 1 1")
            try await session.start(assignment.partition, at: 0, generation: assignment.generation)
            guard case .messages(let batch) = try await session.next() else {
                Issue.record("expected the messages")
                return
            }
            #expect(batch.startOffset == 0)
            await session.close()
        }

        @Test(
            "A partition without a leader keeps no other from starting, and is told once it has one",
            .timeLimit(.minutes(2))
        )
        func leaderless() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic(partitions: 3)
            try cluster.process.tell("leader \(topic) 1 -1")
            let session = try await session(cluster, topic, MockCluster.newName("group"))
            #expect(try await session.assigned(2).map(\.partition.partition) == [0, 2])
            try cluster.process.tell("leader \(topic) 1 1")
            #expect(try await session.assigned().map(\.partition.partition) == [1])
            await session.close()
        }

        @Test("A leader that is away keeps no partition of another's from starting", .timeLimit(.minutes(1)))
        func leaderAway() async throws {
            let cluster = try MockCluster(brokers: 2)
            let topic = try await cluster.newTopic(partitions: 2)
            let group = MockCluster.newName("group")
            try cluster.process.tell("coordinator \(group) 2")
            for (partition, leader) in [(0, 1), (1, 2)] {
                try cluster.process.tell("leader \(topic) \(partition) \(leader)")
            }
            try cluster.process.tell("down 1")
            var configuration = cluster.configuration
            configuration.settings["reconnect.backoff.max.ms"] = "500"
            let session = try await Kafka(configuration).subscribe(to: topic, as: group).open()
            #expect(try await session.assigned().map(\.partition.partition) == [1])
            try cluster.process.tell("up 1")
            #expect(try await session.assigned().map(\.partition.partition) == [0])
            await session.close()
        }

        @Test("A static member that comes back has its partition again, under a generation that is newer")
        func staticMember() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            let group = MockCluster.newName("group")
            var last: Int64 = 0
            for _ in 0..<2 {
                let session = try await session(cluster, topic, group, instanceID: "one")
                let generation = try await session.assigned()[0].generation
                #expect(generation > last)
                last = generation
                await session.close()
            }
        }

        @Test("Lag is measured for each partition")
        func lag() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic()
            try await cluster.produce((0..<5).map { .text("\($0)", to: topic) })
            let metrics = TestMetrics()
            var configuration = cluster.configuration
            configuration.metrics = metrics
            configuration.statisticsInterval = .milliseconds(100)
            let group = MockCluster.newName("group")
            let session = try await Kafka(configuration).subscribe(to: topic, as: group).open()
            let assignment = try await session.assigned()[0]
            try await session.start(assignment.partition, at: 0, generation: assignment.generation)
            _ = try await session.messages(5)
            try await session.commit([commit(assignment, 2)])
            var lag: Double?
            while lag != 3 {
                try await Task.sleep(for: .milliseconds(20))
                lag = metrics.recorders.last { $0.label == "ratchet.kafka.lag" }?.lastValue
            }
            await session.close()
        }
    }
#endif
