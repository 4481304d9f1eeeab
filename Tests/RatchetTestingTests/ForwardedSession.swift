import Ratchet

/// A session that hands everything on to another one, for those who change one thing.
class ForwardedSession: SourceSession, @unchecked Sendable {
    private let inner: any SourceSession

    init(_ inner: any SourceSession) { self.inner = inner }

    func next() async throws -> SourceEvent { try await inner.next() }

    func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
        try await inner.start(partition, at: offset, generation: generation)
    }

    func setPaused(_ paused: Bool, _ partition: TopicPartition) { inner.setPaused(paused, partition) }

    func commit(_ commits: [OffsetCommit]) async throws { try await inner.commit(commits) }

    func release(_ partitions: [TopicPartition]) async { await inner.release(partitions) }

    func message(at offset: Int64, of partition: TopicPartition) async throws -> Message? {
        try await inner.message(at: offset, of: partition)
    }

    func close() async { await inner.close() }
}

extension MessageBatch {
    var messages: [Message] { (0..<count).map { self[$0] } }

    /// A batch of some messages of another one, nil of none. They keep their bytes but for what `headers`
    /// and `payload` change.
    convenience init?(
        _ messages: [Message],
        like batch: MessageBatch,
        from start: Int64,
        headers: (Message) -> [Header] = { $0.headers },
        payload: (Message) -> [UInt8] = { $0.payload }
    ) throws {
        guard !messages.isEmpty else { return nil }
        let records = messages.map { message in
            message.withKeyBytes { key in
                payload(message).withUnsafeBytes { payload in
                    var record: [UInt8] = []
                    record.appendRecord(
                        key: key,
                        headers: headers(message),
                        payload: payload,
                        timestamp: message.timestamp
                    )
                    return record
                }
            }
        }
        try self.init(
            partition: batch.partition,
            generation: batch.generation,
            startOffset: start,
            count: messages.count,
            byteCount: records.reduce(0) { $0 + $1.count }
        ) { bytes, offsets in
            bytes.copyBytes(from: records.joined())
            for (index, message) in messages.enumerated() { offsets[index] = message.offset }
        }
    }
}
