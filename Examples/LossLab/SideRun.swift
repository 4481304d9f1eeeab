import RatchetTesting
import Subprocess

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// One side of an experiment, from an empty folder to what came of it.
struct SideRun: Sendable {
    let experiment: Experiment
    let side: Side
    let messages: Int
    let server: BrokerServer
    let progress: ProgressLine

    func tally() async throws -> Tally {
        let folder = FileManager.default.temporaryDirectory.appending(path: "loss-lab-\(UUID().uuidString)").path()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let lab = Lab(folder: folder, messages: messages, server: server)
        let account = try await OwnProgram.collect(into: lab.effectFile) { collector in
            try await runSteps(lab, collector)
        }
        if experiment[side].effects == .inLedger {
            try await OwnProgram.collect(into: lab.effectFile, ledger: lab.ledger)
        }
        return account.tally(try effects(lab.effectFile))
    }

    /// Runs the steps, and hands on to the collector what has an effect.
    private func runSteps(_ lab: Lab, _ collector: StandardInputWriter) async throws -> Account {
        var account = Account()
        for (number, step) in experiment[side].steps.enumerated() {
            try lab.keep(account)
            let names = [experiment.name, side.rawValue, "\(number)", lab.folder, "\(messages)"]
            let arguments = names + server.arguments
            let end = try await OwnProgram.act(arguments) { lines in
                for line in lines { account.note(line) }
                progress.update(account)
                let effects = lines.filter { $0.kind == .effect }.map { $0.value + "\n" }.joined()
                if !effects.isEmpty { _ = try await collector.write(effects) }
            }
            guard end.status == step.end.status else {
                throw LabError(
                    "\(experiment.name), \(side.rawValue), step \(number) ended with \(end.status): \(end.words)"
                )
            }
        }
        return account
    }

    /// How often each message had its effect.
    private func effects(_ file: String) throws -> [String: Int] {
        var history = History()
        let reading = try EffectFile.read(file, into: &history)
        guard reading.damaged == 0 else { throw LabError("\(file) has \(reading.damaged) damaged lines") }
        return history.events.reduce(into: [:]) { $0[history.name(of: $1.message), default: 0] += 1 }
    }
}

extension Step.End {
    fileprivate var status: TerminationStatus {
        switch self {
        case .normal: .exited(0)
        case .killed: .signaled(9)
        }
    }
}

/// Why an experiment could not be made.
struct LabError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
