import Ratchet
import RatchetBroker

/// Publishes the whole input, from its beginning: a producer that knows nothing of earlier runs, as after a crash.
struct Publisher: Sendable {
    private static let batchMessages = 1000
    private static let batchBytes = 1 << 20
    private static let batchesInFlight = 4

    let broker: Broker
    let input: Input
    let repeats: Repeats
    let progress: RunProgress

    /// Returns when everything is durable in the topic. Throws `CancellationError` when cancelled: what was sent by
    /// then is in the topic.
    func run() async throws {
        let feed = input.makeFeed()
        var repeats = repeats
        try await withThrowingTaskGroup(of: Void.self) { group in
            var batch = OutgoingBatch()
            var inFlight = 0
            func submit() async throws {
                if inFlight == Self.batchesInFlight { try await group.next() } else { inFlight += 1 }
                let (full, broker, progress) = (batch, broker, progress)
                batch = OutgoingBatch()
                // Immediate: it has its place in the log before this returns, so that batches keep the input's order
                // while several are on their way.
                group.addImmediateTask {
                    try await broker.send(full)
                    progress.published(full.count)
                }
            }
            func publish(_ line: Line) async throws {
                try batch.append(to: Billing.orders, key: line.key, payload: line.payload)
                if batch.count >= Self.batchMessages || batch.byteCount >= Self.batchBytes { try await submit() }
            }
            while let lines = try await feed.next() {
                try Task.checkCancellation()
                for line in lines {
                    try await publish(line)
                    if let again = repeats.next(after: line) { try await publish(again) }
                }
                progress.read(fraction: feed.fraction, oversized: feed.oversized)
            }
            while let again = repeats.nextAtEnd() { try await publish(again) }
            if !batch.isEmpty { try await submit() }
            try await group.waitForAll()
        }
    }
}
