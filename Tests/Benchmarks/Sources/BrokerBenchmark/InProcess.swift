import ArgumentParser
import CBaseline
import Ratchet
import RatchetBroker

/// The in-process broker, measured.
struct InProcess: Sendable {
    private let options: BrokerBenchmark
    private let acks: Acks

    init(_ options: BrokerBenchmark) throws {
        self.options = options
        let known: [String: Acks] = ["all": .all, "leader": .leader, "none": .none]
        guard let acks = known[options.acks] else { throw ValidationError("acks are all, leader or none") }
        self.acks = acks
    }

    /// What is sent again and again: as the servers' clients do, nothing is encoded while the time runs.
    static func batch(of options: BrokerBenchmark) throws -> OutgoingBatch {
        var batch = OutgoingBatch()
        var state: UInt64 = 1
        for number in 0..<options.batch {
            let payload = (0..<100).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(state >> 56)
            }
            try batch.append(to: "orders", key: nil, payload: payload, partition: number % options.partitions)
        }
        return batch
    }

    func measure() async throws -> BrokerBenchmark.Times {
        var settings = Broker.Configuration()
        settings.logger.logLevel = .error
        settings.nodes = options.nodes
        let broker =
            options.unsynced
            ? try await Broker.inMemory(configuration: settings)
            : try await Broker(at: "\(options.directory)/broker", configuration: settings)
        try await broker.createTopic(
            "orders",
            partitions: options.partitions,
            replicationFactor: options.nodes,
            minInSyncReplicas: min(options.nodes, 2)
        )
        let times = try await withThrowingTaskGroup(of: Void.self) { group in
            // Its ticks; they end with the group.
            group.addTask { try await broker.run() }
            let before = baseline_flushes()
            let sending = try await seconds { try await send(to: broker) }
            let flushes = Int(baseline_flushes() - before)
            // With fewer acks the last ones may not be visible yet; they are counted as they are taken.
            let taking = try await seconds { try await take(from: broker) }
            group.cancelAll()
            do { try await group.waitForAll() } catch is CancellationError {}
            return BrokerBenchmark.Times(sending: sending, taking: taking, flushes: flushes)
        }
        try await broker.close()
        return times
    }

    private func send(to broker: Broker) async throws {
        let batch = try Self.batch(of: options)
        let batches = options.messages / options.batch
        try await withThrowingTaskGroup(of: Void.self) { group in
            for sender in 0..<options.inFlight {
                group.addTask {
                    for _ in stride(from: sender, to: batches, by: options.inFlight) {
                        let _: [RecordMetadata] = try await broker.send(batch, acks: acks)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// As a member of a group, which commits after each answer and waits for that.
    private func take(from broker: Broker) async throws {
        let session = try await broker.subscribe(to: "orders", as: "billing").open()
        var taken = 0
        while taken < options.messages {
            switch try await session.next() {
            case .assigned(let assignments):
                for assignment in assignments {
                    let start = assignment.log.lowerBound
                    try await session.start(assignment.partition, at: start, generation: assignment.generation)
                }
            case .messages(let batch):
                taken += batch.count
                let commit = OffsetCommit(
                    partition: batch.partition,
                    offset: batch.lastOffset + 1,
                    generation: batch.generation,
                    metadata: ""
                )
                try await session.commit([commit])
            case .revoking, .lost, .closed, .outOfRange:
                throw ValidationError("the only member lost a partition, or what it was about to read")
            }
        }
        await session.close()
        guard taken == options.messages else { throw ValidationError("\(taken) messages came of \(options.messages)") }
    }

    private func seconds(_ body: () async throws -> Void) async throws -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        try await body()
        return Double((clock.now - start) / .microseconds(1)) / 1e6
    }
}
