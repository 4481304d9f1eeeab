import Logging
import Ratchet
import RatchetBroker
import ServiceLifecycle

/// One run: opens the state, publishes the input if there is one, processes the purchases, counts what came of it.
struct OrdersRun: Sendable {
    let origin: Origin
    let state: StateFolder
    let logger: Logger

    /// Runs until everything is settled or a graceful shutdown asks for an end; consistent either way.
    func run() async throws -> Summary {
        let start = ContinuousClock.now
        let (broker, ledger) = try await open()
        do {
            var summary = try await process(broker, ledger, since: start)
            try await broker.close()
            await ledger.close()
            summary.seconds = start.duration(to: .now).seconds
            return summary
        } catch {
            // The first error is the one to tell.
            try? await broker.close()
            await ledger.close()
            throw error
        }
    }

    private func open() async throws -> (Broker, Ledger) {
        do {
            let broker = try await Broker(at: state.broker, configuration: Billing.brokerConfiguration(logger))
            do {
                return (broker, try Ledger(at: state.ledger, configuration: Billing.ledgerConfiguration(logger)))
            } catch {
                try await broker.close()
                throw error
            }
        } catch {
            throw Failure(.unusable, Self.explain(error, state.path))
        }
    }

    private static func explain(_ error: any Error, _ path: String) -> String {
        let isInUse = (error as? BrokerError)?.code == .inUse || (error as? LedgerError)?.code == .inUse
        return isInUse ? "the state folder \(path) is in use by another process" : "the state folder \(path): \(error)"
    }

    private func process(_ broker: Broker, _ ledger: Ledger, since start: ContinuousClock.Instant) async throws
        -> Summary
    {
        try await Billing.createTopics(in: broker)
        let before = try ledger.totals()
        let progress = RunProgress()
        let reading = try await reading(broker)
        let pipeline = Billing.pipeline(from: reading.source, broker: broker, ledger: ledger, logger: logger)
        let publisher = publisher(broker, progress)
        let job = Job(publisher: publisher, reading: reading, pipeline: pipeline, progress: progress)
        // They are shut down from the last to the first: nothing more is published, then the pipeline settles what it
        // has.
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(service: broker),
                    .init(service: pipeline),
                    .init(service: ProgressLine(progress: progress, pipeline: pipeline)),
                    .init(service: job, successTerminationBehavior: .gracefullyShutdownGroup),
                ],
                logger: logger
            )
        )
        try await group.run()
        let count = try await reading.count(settled: try ledger.totals().settled)
        return try await Summary(
            broker,
            ledger,
            published: count.published,
            waiting: count.waiting,
            before: before,
            progress: progress.current
        )
    }

    private func reading(_ broker: Broker) async throws -> Reading {
        switch origin {
        case .input:
            Reading(
                source: broker.subscribe(to: Billing.orders, as: Billing.group),
                contents: .log {
                    let partitions = try broker.describe(Billing.orders).partitions
                    return Dictionary(uniqueKeysWithValues: partitions.map { ($0.partition, $0.log) })
                }
            )
        case .kafka(let topic): try await topic.reading(logger)
        case .rabbitMQ(let queue): try await queue.reading(logger)
        }
    }

    private func publisher(_ broker: Broker, _ progress: RunProgress) -> Publisher? {
        guard case .input(let input, let repeats) = origin else { return nil }
        return Publisher(broker: broker, input: input, repeats: repeats, progress: progress)
    }
}
