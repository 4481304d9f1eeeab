#if RabbitMQ
    import Logging
    import Ratchet
    import RatchetRabbitMQ
    import ServiceLifecycle
    import Synchronization

    /// Whole pipelines over real queues, and what they came to.
    enum QueueBench {
        static let effects = StateTable<String, Int>("effects")

        /// What handlers have seen: opens its latch with the last of them.
        final class Seen: Sendable {
            let first = Latch()
            let all = Latch()
            private struct State {
                var texts: Set<String> = []
                var waiting: [(count: Int, latch: Latch)]

                mutating func takeReached() -> [Latch] {
                    let count = texts.count
                    defer { waiting.removeAll { $0.count <= count } }
                    return waiting.filter { $0.count <= count }.map(\.latch)
                }
            }

            private let state: Mutex<State>

            init(_ wanted: Int) { state = Mutex(State(waiting: [(1, first), (wanted, all)])) }

            func note(_ text: String) {
                change { $0.texts.insert(text) }
            }

            /// Waits until so many have been seen.
            func reach(_ count: Int) async {
                let latch = Latch()
                change { $0.waiting.append((count, latch)) }
                await latch.wait()
            }

            private func change(_ body: (inout State) -> Void) {
                let reached = state.withLock { state in
                    body(&state)
                    return state.takeReached()
                }
                for latch in reached { latch.open() }
            }
        }

        static func ledger(_ queue: String, in folder: String) throws -> Ledger {
            var configuration = Ledger.Configuration()
            configuration.isDurable = false
            (configuration.mapSize, configuration.quota) = (1 << 30, 1 << 30)
            configuration.logger = .silent
            return try Ledger(at: "\(folder)/\(queue).ledger", configuration: configuration)
        }

        static func pipeline(
            _ queue: String,
            _ address: RabbitMQAddress,
            _ ledger: Ledger,
            publishingTo sink: RabbitMQSink? = nil,
            connection: RabbitMQConfiguration = .quick,
            handler: @escaping @Sendable (String) async -> Void
        ) throws -> Pipeline<Message> {
            var configuration = PipelineConfiguration()
            configuration.logger = .silent
            configuration.outboxRetries = RetryPolicy(
                initialDelay: .milliseconds(10),
                maximumDelay: .milliseconds(200)
            )
            let source = try RabbitMQSubscription(
                to: queue,
                at: address,
                as: "g",
                prefetch: 50,
                configuration: connection
            )
            return Pipeline(
                "billing",
                from: source,
                ledger: ledger,
                decoding: .raw,
                identifiedBy: .messageID,
                publishingTo: sink,
                configuration: configuration
            ) { message, context in
                context.onCommit { try $0.update(effects, message.text, default: 0) { $0 += 1 } }
                if sink != nil {
                    let receipt = OutgoingMessage(
                        to: "\(queue).receipts",
                        key: message.key,
                        payload: message.payload
                    )
                    try context.publish(receipt)
                }
                await handler(message.text)
            }
        }

        static func run(
            _ pipeline: Pipeline<Message>,
            until latch: Latch,
            _ meanwhile: @escaping @Sendable () async throws -> Void
        ) async throws {
            let services = ServiceGroup(services: [pipeline], logger: .silent)
            try await withThrowingTaskGroup { group in
                group.addTask {
                    // Ended before its time it opens nothing else.
                    defer { latch.open() }
                    try await services.run()
                }
                try await meanwhile()
                await latch.wait()
                await services.triggerGracefulShutdown()
                try await group.waitForAll()
            }
        }

        static func counts(_ ledger: Ledger) throws -> [String: Int] {
            var counts: [String: Int] = [:]
            try ledger.reader.forEach(in: effects) { counts[$0] = $1 }
            return counts
        }

        /// Sends until all is confirmed, however often the server dies meanwhile.
        static func sendAll(_ messages: [OutgoingMessage], _ sink: RabbitMQSink) async throws {
            var left = messages
            while !left.isEmpty {
                let failures = try await sink.send(OutgoingBatch(left.prefix(100)))
                left = failures.map { left[$0.index] } + left.dropFirst(100)
            }
        }

        static func once(_ numbers: Range<Int>) -> [String: Int] {
            Dictionary(uniqueKeysWithValues: numbers.map { ("\($0)", 1) })
        }
    }
#endif
