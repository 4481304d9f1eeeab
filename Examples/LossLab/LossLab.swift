import ArgumentParser
import UnixSignals

/// The example's command line: `loss-lab`.
@main
struct LossLab: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loss-lab",
        abstract: "Loses messages in every way in which a producer, a broker and a consumer can, and then does not.",
        discussion: """
            Each experiment runs twice: without its cure, and with it. What crashes is a process of its own that kills \
            itself at the worst moment; what had an effect is counted in a file that another process wrote.

            A message is lost when its sender believes that it was sent (the send returned normally, or nobody asked what \
            became of it) and it had no effect. The outcome of a send that timed out is unknown: a column of its own.

            Experiments: \(Experiment.all.map(\.name).joined(separator: ", ")). With --broker some of these are made with a \
            real RabbitMQ, and some that only it can show.
            """,
        subcommands: [Collect.self, Act.self]
    )

    @Flag(help: "Print the results as one line of JSON instead of the table.")
    var json = false

    @Option(help: "Run this experiment only; may be given several times.")
    var only: [String] = []

    @Option(help: "How many messages each experiment sends, 100 to 10,000.")
    var messages = 1_000

    @OptionGroup var server: BrokerServer

    func validate() throws {
        guard 100...10_000 ~= messages else {
            throw ValidationError("--messages is 100 to 10,000, not \(messages).")
        }
        let all = server.experiments
        for name in only where all.named(name) == nil {
            let names = all.map(\.name).joined(separator: ", ")
            throw ValidationError("There is no experiment '\(name)'. There are: \(names).")
        }
    }

    func run() async throws {
        let experiments = server.experiments.filter { only.isEmpty || only.contains($0.name) }
        let results = try await interruptible { try await runAll(experiments) }
        Terminal.output.write(json ? try ExperimentResult.json(results) : ExperimentResult.table(results))
        let surprises = results.flatMap(\.surprises)
        guard surprises.isEmpty else {
            for surprise in surprises { Terminal.error.write("loss-lab: \(surprise)\n") }
            throw ExitCode(1)
        }
    }

    private func runAll(_ experiments: [Experiment]) async throws -> [ExperimentResult] {
        let progress = ProgressLine(experiments: experiments.count, isQuiet: json)
        var results: [ExperimentResult] = []
        for experiment in experiments {
            var tallies: [Tally] = []
            for side in Side.allCases {
                progress.begin(experiment, side, number: results.count + 1)
                let run = SideRun(
                    experiment: experiment,
                    side: side,
                    messages: messages,
                    server: server,
                    progress: progress
                )
                tallies.append(try await run.tally())
                progress.end(tallies[tallies.count - 1])
            }
            results.append(ExperimentResult(experiment, leak: tallies[0], cure: tallies[1]))
        }
        return results
    }

    /// Work that SIGINT and SIGTERM cancel: its processes end and its folders go.
    private func interruptible<R: Sendable>(_ work: @escaping @Sendable () async throws -> R) async throws -> R {
        try await withThrowingTaskGroup(of: R?.self) { group in
            group.addTask { try await work() }
            group.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) { throw ExitCode(130) }
                return nil
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CancellationError()
        }
    }
}
