import Ratchet
import RatchetBroker
import ServiceLifecycle

/// The service that gives the run its end: it publishes the input, waits until all of it is settled, and returns; the
/// group then shuts down the pipeline, which empties the outbox, and the broker. A shutdown from outside ends it early.
struct Job: Service {
    let publisher: Publisher
    let pipeline: Pipeline<Purchase>
    let progress: RunProgress

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown {
                try await publisher.run()
                let topic = try publisher.broker.describe(Billing.orders)
                let ends = topic.partitions.map { ($0.partition, $0.log.upperBound) }
                await pipeline.settled(through: Dictionary(uniqueKeysWithValues: ends))
                try Task.checkCancellation()
                progress.complete()
            }
        } catch is CancellationError {
            // What was sent is in the topic, and the summary says that it is not everything.
        }
    }
}
