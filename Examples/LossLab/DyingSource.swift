import Ratchet

/// A source, log or queue, whose process dies as the first commit or ack is about to be made.
struct DyingSource<Base: Source>: Source {
    private let base: Base

    init(_ base: Base) { self.base = base }

    var cluster: String { base.cluster }
    var group: String { base.group }
    var system: String { base.system }
    var model: SourceModel { base.model }
    var inFlightLimit: Int? { base.inFlightLimit }

    func open() async throws -> any SourceSession { DyingSession(base: try await base.open()) }
}

private final class DyingSession: QueueSession {
    private let base: any SourceSession

    init(base: any SourceSession) { self.base = base }

    func commit(_ commits: [OffsetCommit]) async throws { OwnProcess.die() }

    func ack(_ acks: [QueueAck]) async throws { OwnProcess.die() }

    func next() async throws -> SourceEvent { try await base.next() }

    func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
        try await base.start(partition, at: offset, generation: generation)
    }

    func setPaused(_ paused: Bool, _ partition: TopicPartition) { base.setPaused(paused, partition) }

    func release(_ partitions: [TopicPartition]) async { await base.release(partitions) }

    func message(at offset: Int64, of partition: TopicPartition) async throws -> Message? {
        try await base.message(at: offset, of: partition)
    }

    func close() async { await base.close() }
}
