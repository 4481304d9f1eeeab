import ArgumentParser

/// `loss-lab act`: does one step of an experiment, in a process of its own that may die of it.
struct Act: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Do one step of an experiment. The lab starts it by itself.",
        shouldDisplay: false
    )

    @Argument(help: "The experiment.") var experiment: String
    @Argument(help: "leak or cure.") var side: String
    @Argument(help: "The step's number, from 0.") var step: Int
    @Argument(help: "The folder.") var folder: String
    @Argument(help: "How many messages are sent.") var messages: Int
    @OptionGroup var server: BrokerServer

    func run() async throws {
        guard let variant = Side(rawValue: side).flatMap({ server.experiments.named(experiment)?[$0] }),
            variant.steps.indices.contains(step)
        else { throw ValidationError("There is no step \(step) of '\(experiment)', \(side).") }
        try await variant.steps[step].body(Lab(folder: folder, messages: messages, server: server))
    }
}
