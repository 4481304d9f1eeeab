import ArgumentParser

#if RabbitMQ
    import CPlainRabbitMQ

    /// What a pipeline over RabbitMQ does in a second, and the C library alone. A queue is filled by one process of this
    /// program while another consumes from it.
    @main
    struct RabbitMQBenchmark: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rabbitmq-benchmark",
            subcommands: [Fill.self, Plain.self, PipelineRate.self]
        )
    }

    struct QueueOptions: ParsableArguments {
        @Option(help: "amqp://user:password@host:port/vhost") var url: String
        @Option(help: "The queue.") var queue: String
    }

    struct ConsumerOptions: ParsableArguments {
        @Option(help: "How many messages are consumed.") var messages: Int
        @Option(help: "How many may be in flight.") var prefetch = 1_000
    }

    /// Makes the queue and keeps it filled until standard input ends; prints how few messages have waited.
    struct Fill: AsyncParsableCommand {
        @OptionGroup var queue: QueueOptions
        @Option(help: "quorum or classic") var kind: String
        @Option(help: "How many messages wait.") var level: Int

        func run() async throws {
            guard plain_declare(queue.url, queue.queue, kind) == 0 else { throw ExitCode(1) }
            let least = plain_fill(queue.url, queue.queue, level, 0)
            guard least >= 0 else { throw ExitCode(1) }
            print(least)
        }
    }

    /// The C library alone: no ledger, the same prefetch, one ack for a quarter of it.
    struct Plain: AsyncParsableCommand {
        @OptionGroup var queue: QueueOptions
        @OptionGroup var consumer: ConsumerOptions

        func run() async throws {
            let (messages, prefetch) = (consumer.messages, consumer.prefetch)
            let seconds = plain_consume(queue.url, queue.queue, CInt(prefetch), CInt(max(1, prefetch / 4)), messages)
            guard seconds >= 0 else { throw ExitCode(1) }
            print("{\"rate\":\(Int(Double(messages) / seconds))}")
        }
    }
#else
    /// Built without the trait RabbitMQ there is nothing to measure.
    @main
    struct RabbitMQBenchmark: ParsableCommand {
        func run() throws { throw ValidationError("built without the trait RabbitMQ") }
    }
#endif
