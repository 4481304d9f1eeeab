import Ratchet
import ServiceLifecycle

/// The service that gives the run its end: it publishes the input, if there is one, waits until all that there is by then
/// is settled, and returns; the group then shuts down the pipeline, which empties the outbox, and the broker. A shutdown
/// from outside ends it early.
struct Job: Service {
    let publisher: Publisher?
    let reading: Reading
    let pipeline: Pipeline<Purchase>
    let progress: RunProgress

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown {
                try await publisher?.run()
                switch reading.contents {
                case .log(let held):
                    let held = try await held()
                    if publisher == nil { progress.published(held.values.reduce(0) { $0 + $1.count }) }
                    await pipeline.settled(through: held.mapValues(\.upperBound))
                case .queue(let backlog):
                    try await QueueEnding.wait(for: backlog, pipeline)
                    progress.published(pipeline.statistics.delivered)
                }
                try Task.checkCancellation()
                progress.complete()
            }
        } catch is CancellationError {
            // What was sent is in the topic, and the summary says that it is not everything.
        }
    }
}
