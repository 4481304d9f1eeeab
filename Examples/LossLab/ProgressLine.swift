import Synchronization

/// Tells on standard error how far the lab has come: on a terminal on one line that is written over again and again,
/// else on a line for each side of an experiment.
final class ProgressLine: Sendable {
    private struct State {
        var place = ""
        var shown: ContinuousClock.Instant?
    }

    private static let interval = Duration.milliseconds(100)
    private let experiments: Int
    private let isQuiet: Bool
    private let isInteractive = Terminal.error.isInteractive
    private let state = Mutex(State())

    /// `isQuiet`: says nothing unless it is on a terminal.
    init(experiments: Int, isQuiet: Bool) {
        self.experiments = experiments
        self.isQuiet = isQuiet
    }

    func begin(_ experiment: Experiment, _ side: Side, number: Int) {
        let settings = experiment[side].settings
        let place = "[\(number)/\(experiments)] \(experiment.name), \(side.rawValue): \(settings)"
        state.withLock { $0 = State(place: place) }
        show("")
    }

    /// What is known so far.
    func update(_ account: Account) {
        show(" · \(Text.grouped(account.sent)) sent, \(Text.grouped(account.effects)) effects")
    }

    func end(_ tally: Tally) {
        let place = state.withLock { $0.place }
        if isInteractive {
            Terminal.error.write("\r\u{1B}[K")
        } else if !isQuiet {
            Terminal.error.write("\(place) · \(tally.lost) lost, \(tally.twice) twice, \(tally.unknown) unknown\n")
        }
    }

    private func show(_ words: String) {
        guard isInteractive else { return }
        let now = ContinuousClock.now
        let place = state.withLock { state -> String? in
            if let shown = state.shown, now - shown < Self.interval { return nil }
            state.shown = now
            return state.place
        }
        if let place { Terminal.error.write("\r\u{1B}[K" + place + words) }
    }
}
