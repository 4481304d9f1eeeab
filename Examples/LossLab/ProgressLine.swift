import Synchronization

/// Tells on standard error how far the lab has come: on a terminal on one line that is written over again and again,
/// else on a line for each side of an experiment.
final class ProgressLine: Sendable {
    private let experiments: Int
    private let isQuiet: Bool
    private let isInteractive = Terminal.error.isInteractive
    private let place = Mutex("")

    /// `isQuiet`: says nothing unless it is on a terminal.
    init(experiments: Int, isQuiet: Bool) {
        self.experiments = experiments
        self.isQuiet = isQuiet
    }

    func begin(_ experiment: Experiment, _ side: Side, number: Int) {
        let settings = experiment[side].settings
        place.withLock { $0 = "[\(number)/\(experiments)] \(experiment.name), \(side.rawValue): \(settings)" }
        show("")
    }

    /// What is known so far.
    func update(_ account: Account) {
        show(" · \(Text.grouped(account.sent)) sent, \(Text.grouped(account.effects)) effects")
    }

    func end(_ tally: Tally) {
        let text = place.withLock { $0 }
        if isInteractive {
            Terminal.error.write("\r\u{1B}[K")
        } else if !isQuiet {
            Terminal.error.write("\(text) · \(tally.lost) lost, \(tally.twice) twice, \(tally.unknown) unknown\n")
        }
    }

    private func show(_ words: String) {
        guard isInteractive else { return }
        Terminal.error.write("\r\u{1B}[K" + place.withLock { $0 } + words)
    }
}
