#if Kafka
    internal import CRdkafka
    import Ratchet
    import Synchronization

    extension ConsumerThread {
        /// A commit that somebody waits for.
        struct PendingCommit {
            let commits: [OffsetCommit]
            let continuation: CheckedContinuation<Void, any Error>
            /// Until when a group that is rebalancing is asked again, in nanoseconds.
            let deadline: Int64
            /// Under which number the answer comes, or, of one that has to be tried again, when.
            var state: State

            enum State {
                case asked(UInt)
                case postponed(until: Int64)
            }
        }

        private static let maximumMetadata = 4_096
        private static let retryDelay: Int64 = 100_000_000

        /// Commits; a group that is rebalancing takes no commits for a moment and is asked again: what is revoked must not
        /// be given away with less than was done.
        func commit(_ commits: [OffsetCommit], _ continuation: CheckedContinuation<Void, any Error>) {
            let deadline = now + configuration.rebalanceTimeout.nanoseconds
            send(.init(commits: commits, continuation: continuation, deadline: deadline, state: .asked(0)))
        }

        /// Whose owner may have changed since it was last asked: librdkafka would commit it for the generation of now.
        private func send(_ pending: PendingCommit) {
            var pending = pending
            do {
                try state.withLock { state throws(SourceError) in
                    for commit in pending.commits { try Self.check(commit, state) }
                }
                let list = PartitionList(
                    pending.commits.map { .init(partition: $0.partition, offset: $0.offset, metadata: $0.metadata) }
                )
                pending.state = .asked(nextCommit)
                if let error = member.commit(list, number: nextCommit, answeringBy: memberQueue) { throw error }
                nextCommit += 1
                commits.append(pending)
            } catch {
                pending.continuation.resume(throwing: error)
            }
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
            let index = commits.firstIndex { if case .asked(commit.number) = $0.state { true } else { false } }
            guard let index else { return }
            if CommitAnswer.isRebalancing(commit), now < commits[index].deadline {
                commits[index].state = .postponed(until: now + Self.retryDelay)
                return
            }
            let continuation = commits.remove(at: index).continuation
            do {
                try CommitAnswer.check(commit)
                for entry in commit.entries { metrics.committed(entry.partition, entry.offset) }
                continuation.resume()
            } catch {
                continuation.resume(throwing: error)
            }
        }

        /// Some commits are to be tried again soon.
        var hasPostponed: Bool {
            commits.contains { if case .postponed = $0.state { true } else { false } }
        }

        /// Tries again what is due.
        func retryCommits() {
            guard hasPostponed else { return }
            let now = now
            func isDue(_ pending: PendingCommit) -> Bool {
                if case .postponed(let due) = pending.state { due <= now } else { false }
            }
            let due = commits.filter(isDue)
            commits.removeAll(where: isDue)
            for pending in due { send(pending) }
        }

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
