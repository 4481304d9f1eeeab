#if CrashPoints
    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #elseif canImport(Darwin)
        import Darwin
    #endif
    import Synchronization

    /// Places where a process can be made to die, for tests of what the next one finds. All of them are listed here.
    ///
    /// They are there only in builds with the package trait `CrashPoints`. `RATCHET_CRASH_AT=name:n` in the
    /// environment kills the process, as by `kill -9`, when the place is reached for the n-th time, n from 1 on.
    /// `RATCHET_CRASH_LOG=path` appends the name of each place that is reached to a file.
    package enum CrashPoint: String, CaseIterable, Sendable {
        /// A new environment is whole and synced, under its temporary name.
        case creationFilled = "creation.filled"
        /// A new environment has its name; that name is not synced.
        case creationNamed = "creation.named"
        /// A group's pieces have all written; nothing is committed.
        case groupWritten = "group.written"
        /// A group is committed and synced; nobody has been told.
        case groupCommitted = "group.committed"
        /// One more piece of a committed group has been told; the others have not.
        case groupTold = "group.told"
        /// A settlement has written effects, keys, positions and outbox; nothing is committed.
        case ledgerWritten = "ledger.written"
        /// A settlement is committed; its pipeline does not know.
        case ledgerCommitted = "ledger.committed"
        /// The ledger holds positions that the source is about to be told.
        case pipelineCommitting = "pipeline.committing"
        /// The source has confirmed the positions.
        case pipelineCommitted = "pipeline.committed"
        /// The sink has confirmed messages that are still in the outbox.
        case outboxSent = "outbox.sent"
        /// Confirmed messages are deleted from the outbox; nobody has been told.
        case outboxDeleted = "outbox.deleted"
        /// Records are written to the broker's log; nothing is committed.
        case brokerWritten = "broker.written"
        /// Records are committed; neither their readers nor their senders know.
        case brokerCommitted = "broker.committed"
        /// Records can be read; their senders do not know that they are safe.
        case brokerPublished = "broker.published"
        /// A group's offsets are written; nothing is committed.
        case brokerOffsetsWritten = "broker.offsets.written"
        /// A group's offsets are committed; who committed them does not know.
        case brokerOffsetsCommitted = "broker.offsets.committed"
        /// What the consumers of a queue have answered is written; nothing is committed.
        case queueAnswersWritten = "queue.answers.written"
        /// Answers are committed; the consumers do not know.
        case queueAnswersCommitted = "queue.answers.committed"
        /// Messages of a queue are moved to the dead-letter topic; nothing is committed.
        case queueDeadWritten = "queue.dead.written"
        /// Dead letters are committed; nobody knows.
        case queueDeadCommitted = "queue.dead.committed"
        /// What several nodes are to append is written as decided; nothing is committed.
        case redoWritten = "redo.written"
        /// A decision is committed; no partition has heard of it.
        case redoDecided = "redo.decided"
        /// A partition has what was decided; it still counts as to be done.
        case redoAppended = "redo.appended"
        /// What all partitions have counts as done; nothing of that is committed.
        case redoRemoved = "redo.removed"
        /// A compaction has put chunks in the place of others; nothing is committed.
        case compactionWritten = "compaction.written"
        /// Compacted chunks are committed; the log does not know.
        case compactionCommitted = "compaction.committed"
        /// Records are committed on the node that leads; no other has them.
        case leaderCommitted = "leader.committed"
        /// A follower has copied, or cut off, what it was told to; nothing is committed.
        case followerWritten = "follower.written"
        /// A follower's log is committed; its leader does not know.
        case followerCommitted = "follower.committed"
        /// Who leads, and who is in sync, is written; nothing is committed.
        case leadershipWritten = "leadership.written"
        /// A decision about leadership is committed; no node has been told.
        case leadershipCommitted = "leadership.committed"

        private static let log =
            getenv("RATCHET_CRASH_LOG").map { open($0, O_WRONLY | O_CREAT | O_APPEND, 0o600) } ?? -1
        private static let chosen = Choice(getenv("RATCHET_CRASH_AT").map { String(cString: $0) })

        /// Passes the place, or dies there.
        package func reach() {
            if Self.log >= 0 { (rawValue + "\n").withCString { _ = write(Self.log, $0, strlen($0)) } }
            guard let chosen = Self.chosen, chosen.point == self else { return }
            let visit = chosen.visits.wrappingAdd(1, ordering: .relaxed).newValue
            if visit == chosen.visit { kill(getpid(), SIGKILL) }
        }

        private final class Choice: Sendable {
            let point: CrashPoint
            let visit: Int
            let visits = Atomic(0)

            /// Nil without a text. One that names no place would make a test that tests nothing: the process traps.
            init?(_ text: String?) {
                guard let text else { return nil }
                let parts = text.split(separator: ":").map(String.init)
                guard parts.count == 2, let point = CrashPoint(rawValue: parts[0]), let visit = Int(parts[1]), visit > 0
                else {
                    let names = CrashPoint.allCases.map(\.rawValue).joined(separator: ", ")
                    fatalError("RATCHET_CRASH_AT is '\(text)': it is name:n with n from 1 on and one of \(names)")
                }
                self.point = point
                self.visit = visit
            }
        }
    }
#endif
