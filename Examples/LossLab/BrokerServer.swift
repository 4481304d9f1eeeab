import ArgumentParser
import Subprocess

#if canImport(System)
    import System
#else
    import SystemPackage
#endif

/// A real broker that the experiments use instead of the one in the process.
struct BrokerServer: ParsableArguments {
    @Option(
        help: """
            Make the experiments with this RabbitMQ server, amqp://USER:PASSWORD@HOST:PORT/VHOST, in queues of their own, \
            instead of the broker in the process.
            """
    )
    var broker: String?

    @Option(
        help: """
            A command that does with that server what is put behind it: pause (as SIGSTOP), kill (as SIGKILL), or start. \
            Without it the experiments in which the broker dies are left out.
            """
    )
    var control: String?

    func validate() throws {
        guard control == nil || broker != nil else { throw ValidationError("--control is for a --broker.") }
        #if !RabbitMQ
            guard broker == nil else {
                throw ValidationError("Built without RabbitMQ: swift run --traits RabbitMQ loss-lab --broker amqp://…")
            }
        #endif
    }

    /// The same for another process of this program.
    var arguments: [String] {
        (broker.map { ["--broker", $0] } ?? []) + (control.map { ["--control", $0] } ?? [])
    }

    /// What can be made there.
    var experiments: [Experiment] {
        #if RabbitMQ
            if broker != nil { return RabbitMQExperiments.all.filter { !$0.killsServer || control != nil } }
        #endif
        return Experiment.all
    }

    enum Order: String, Sendable {
        case pause, kill, start
    }

    /// Has something done with the server; returns once it is done.
    func order(_ order: Order) async throws {
        guard let control else { throw LabError("the broker cannot be told to \(order): --control is missing") }
        let result = try await Subprocess.run(
            .path("/bin/sh"),
            arguments: ["-c", "\(control) \(order.rawValue)"],
            output: .discarded,
            error: .string(limit: 1 << 16)
        )
        guard result.terminationStatus == .exited(0) else {
            throw LabError("'\(control) \(order)' ended with \(result.terminationStatus): \(result.standardError)")
        }
    }
}
