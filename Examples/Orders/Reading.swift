import Ratchet

/// What a pipeline reads from, and what is there to be read.
struct Reading: Sendable {
    let source: any Source
    let contents: Contents

    enum Contents: Sendable {
        /// The offsets that each partition of a log holds now.
        case log(@Sendable () async throws -> [TopicPartition: Range<Int64>])
        /// What a queue holds now.
        case queue(@Sendable () async throws -> QueueBacklog)
    }

    /// How many messages there were, and how many of a queue's still wait; `settled` is what the ledger has settled.
    func count(settled: Int) async throws -> (published: Int, waiting: Int) {
        switch contents {
        case .log(let held): return (try await held().values.reduce(0) { $0 + $1.count }, 0)
        case .queue(let backlog):
            let waiting = try await backlog().waiting
            return (settled + waiting, waiting)
        }
    }
}

/// What waits in a queue, and who is there to take it.
struct QueueBacklog: Hashable, Sendable {
    let waiting: Int
    let consumers: Int
}

/// Whether a queue is empty for good, which no server says: what has been taken and not acked is counted nowhere. It is
/// believed when nothing waits and nothing happens, several times in a row. Where that is wrong, what was taken has gone
/// back to the queue once the run has ended, and is found there.
struct QueueEnding {
    private static let interval = Duration.milliseconds(200)
    private static let looks = 5
    private var before: PipelineStatistics?
    private var idle = 0

    /// Looks once more; without a backlog when the server did not answer.
    mutating func isOver(_ backlog: QueueBacklog?, _ now: PipelineStatistics) -> Bool {
        // A queue that has just been started again says that it is empty until it knows; it has no consumer then.
        let isIdle = backlog.map { $0.waiting == 0 && $0.consumers > 0 } ?? false
        idle = isIdle && now == before ? idle + 1 : 0
        before = now
        return idle >= Self.looks
    }

    /// Returns once it is. A server that does not answer is waited for, as the pipeline does.
    static func wait(
        for backlog: @Sendable () async throws -> QueueBacklog,
        _ pipeline: Pipeline<Purchase>
    ) async throws {
        var ending = QueueEnding()
        while !ending.isOver(try? await backlog(), pipeline.statistics) {
            try await ContinuousClock().sleep(for: interval)
        }
    }
}
