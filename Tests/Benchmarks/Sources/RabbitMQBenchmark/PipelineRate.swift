#if RabbitMQ
    import ArgumentParser
    import Logging
    import Ratchet
    import RatchetRabbitMQ

    /// A pipeline: each message's id looked up and remembered, one balance updated, everything durable before it is acked.
    struct PipelineRate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "pipeline")

        @OptionGroup var queue: QueueOptions
        @OptionGroup var consumer: ConsumerOptions
        @Option(help: "An existing folder; DIRECTORY/ledger must not exist.") var directory: String

        func run() async throws {
            let ledger = try Ledger(at: "\(directory)/ledger")
            let balances = StateTable<UInt64, Int>("balances")
            let pipeline = try pipeline(ledger, balances)
            let seconds = try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await pipeline.run() }
                let seconds = try await time(pipeline)
                group.cancelAll()
                do { try await group.waitForAll() } catch is CancellationError {}
                return seconds
            }
            var total = 0
            try ledger.reader.forEach(in: balances) { _, count in total += count }
            let statistics = pipeline.statistics
            guard total >= consumer.messages, statistics.duplicates == 0 else {
                throw ValidationError("\(statistics), \(total) in the balances")
            }
            print("{\"rate\":\(Int(1 / seconds))}")
            await ledger.close()
        }

        /// Seconds for each message, from when as many are durable as may be in flight until all are: at both moments the acks
        /// of the last ones are on their way.
        private func time(_ pipeline: Pipeline<Message>) async throws -> Double {
            let clock = ContinuousClock()
            func settled(_ count: Int) async throws -> (count: Int, at: ContinuousClock.Instant) {
                while pipeline.statistics.processed < count { try await clock.sleep(for: .milliseconds(1)) }
                return (pipeline.statistics.processed, clock.now)
            }
            let (first, last) = (try await settled(consumer.prefetch), try await settled(consumer.messages))
            return (last.at - first.at) / .seconds(1) / Double(last.count - first.count)
        }

        private func pipeline(_ ledger: Ledger, _ balances: StateTable<UInt64, Int>) throws -> Pipeline<Message> {
            var connection = RabbitMQConfiguration()
            connection.logger.logLevel = .error
            var settings = PipelineConfiguration()
            settings.logger.logLevel = .error
            return Pipeline(
                "billing",
                from: try RabbitMQSubscription(
                    to: queue.queue,
                    at: RabbitMQAddress(queue.url),
                    as: "billing",
                    prefetch: consumer.prefetch,
                    configuration: connection
                ),
                ledger: ledger,
                decoding: .raw,
                identifiedBy: .messageID,
                configuration: settings,
                transactional: { message, transaction in
                    let customer = message.withPayload { $0.unsafeLoadUnaligned(as: UInt64.self) }
                    try transaction.update(balances, customer, default: 0) { $0 += 1 }
                }
            )
        }
    }
#endif
