#if Kafka
    import Logging
    import Synchronization

    /// Keeps all that is logged, metadata and all.
    final class LogRecorder: Sendable {
        private let all = Mutex<[String]>([])

        var lines: [String] { all.withLock { $0 } }

        var logger: Logger { Logger(label: "test") { _ in Handler(recorder: self) } }

        private struct Handler: LogHandler {
            let recorder: LogRecorder
            var metadata: Logger.Metadata = [:]
            var logLevel = Logger.Level.trace

            subscript(metadataKey key: String) -> Logger.Metadata.Value? {
                get { metadata[key] }
                set { metadata[key] = newValue }
            }

            func log(event: LogEvent) {
                recorder.all.withLock { $0.append("\(event.message) \(metadata) \(event.metadata ?? [:])") }
            }
        }
    }
#endif
