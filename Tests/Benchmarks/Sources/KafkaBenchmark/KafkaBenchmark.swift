import ArgumentParser
import Logging
import Ratchet
import RatchetBroker

#if Kafka
    import RatchetKafka
#endif

/// Measures one pipeline over a topic that is refilled while it is read: on the durable in-process broker, or on Kafka.
/// Raw payloads of 100 bytes, one balance updated per message, keys deduplicated, everything synced. The time runs from the
/// first settled messages on, so that joining a group is no part of it. Prints one line of JSON.
@main
struct KafkaBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "kafka-benchmark")

    enum System: String, ExpressibleByArgument { case broker, kafka }
    enum Handler: String, ExpressibleByArgument { case transactional, async }

    @Option(help: "broker, or kafka with --servers and --credits.") var system = System.broker
    @Option(help: "transactional or async; an async handler suspends once.") var handler = Handler.transactional
    @Option(help: "Messages in all.") var messages = 2_000_000
    @Option(help: "Partitions of the in-process topic.") var partitions = 8
    @Option(help: "How many messages are sent beyond those that were read, in process.") var ahead = 100_000
    @Option(help: "Different customers.") var customers: UInt64 = 23_570
    @Option(help: "Kafka's brokers.") var servers = ""
    @Option(help: "Where to write how many messages were read, a line each time.") var credits = ""
    @Option(help: "An existing folder; DIRECTORY/broker and DIRECTORY/ledger must not exist.") var directory: String

    func run() async throws {
        let ledger = try Ledger(at: "\(directory)/ledger")
        let balances = StateTable<UInt64, Int>("balances")
        let times: Times
        switch system {
        case .broker: times = try await onBroker(ledger, balances)
        case .kafka: times = try await onKafka(ledger, balances)
        }
        var total = 0
        try ledger.reader.forEach(in: balances) { _, count in total += count }
        guard total == messages else { throw ValidationError("\(total) in the balances, expected \(messages)") }
        await ledger.close()
        print(#"{"messages":\#(times.messages),"seconds":\#(times.seconds),"rate":\#(Int(times.rate))}"#)
    }

    private func onBroker(_ ledger: Ledger, _ balances: StateTable<UInt64, Int>) async throws -> Times {
        var settings = Broker.Configuration()
        settings.logger.logLevel = .error
        let broker = try await Broker(at: "\(directory)/broker", configuration: settings)
        try await broker.createTopic("orders", partitions: partitions)
        let feed = BrokerFeed(messages: messages, partitions: partitions, ahead: ahead, customers: customers)
        let pipeline = pipeline(from: broker.subscribe(to: "orders", as: "billing"), ledger, balances)
        let times = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await feed.run(broker) }
            let times = try await measure(pipeline) { feed.consumed($0) }
            try await group.waitForAll()
            return times
        }
        try await broker.close()
        return times
    }

    private func onKafka(_ ledger: Ledger, _ balances: StateTable<UInt64, Int>) async throws -> Times {
        #if Kafka
            var configuration = KafkaConfiguration(servers: [servers])
            configuration.logger.logLevel = .error
            // The mock cluster answers a fetch that finds nothing only when that time is over, whatever has come meanwhile;
            // Kafka answers when something has come.
            configuration.consumerSettings["fetch.wait.max.ms"] = "5"
            let credits = try Credits(path: credits)
            let source = try await Kafka(configuration).subscribe(to: "orders", as: "billing")
            return try await measure(pipeline(from: source, ledger, balances)) { try credits.tell($0) }
        #else
            throw ValidationError("built without Kafka: use --traits Kafka")
        #endif
    }

    /// Runs the pipeline until all is settled, and tells on the way how much that is.
    private func measure(_ pipeline: Pipeline<Message>, _ tell: (Int) throws -> Void) async throws -> Times {
        let clock = ContinuousClock()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pipeline.run() }
            var (start, before) = (clock.now, 0)
            while true {
                try await clock.sleep(for: .milliseconds(2))
                if let stopped = pipeline.stoppedPartitions.first { throw ValidationError("\(stopped.value)") }
                let settled = pipeline.statistics.processed
                if before == 0 { (start, before) = (clock.now, settled) }
                try tell(settled)
                if settled >= messages { break }
            }
            let seconds = Double((clock.now - start) / .microseconds(1)) / 1e6
            group.cancelAll()
            do { try await group.waitForAll() } catch is CancellationError {}
            return Times(messages: messages - before, seconds: seconds)
        }
    }

    private func pipeline(
        from source: any Source,
        _ ledger: Ledger,
        _ balances: StateTable<UInt64, Int>
    ) -> Pipeline<Message> {
        var settings = PipelineConfiguration()
        settings.logger.logLevel = .error
        switch handler {
        case .transactional:
            return Pipeline(
                "billing",
                from: source,
                ledger: ledger,
                decoding: .raw,
                identifiedBy: .custom { _, message in try id(of: message) },
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
                identifiedBy: .custom { _, message in try id(of: message) },
                configuration: settings
            ) { message, context in
                await Task.yield()
                let customer = customer(of: message)
                context.onCommit { try $0.update(balances, customer, default: 0) { $0 += 1 } }
            }
        }
    }
}

/// How long so many messages took.
struct Times {
    let messages: Int
    let seconds: Double
    var rate: Double { Double(messages) / seconds }
}

private func id(of message: Message) throws -> IdempotencyKey {
    try IdempotencyKey(message.withPayload { $0.withUnsafeBytes { Array($0[8..<24]) } })
}

private func customer(of message: Message) -> UInt64 {
    message.withPayload { $0.unsafeLoadUnaligned(as: UInt64.self) }
}
