import Logging
import Synchronization

/// Keeps what is logged, to be read by a test.
final class LogRecorder: Sendable {
    struct Line: Equatable, Sendable {
        var level: Logger.Level
        var text: String
        var metadata: Logger.Metadata

        /// A value of the metadata as text.
        subscript(key: String) -> String? { metadata[key].map { "\($0)" } }
    }

    private let kept = Mutex<[Line]>([])

    /// Every line, in order.
    var lines: [Line] { kept.withLock { $0 } }
    var warnings: [Line] { lines.filter { $0.level == .warning } }
    var logger: Logger { Logger(label: "tests") { _ in Handler(recorder: self) } }

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
            let line = Line(level: event.level, text: "\(event.message)", metadata: all)
            recorder.kept.withLock { $0.append(line) }
        }
    }
}
