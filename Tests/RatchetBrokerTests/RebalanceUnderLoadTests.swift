import Ratchet
import Synchronization
import Testing

@testable import RatchetBroker

/// What all members of a group have done, as one history.
private final class History: Sendable {
    struct Delivery: Hashable {
        let partition: TopicPartition
        let offset: Int64
        let generation: Int64
    }

    private struct State {
        var deliveries: Set<Delivery> = []
        var positions: [TopicPartition: Int64] = [:]
        var owners: [TopicPartition: Int] = [:]
        var generations: [TopicPartition: Int64] = [:]
        var done = 0
    }

    private let state = Mutex(State())

    func assigned(_ assignment: Assignment, to member: Int) {
        state.withLock { state in
            #expect(state.owners[assignment.partition] == nil, "two owners of \(assignment.partition)")
            #expect(assignment.generation > state.generations[assignment.partition, default: 0])
            #expect(assignment.committed?.offset ?? 0 == state.positions[assignment.partition, default: 0])
            state.owners[assignment.partition] = member
            state.generations[assignment.partition] = assignment.generation
        }
    }

    func released(_ partition: TopicPartition) { state.withLock { $0.owners[partition] = nil } }

    func delivered(_ batch: MessageBatch, to member: Int) {
        state.withLock { state in
            #expect(state.owners[batch.partition] == member)
            for index in 0..<batch.count {
                let delivery = Delivery(
                    partition: batch.partition,
                    offset: batch.offset(at: index),
                    generation: batch.generation
                )
                #expect(state.deliveries.insert(delivery).inserted)
            }
        }
    }

    func committed(_ partition: TopicPartition, _ offset: Int64) -> Int {
        state.withLock { state in
            state.done += Int(offset - state.positions[partition, default: 0])
            state.positions[partition] = offset
            return state.done
        }
    }

    var done: Int { state.withLock { $0.done } }
    var deliveries: Int { state.withLock { $0.deliveries.count } }
}

@Suite struct RebalanceUnderLoadTests {
    /// Consumes as a pipeline does, until everything is done or it has had its batches; drains and commits what is
    /// revoked before it is released.
    private func consume(
        _ session: any SourceSession,
        _ broker: Broker,
        _ member: Int,
        _ history: History,
        total: Int,
        leavingAfter batches: Int
    ) async throws {
        var assigned: [TopicPartition: Assignment] = [:]
        var positions: [TopicPartition: Int64] = [:]
        var seen = 0
        func commit(_ partition: TopicPartition) async throws {
            guard let assignment = assigned[partition], let position = positions[partition] else { return }
            let commit = OffsetCommit(
                partition: partition,
                offset: position,
                generation: assignment.generation,
                metadata: ""
            )
            try await session.commit([commit])
            if history.committed(partition, position) == total { try await broker.close() }
        }
        func letGo(_ partition: TopicPartition) async throws {
            try await commit(partition)
            assigned[partition] = nil
            positions[partition] = nil
            history.released(partition)
        }
        while true {
            switch try await session.next() {
            case .assigned(let assignments):
                for assignment in assignments {
                    history.assigned(assignment, to: member)
                    assigned[assignment.partition] = assignment
                }
                try await session.start(assignments)
            case .messages(let batch):
                history.delivered(batch, to: member)
                let isNext = positions[batch.partition].map { $0 == batch.startOffset } ?? true
                #expect(isNext)
                positions[batch.partition] = batch.lastOffset + 1
                seen += 1
                // Some batches are left uncommitted until the partition is asked back, but never a log's last.
                let end = try broker.describe("t").partitions[batch.partition.partition].log.upperBound
                if seen % 3 == 0 || batch.lastOffset + 1 == end { try await commit(batch.partition) }
                if seen == batches {
                    for partition in assigned.keys.sorted() { try await letGo(partition) }
                    return await session.close()
                }
            case .revoking(let partitions, _):
                for partition in partitions { try await letGo(partition) }
                await session.release(partitions)
            case .lost(let partitions):
                Issue.record("lost \(partitions)")
            case .outOfRange(let gap):
                Issue.record("nothing is deleted, and yet \(gap)")
            case .closed:
                return
            }
        }
    }

    @Test("Members join and leave under load: every message is done exactly once, by one owner at a time")
    func joinAndLeave() async throws {
        var configuration = Broker.Configuration.quiet
        configuration.maximumFetchMessages = 50
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t", partitions: 7)
        let total = 20_000
        let history = History()
        let source = broker.subscribe(to: "t", as: "g")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for start in stride(from: 0, to: total, by: 40) {
                    try await broker.send((start..<start + 40).map { .text("\($0)", to: "t", key: "key \($0 % 97)") })
                }
            }
            // Two that stay, and a coming and going of others, which overlap.
            for member in 0..<2 {
                let session = try await source.open()
                group.addTask {
                    try await consume(
                        session,
                        broker,
                        member,
                        history,
                        total: total,
                        leavingAfter: .max
                    )
                }
            }
            for lane in 0..<2 {
                group.addTask {
                    for member in 2..<20 where history.done < total {
                        guard let session = try? await source.open() else { return }
                        try await consume(
                            session,
                            broker,
                            member * 2 + lane,
                            history,
                            total: total,
                            leavingAfter: 5
                        )
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(history.done == total)
        #expect(history.deliveries >= total)
    }
}
