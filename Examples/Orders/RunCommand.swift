import ArgumentParser
import Logging
import ServiceLifecycle
import Synchronization
import UnixSignals

/// `orders run`: the default.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Publish purchases, or take them from others' topic or queue, and process each of them exactly once."
    )

    @Option(help: "Read purchases from this file, one JSON object a line; - for standard input.")
    var input: String?

    @Option(help: "Make up so many purchases instead.")
    var generate: Int?

    @Option(
        help: """
            Process what a topic of Kafka or a queue of RabbitMQ holds instead: kafka://HOST:PORT/TOPIC, \
            amqp://HOST:PORT/VHOST/QUEUE.
            """
    )
    var source: String?

    @Flag(
        help: """
            What --source names at RabbitMQ is a stream, not a queue. Counted as published are its offsets, some of which \
            the server uses up itself.
            """
    )
    var stream = false

    @Option(help: "What the purchases are made up from, and which ones are repeated.")
    var seed: UInt64 = 1

    @Option(help: "Publish this share of the purchases, 0 to 1, a second time.")
    var duplicates = 0.0

    @Option(help: "Keep everything in this folder. Without it, in a temporary one that is removed at the end.")
    var state: String?

    @Flag(help: "Print one line of JSON at the end instead of the table.")
    var json = false

    @Flag(help: "Show what the broker, the ledger and the pipeline log.")
    var verbose = false

    func validate() throws {
        if input != nil, generate != nil { throw ValidationError("Choose one of --input and --generate.") }
        if source != nil, input != nil || generate != nil || duplicates != 0 {
            throw ValidationError("With --source nothing is published: leave out --input, --generate and --duplicates.")
        }
        if stream, source?.hasPrefix("amqp") != true {
            throw ValidationError("--stream belongs to --source amqp://HOST:PORT/VHOST/STREAM.")
        }
        if let source, foreign(source) == nil {
            throw ValidationError("--source must be kafka://HOST:PORT/TOPIC or amqp://HOST:PORT/VHOST/QUEUE.")
        }
        if let generate, generate < 0 { throw ValidationError("--generate must be 0 or more.") }
        guard 0...1 ~= duplicates else { throw ValidationError("--duplicates must be 0 to 1.") }
    }

    func run() async throws {
        let logger = makeLogger()
        try await Failure.reporting {
            // The input first: if it cannot be read, no folder is made.
            let origin = try origin()
            let folder = try StateFolder.forRun(state)
            let run = OrdersRun(
                origin: origin,
                state: folder,
                logger: logger
            )
            do {
                try report(try await Interruptible.run(logger) { try await run.run() }, folder)
            } catch {
                try folder.removeIfTemporary()
                throw error
            }
            try folder.removeIfTemporary()
        }
    }

    private func origin() throws -> Origin {
        if let origin = source.flatMap({ foreign($0) }) { return origin }
        let input = try input.map { try Input.open($0) } ?? .generated(count: generate ?? 100_000, seed: seed)
        return .input(input, Repeats(share: duplicates, seed: seed))
    }

    private func foreign(_ source: String) -> Origin? {
        KafkaTopic(source).map { .kafka($0) } ?? RabbitMQOrders(source, isStream: stream).map { .rabbitMQ($0) }
    }

    private func makeLogger() -> Logger {
        var logger = Logger(label: "orders") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = verbose ? .info : .critical
        return logger
    }

    private func report(_ summary: Summary, _ folder: StateFolder) throws {
        Terminal.output.write(json ? summary.json + "\n" : summary.table(folder))
        let oversized = summary.progress.oversized
        if oversized.count > 0 {
            throw Failure(
                .failed,
                """
                lines longer than \(Text.grouped(Billing.maximumLineSize)) bytes were not published: \
                \(Text.grouped(oversized.count)), the first is line \(Text.grouped(oversized.first))
                """
            )
        }
        guard summary.isComplete else {
            let remedy = folder.isTemporary ? "" : "; run it again with the same --state to finish"
            throw Failure(.failed, "interrupted before everything was processed" + remedy)
        }
    }
}

/// Work that SIGINT and SIGTERM ask to end early, and that then ends in good order.
enum Interruptible {
    static func run<R: Sendable>(_ logger: Logger, _ body: @escaping @Sendable () async throws -> R) async throws -> R {
        let work = Work(body: body)
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: work, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigint, .sigterm],
                logger: logger
            )
        )
        try await group.run()
        guard let result = work.result.withLock({ $0 }) else { throw CancellationError() }
        return result
    }

    private final class Work<R: Sendable>: Service {
        let body: @Sendable () async throws -> R
        let result = Mutex<R?>(nil)

        init(body: @escaping @Sendable () async throws -> R) { self.body = body }

        func run() async throws {
            let value = try await body()
            result.withLock { $0 = value }
        }
    }
}
