import Logging
import Synchronization

@testable import Ratchet

/// Keeps what is logged, so that a test can read it and wait for it.
final class LogRecorder: Sendable {
    struct Line: Equatable, Sendable {
        var level: Logger.Level
        var text: String
        var metadata: Logger.Metadata

        /// A value of the metadata as text.
        subscript(key: String) -> String? { metadata[key].map { "\($0)" } }
    }

    private struct State {
        var lines: [Line] = []
        var watchers: [(condition: @Sendable (Line) -> Bool, latch: Latch)] = []
    }

    private let state = Mutex(State())

    /// Every line, in order.
    var lines: [Line] { state.withLock { $0.lines } }
    var warnings: [Line] { lines.filter { $0.level == .warning } }
    var logger: Logger { Logger(label: "tests") { _ in Handler(recorder: self) } }

    /// Waits until such a line was logged.
    func until(_ condition: @escaping @Sendable (Line) -> Bool) async {
        let latch = Latch()
        let isTrue = state.withLock { state in
            if state.lines.contains(where: condition) { return true }
            state.watchers.append((condition, latch))
            return false
        }
        if !isTrue { await latch.wait() }
    }

    private func note(_ line: Line) {
        let latches = state.withLock { state in
            state.lines.append(line)
            return state.watchers.filter { $0.condition(line) }.map(\.latch)
        }
        for latch in latches { latch.open() }
    }

    private struct Handler: LogHandler {
        let recorder: LogRecorder
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
            recorder.note(Line(level: event.level, text: "\(event.message)", metadata: all))
        }
    }
}
