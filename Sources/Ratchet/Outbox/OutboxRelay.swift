import Logging

/// Sends the outbox to a sink: in order per key, again until confirmed, always under the same ids.
///
/// An entry is deleted once all of its messages are confirmed. After a crash in between they are sent again: a receiver
/// tells them by their `message-id`.
package struct OutboxRelay: Sendable {
    package struct Settings: Sendable {
        /// The most messages in one send.
        package var batch: Int
        /// The most messages in memory.
        package var window: Int
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
    /// when the outbox cannot be read or written.
    package func run() async throws {
        guard await outbox.becomeRelay() else { return }
        defer { outbox.endRelay() }
        var window = OutboxWindow(limit: settings.window)
        while !Task.isCancelled {
            if window.hasRoom {
                var read = OutgoingBatch()
                let entries = try outbox.read(from: window.next, into: &read, messages: settings.batch)
                window.take(entries, from: read)
            }
            let (chosen, due) = window.sendable(at: time.monotonic(), limit: settings.batch)
            if chosen.isEmpty {
                await wait(until: due)
            } else {
                try await send(chosen, &window)
            }
        }
    }

    private func send(_ chosen: [Int], _ window: inout OutboxWindow) async throws {
        var batch = OutgoingBatch()
        for number in chosen { batch.append(entry: window.items[number].index, of: window.batch) }
        let failures = try await failures(of: batch)
        if let failure = failures.first {
            logger.warning(
                "outbox: not confirmed, sent again later",
                metadata: ["messages": "\(failures.count)", "error": "\(failure.error)"]
            )
        }
        let done = window.sent(chosen, failed: Set(failures.map(\.index))) { attempts in
            let random = Double(random() >> 11) / Double(1 << 53)
            return time.monotonic() + settings.retries.delay(afterAttempt: attempts, random: random).nanoseconds
        }
        outbox.confirmed(chosen.count - failures.count)
        sent(chosen.count - failures.count)
        if !done.isEmpty { try await outbox.delete(done) }
    }

    private func failures(of batch: OutgoingBatch) async throws -> [SinkFailure] {
        do {
            return try await sink.send(batch)
        } catch {
            try Task.checkCancellation()
            // Nothing is known about any of them.
            return (0..<batch.count).map { SinkFailure(index: $0, error: error) }
        }
    }

    private func wait(until due: Int64?) async {
        guard let due else { return await outbox.news.wait() }
        await outbox.news.wait(atMost: .nanoseconds(max(0, due - time.monotonic())), clock: clock)
    }
}
