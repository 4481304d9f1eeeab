import Logging

#if BrokenVariants
    import LMDB
#endif

/// Sends the outbox to a sink: in order per key, again until confirmed, always under the same ids.
///
/// An entry is deleted once all of its messages are confirmed. After a crash in between they are sent again: a receiver
/// tells them by their `message-id`.
package struct OutboxRelay: Sendable {
    package struct Settings: Sendable {
        /// The most messages in one send.
        package var batch: Int
        /// The most bytes in one send, and so in memory; a single message may have more.
        package var bytes: Int
        /// The most messages that wait for the sink before no more are read.
        package var backlog: Int
        package var retries: RetryPolicy
    }

    private let outbox: Outbox
    private let sink: any Sink
    private let settings: Settings
    private let clock: any Clock<Duration>
    private let time: TimeSource
    private let random: @Sendable () -> UInt64
    private let logger: Logger
    private let sent: @Sendable (Int) -> Void

    init(
        outbox: Outbox,
        sink: any Sink,
        settings: Settings,
        clock: any Clock<Duration>,
        time: TimeSource,
        random: @escaping @Sendable () -> UInt64,
        logger: Logger,
        sent: @escaping @Sendable (Int) -> Void
    ) {
        self.outbox = outbox
        self.sink = sink
        self.settings = settings
        self.clock = clock
        self.time = time
        self.random = random
        self.logger = logger
        self.sent = sent
    }

    /// Runs until the task is cancelled; a message that is being sent then is sent again by whoever comes next. Throws
    /// when the outbox cannot be read or written, and the sink's own error once it will take nothing more.
    package func run() async throws {
        guard await outbox.becomeRelay() else { return }
        defer { outbox.endRelay() }
        var window = OutboxWindow(
            limits: .init(messages: settings.batch, bytes: settings.bytes, known: settings.backlog)
        )
        defer { outbox.willRepeat(window.repeatable) }
        while !Task.isCancelled {
            let read = window.hasRoom ? try outbox.scan(from: window.next, messages: settings.batch) : []
            window.take(read)
            let chosen = window.sendable(at: time.monotonic())
            if !chosen.isEmpty {
                // A sink may answer without a suspension: with much to send again this would keep its thread for good.
                await Task.yield()
                try await send(chosen, &window)
            } else if read.isEmpty {
                await wait(until: window.nextDue)
            }
        }
    }

    private func send(_ chosen: [OutboxItem], _ window: inout OutboxWindow) async throws {
        let batch = try outbox.read(chosen)
        let failures = try await failures(of: batch)
        if !failures.isEmpty, let failure = sink.failure { throw failure }
        let failed = Set(failures.map(\.index))
        if let failure = failures.first { report(failure, of: failed.count, in: batch) }
        let done = window.sent(chosen, failed: failed) { failures in
            let random = Double(random() >> 11) / Double(1 << 53)
            return time.monotonic() + settings.retries.delay(afterAttempt: failures, random: random).nanoseconds
        }
        if !window.holdsLanes { outbox.note(nil) }
        outbox.confirmed(chosen.count - failed.count)
        sent(chosen.count - failed.count)
        if !done.isEmpty { try await outbox.delete(done) }
    }

    private func failures(of batch: OutgoingBatch) async throws -> [SinkFailure] {
        do {
            let failures = try await sink.send(batch)
            guard failures.allSatisfy({ batch.entries.indices.contains($0.index) }) else { throw UnknownFailure() }
            return failures
        } catch {
            #if BrokenVariants
                if BrokenVariant.outboxForgetful.isOn { return [] }
            #endif
            try Task.checkCancellation()
            // Nothing is known about any of them.
            return (0..<batch.count).map { SinkFailure(index: $0, error: error) }
        }
    }

    private func report(_ failure: SinkFailure, of count: Int, in batch: OutgoingBatch) {
        let topic = batch.topics[Int(batch.entries[failure.index].topic)]
        outbox.note(Outbox.Refusal(topic: topic, error: failure.error))
        logger.warning(
            "outbox: not confirmed, sent again later",
            metadata: [LogKeys.topic: "\(topic)", LogKeys.count: "\(count)", LogKeys.error: "\(failure.error)"]
        )
    }

    private func wait(until due: Int64?) async {
        guard let due else { return await outbox.news.wait() }
        await outbox.news.wait(atMost: .nanoseconds(max(0, due - time.monotonic())), clock: clock)
    }
}

/// A sink names a failure that is none of its batch.
private struct UnknownFailure: Error, CustomStringConvertible {
    var description: String { "the sink names a failed message that it was not given: this is a fault of the sink" }
}
