import Logging
import Synchronization

@testable import Ratchet

/// A ledger in a folder of its own, and what handlers saw.
final class PipelineBench: Sendable {
    /// How a pipeline runs its handler.
    enum Kind: CaseIterable, Sendable {
        case inTasks
        case transactional
    }

    struct Run: Hashable, Sendable {
        var offset: Int64
        var attempt: Int
    }

    let scratch: ScratchFolder
    let ledger: Ledger
    private let seen = Mutex<[Run]>([])

    init(_ configuration: Ledger.Configuration = .quick, in scratch: ScratchFolder? = nil) throws {
        self.scratch = try scratch ?? ScratchFolder()
        var configuration = configuration
        configuration.logger = Self.silent
        ledger = try Ledger(at: self.scratch("ledger"), configuration: configuration)
    }

    /// The ledger of another bench, closed there and opened anew, as after a restart.
    static func reopening(_ other: PipelineBench) async throws -> PipelineBench {
        await other.ledger.close()
        return try PipelineBench(in: other.scratch)
    }

    /// Each run of a handler, in order.
    var runs: [Run] { seen.withLock { $0 } }

    static var silent: Logger { Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() } }

    /// Settings without waiting: retries at once, and commits only when something ends.
    static var configuration: PipelineConfiguration {
        var configuration = PipelineConfiguration()
        configuration.retries = RetryPolicy(attempts: 5, initialDelay: .zero, jitter: 0)
        configuration.commitInterval = .seconds(3600)
        configuration.drainTimeout = .seconds(600)
        configuration.logger = silent
        return configuration
    }

    /// A pipeline that counts each message in the table of ``ScriptedHandler`` after `body`, in a handler of either
    /// kind.
    func pipeline(
        _ source: ScriptedSource,
        _ kind: Kind = .inTasks,
        configuration: PipelineConfiguration = configuration,
        keys: KeySource<Message> = .messageID,
        sink: (any Sink)? = nil,
        body: @escaping @Sendable (Message, Int) throws -> Void = { _, _ in }
    ) -> Pipeline<Message> {
        switch kind {
        case .inTasks:
            asyncPipeline(source, configuration: configuration, keys: keys, sink: sink) { message, context in
                try body(message, context.attempt)
            }
        case .transactional:
            Pipeline(
                "tests",
                from: source,
                ledger: ledger,
                decoding: .raw,
                identifiedBy: keys,
                publishingTo: sink,
                configuration: configuration,
                transactional: { message, transaction in
                    self.note(message, transaction.attempt)
                    try body(message, transaction.attempt)
                    try transaction.update(ScriptedHandler.counts, "\(message.offset)", default: 0) { $0 += 1 }
                }
            )
        }
    }

    /// The same with a handler that may wait.
    func asyncPipeline(
        _ source: ScriptedSource,
        configuration: PipelineConfiguration = configuration,
        keys: KeySource<Message> = .messageID,
        sink: (any Sink)? = nil,
        body: @escaping @Sendable (Message, HandlerContext) async throws -> Void
    ) -> Pipeline<Message> {
        Pipeline(
            "tests",
            from: source,
            ledger: ledger,
            decoding: .raw,
            identifiedBy: keys,
            publishingTo: sink,
            configuration: configuration,
            handler: { message, context in
                self.note(message, context.attempt)
                try await body(message, context)
                context.onCommit { try $0.update(ScriptedHandler.counts, "\(message.offset)", default: 0) { $0 += 1 } }
            }
        )
    }

    private func note(_ message: Message, _ attempt: Int) {
        seen.withLock { $0.append(Run(offset: message.offset, attempt: attempt)) }
    }

    /// Runs a pipeline beside `body`, which plays the broker; then ends the session. Returns what the pipeline threw.
    func run<P>(
        _ pipeline: Pipeline<P>,
        _ source: ScriptedSource,
        _ body: () async throws -> Void
    ) async throws -> (any Error)? {
        async let ended: (any Error)? = Self.error(of: pipeline)
        try await body()
        source.say(.closed)
        return await ended
    }

    private static func error<P>(of pipeline: Pipeline<P>) async -> (any Error)? {
        do { try await pipeline.run() } catch { return error }
        return nil
    }

    /// How often the message at `offset` has had its effect.
    func count(_ offset: Int64) throws -> Int { try ledger.reader.get(ScriptedHandler.counts, "\(offset)") ?? 0 }

    /// Where the ledger stands.
    func watermark(_ partition: TopicPartition = .orders) async throws -> Int64? {
        try await ledger.position(SettlementDriver.key(partition.partition))?.watermark
    }
}
