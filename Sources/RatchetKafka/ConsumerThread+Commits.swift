#if Kafka
    internal import CRdkafka
    import Ratchet
    import Synchronization

    extension ConsumerThread {
        /// A commit that somebody waits for. One at a time is on its way: behind one that has to be tried again a later one
        /// would be taken back.
        struct PendingCommit {
            let commits: [OffsetCommit]
            let continuation: CheckedContinuation<Void, any Error>
            /// Until when a group that is rebalancing is asked again, in nanoseconds.
            let deadline: Int64
            /// When it is to be sent.
            var due: Int64
            /// Under which number its answer comes, once it was sent.
            var number: UInt?
        }

        private static let maximumMetadata = 4_096
        private static let retryDelay: Int64 = 100_000_000

        /// Commits, in the order of the calls; a group that is rebalancing takes no commits for a moment and is asked again:
        /// what is revoked must not be given away with less than was done.
        func commit(_ commits: [OffsetCommit], _ continuation: CheckedContinuation<Void, any Error>) {
            let now = now
            let deadline = now + configuration.rebalanceTimeout.nanoseconds
            self.commits.append(.init(commits: commits, continuation: continuation, deadline: deadline, due: now))
            sendCommit()
        }

        /// Sends the first one, if it is due and not on its way.
        func sendCommit() {
            while let first = commits.first, first.number == nil, first.due <= now {
                do {
                    try send(first.commits)
                    commits[0].number = nextCommit
                    nextCommit += 1
                } catch {
                    commits.removeFirst()
                    first.continuation.resume(throwing: error)
                }
            }
        }

        /// Their owner may have changed since they were last sent: librdkafka would commit them for the generation of now.
        private func send(_ commits: [OffsetCommit]) throws {
            try state.withLock { state throws(SourceError) in
                for commit in commits { try Self.check(commit, state) }
            }
            let list = PartitionList(
                commits.map { .init(partition: $0.partition, offset: $0.offset, metadata: $0.metadata) }
            )
            if let error = member.commit(list, number: nextCommit, answeringBy: memberQueue) { throw error }
        }

        private static func check(_ commit: OffsetCommit, _ state: SessionState) throws(SourceError) {
            guard !state.hasEnded else { throw SourceError(.closed, "the session has ended") }
            guard commit.metadata.utf8.count <= maximumMetadata, commit.offset >= 0 else {
                throw SourceError(
                    .invalidArgument,
                    "offset \(commit.offset) of \(commit.partition) with \(commit.metadata.utf8.count) bytes of metadata: from 0 on, with 4,096 at the most"
                )
            }
            do {
                _ = try state.index(of: commit.partition, generation: commit.generation)
            } catch {
                throw SourceError(.fenced, error.detail)
            }
        }

        func answer(_ commit: ConsumerListener.Committed) {
            guard let first = commits.first, first.number == commit.number else { return }
            if CommitAnswer.isRebalancing(commit), now < first.deadline {
                commits[0].number = nil
                commits[0].due = now + Self.retryDelay
                return
            }
            commits.removeFirst()
            do {
                try CommitAnswer.check(commit)
                for entry in commit.entries { metrics.committed(entry.partition, entry.offset) }
                first.continuation.resume()
            } catch {
                first.continuation.resume(throwing: error)
            }
            sendCommit()
        }

        /// One is to be tried again soon.
        var hasPostponed: Bool { commits.first.map { $0.number == nil } ?? false }

        /// No answer comes any more.
        func endCommits() {
            for commit in commits {
                commit.continuation.resume(
                    throwing: SourceError(.closed, "the session was closed before the answer came")
                )
            }
            commits = []
        }
    }
#endif
