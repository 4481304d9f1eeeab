#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    /// Streams, and whole pipelines over them.
    enum StreamBench {
        static func declare(_ stream: String) async throws -> RabbitMQAddress {
            let address = try await RabbitMQServer.running().address
            var topology = RabbitMQTopology()
            topology.add(RabbitMQQueue(stream, kind: .stream))
            try await topology.declare(at: address, configuration: .quick)
            return address
        }

        /// A stream of segments that some messages fill, of which so many bytes stay.
        static func declareSegmented(_ stream: String, keeping bytes: Int64?) async throws -> RabbitMQAddress {
            let address = try await RabbitMQServer.running().address
            try await Asking.connected(to: address, .quick) { wire in
                var arguments = RabbitMQQueue(stream, kind: .stream).arguments
                if let bytes { arguments.append("x-max-length-bytes", .number(bytes)) }
                arguments.append("x-stream-max-segment-size-bytes", .number(10_000))
                try wire.declareQueue(stream, isDurable: true, arguments)
            }
            return address
        }

        static func pipeline(
            _ stream: String,
            _ address: RabbitMQAddress,
            _ ledger: Ledger,
            _ seen: QueueBench.Seen,
            prefetch: Int = 50,
            inFlight: Int = 4_096,
            outOfRange: ResumePolicy.OutOfRange = .fail,
            handler: @escaping @Sendable (String) async -> Void = { _ in }
        ) throws -> Pipeline<Message> {
            var configuration = PipelineConfiguration()
            configuration.logger = .silent
            configuration.commitInterval = .milliseconds(50)
            configuration.partitionInFlight = inFlight
            configuration.resume.outOfRange = outOfRange
            return Pipeline(
                "billing",
                from: try RabbitMQStreamSubscription(
                    to: stream,
                    at: address,
                    as: "g",
                    prefetch: prefetch,
                    configuration: .quick
                ),
                ledger: ledger,
                decoding: .raw,
                identifiedBy: .messageID,
                configuration: configuration
            ) { message, context in
                context.onCommit { try $0.update(QueueBench.effects, message.text, default: 0) { $0 += 1 } }
                await handler(message.text)
                seen.note(message.text)
            }
        }

        static func produce(_ numbers: Range<Int>, _ stream: String, _ address: RabbitMQAddress)
            async throws
        {
            try await PlainProducer.send(numbers.map { .numbered($0, to: stream) }, at: address)
        }

        /// Runs a pipeline until its partition stands still, and says why.
        static func stopped(_ pipeline: Pipeline<Message>) async throws -> ResumeError {
            let isStopped = Latch()
            try await QueueBench.run(pipeline, until: isStopped) {
                while pipeline.stoppedPartitions.isEmpty {
                    _ = await Latch().wait(atMost: .milliseconds(20), clock: ContinuousClock())
                }
                isStopped.open()
            }
            return try #require(pipeline.stoppedPartitions.first?.value)
        }
    }
#endif
