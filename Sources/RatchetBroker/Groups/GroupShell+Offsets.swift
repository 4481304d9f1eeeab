import LMDB
import Ratchet
import Synchronization

// The committed offsets of a group.
extension GroupShell {
    /// Stores positions and returns once they are durable. All or none.
    func commit(_ commits: [OffsetCommit], of member: GroupMember) async throws {
        guard !commits.isEmpty else { return }
        try await store(try prepare(commits)) { coordinator throws(SourceError) in
            try fence(commits, of: member, coordinator)
        }
    }

    /// What a commit of these positions writes. Throws ``SourceError``: an unknown topic, an invalid argument.
    func prepare(_ commits: [OffsetCommit]) throws(SourceError) -> OffsetWrites {
        var writes = OffsetWrites(group: name, offsets: [])
        for commit in commits { writes.offsets.append(try check(commit)) }
        return writes
    }

    /// Hands a piece that commits these positions, among other things, to the writer thread.
    func submit(_ piece: any WritePiece, committing commits: [OffsetCommit], of member: GroupMember) throws(SourceError)
    {
        try state.withLock { state throws(SourceError) in
            try fence(commits, of: member, state.coordinator)
            storage.submit(piece)
        }
    }

    private func fence(
        _ commits: [OffsetCommit],
        of member: GroupMember,
        _ coordinator: borrowing GroupCoordinator
    ) throws(SourceError) {
        #if BrokenVariants
            if BrokenVariant.commitUnfenced.isOn { return }
        #endif
        for commit in commits where !coordinator.owns(member.id, commit.partition, generation: commit.generation) {
            throw SourceError(
                .fenced,
                "member \(member.id) of group '\(name)' does not own \(commit.partition) "
                    + "under generation \(commit.generation)"
            )
        }
    }

    /// Stores positions as an operator wants them, with empty metadata, all or none. Refused while a member owns one of
    /// the partitions.
    func reset(_ offsets: [(partition: TopicPartition, offset: Int64)]) async throws {
        var writes = OffsetWrites(group: name, offsets: [])
        for (partition, offset) in offsets { writes.offsets.append(try checkReset(partition, to: offset)) }
        try await store(writes) { [name] coordinator throws(BrokerError) in
            for (partition, _) in offsets {
                guard let holder = coordinator.holder(of: partition) else { continue }
                throw BrokerError(
                    .groupIsActive,
                    "member \(holder) of group '\(name)' owns \(partition): stop the group's consumers first"
                )
            }
        }
    }

    private func checkReset(
        _ partition: TopicPartition,
        to offset: Int64
    ) throws(BrokerError) -> (Topic, Int, CommittedOffset) {
        guard let topic = catalog[partition.topic], let log = catalog.log(of: partition) else {
            throw BrokerError(.unknownTopic, "there is no \(partition)")
        }
        let range = try log.heldByLeader()
        guard range.contains(offset) || offset == range.upperBound else {
            let bounds = "\(range.lowerBound) to \(range.upperBound)"
            throw BrokerError(.invalidArgument, "offset \(offset) for group '\(name)' in \(partition): \(bounds)")
        }
        return (topic, partition.partition, CommittedOffset(offset: offset, metadata: ""))
    }

    private func check(_ commit: OffsetCommit) throws(SourceError) -> (Topic, Int, CommittedOffset) {
        guard let topic = catalog[commit.partition.topic], let log = catalog.log(of: commit.partition) else {
            throw SourceError(.unknownTopic, "there is no \(commit.partition)")
        }
        let end = log.held.upperBound
        guard 0...end ~= commit.offset else {
            throw SourceError(.invalidArgument, "offset \(commit.offset) for \(commit.partition): 0 to \(end)")
        }
        guard commit.metadata.utf8.count <= OffsetTable.maximumMetadata else {
            let size = commit.metadata.utf8.count
            throw SourceError(
                .invalidArgument,
                "\(size) bytes of metadata for \(commit.partition): at most \(OffsetTable.maximumMetadata)"
            )
        }
        return (topic, commit.partition.partition, CommittedOffset(offset: commit.offset, metadata: commit.metadata))
    }

    private func store<E: Error>(
        _ writes: OffsetWrites,
        unless refused: (borrowing GroupCoordinator) throws(E) -> Void
    ) async throws {
        let tables = storage.tables
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            // Beyond the quota too, as it replaces rows: a full broker can still be consumed from.
            let job = WriteJob(byteCount: 0, reclaims: true) { transaction in
                try writes.write(in: transaction, tables)
                #if CrashPoints
                    CrashPoint.brokerOffsetsWritten.reach()
                #endif
            } done: {
                #if CrashPoints
                    CrashPoint.brokerOffsetsCommitted.reach()
                #endif
                continuation.resume(with: $0)
            }
            do {
                try state.withLock { state throws(E) in
                    try refused(state.coordinator)
                    storage.submit(job)
                }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }
}
