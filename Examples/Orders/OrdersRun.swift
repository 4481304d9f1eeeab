import Logging
import Ratchet
import RatchetBroker
import ServiceLifecycle

/// One run: opens the state, publishes and processes the input, counts what came of it.
struct OrdersRun: Sendable {
    let input: Input
    let repeats: Repeats
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
        let pipeline = Billing.pipeline(broker: broker, ledger: ledger, logger: logger)
        let publisher = Publisher(broker: broker, input: input, repeats: repeats, progress: progress)
        let job = Job(publisher: publisher, pipeline: pipeline, progress: progress)
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
        return try await Summary(broker: broker, ledger: ledger, before: before, progress: progress.current)
    }
}
