import ArgumentParser
import CAllocations
import CBaseline
import Logging
import Ratchet
import RatchetBroker

/// Measures the pipeline end to end on the durable in-process broker: raw payloads of 100 bytes, one balance updated
/// per message, keys deduplicated, everything synced. Prints one line of JSON.
@main
struct PipelineBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "pipeline-benchmark")

    enum Handler: String, ExpressibleByArgument, CaseIterable { case transactional, async }

    @Option(help: "Messages, 1000 or more.") var messages = 1_000_000
    @Option(help: "transactional or async; an async handler suspends once.") var handler = Handler.transactional
    @Option(help: "The share that is sent again, 0 to 1.") var duplicates = 0.0
    @Option(help: "Different customers.") var customers = 23_570
    @Flag(help: "Publish while consuming, and measure both.") var publish = false
    @Flag(help: "Without idempotency keys: by position only.") var positionOnly = false
    @Option(help: "Microseconds added to each flush.") var delay: UInt32 = 0
    @Option(help: "An existing folder; DIRECTORY/broker and DIRECTORY/ledger must not exist.") var directory: String

    func run() async throws {
        let flushTime = baseline_flush_time(directory)
        baseline_delay_flushes(delay)
        var settings = Broker.Configuration()
        settings.logger.logLevel = .error
        let broker = try await Broker(at: "\(directory)/broker", configuration: settings)
        let ledger = try Ledger(at: "\(directory)/ledger")
        try await broker.createTopic("orders", partitions: 4)
        let publisher = Publisher(messages: messages, customers: customers, duplicates: duplicates)
        if !publish { try await publisher.run(broker) }
        let balances = StateTable<UInt64, Int>("balances")
        let pipeline = pipeline(broker, ledger, balances)

        let clock = ContinuousClock()
        let (start, allocations, flushes) = (clock.now, allocations_count(), baseline_flushes())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pipeline.run() }
            if publish { try await publisher.run(broker) }
            await pipeline.settled(through: try broker.logEnds(of: "orders"))
            group.cancelAll()
            do { try await group.waitForAll() } catch is CancellationError {}
        }
        let seconds = Double((clock.now - start) / .microseconds(1)) / 1e6
        let allocated = Double(allocations_count() - allocations)
        let flushed = baseline_flushes() - flushes

        var total = 0
        try ledger.reader.forEach(in: balances) { _, count in total += count }
        let statistics = pipeline.statistics
        guard statistics.processed == messages, total == messages else {
            throw ValidationError("\(statistics.processed) processed, \(total) in the balances, expected \(messages)")
        }
        let all = statistics.processed + statistics.duplicates
        print(
            """
            {"messages":\(all),"duplicates":\(statistics.duplicates),"seconds":\(seconds),"rate":\(Int(Double(all) / seconds)),\
            "allocationsPerMessage":\(allocated / Double(all)),"flushes":\(flushed),"flushMicroseconds":\(Int(flushTime)),\
            "anonymousBytes":\(Memory.anonymousBytes),"indexBytes":\(ledger.indexByteCount)}
            """
        )
        await ledger.close()
        try await broker.close()
    }

    private func pipeline(_ broker: Broker, _ ledger: Ledger, _ balances: StateTable<UInt64, Int>) -> Pipeline<Message>
    {
        let source = broker.subscribe(to: "orders", as: "billing")
        let keys: KeySource<Message> = positionOnly ? .positionOnly : .messageID
        var settings = PipelineConfiguration()
        settings.logger.logLevel = .error
        switch handler {
        case .transactional:
            return Pipeline(
                "billing",
                from: source,
                ledger: ledger,
                decoding: .raw,
                identifiedBy: keys,
                configuration: settings,
                transactional: { message, transaction in
                    try transaction.update(balances, customer(of: message), default: 0) { $0 += 1 }
                }
            )
        case .async:
            return Pipeline(
                "billing",
                from: source,
                ledger: ledger,
                decoding: .raw,
                identifiedBy: keys,
                configuration: settings
            ) { message, context in
                await Task.yield()
                let customer = customer(of: message)
                context.onCommit { try $0.update(balances, customer, default: 0) { $0 += 1 } }
            }
        }
    }
}

private func customer(of message: Message) -> UInt64 {
    message.withPayload { $0.unsafeLoadUnaligned(as: UInt64.self) }
}
