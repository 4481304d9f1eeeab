#if Kafka
    import Logging
    import Ratchet
    import Synchronization

    /// Keeps all that is logged, metadata and all.
    final class LogRecorder: Sendable {
        private struct State {
            var lines: [String] = []
            var waiting: [(text: String, latch: Latch)] = []
        }

        private let state = Mutex(State())

        var lines: [String] { state.withLock { $0.lines } }

        /// Opens once a line with this text is logged, from now on.
        func next(with text: String) -> Latch {
            let latch = Latch()
            state.withLock { $0.waiting.append((text, latch)) }
            return latch
        }

        private func add(_ line: String) {
            let heard = state.withLock { state in
                state.lines.append(line)
                return state.waiting.filter { line.contains($0.text) }
            }
            for (_, latch) in heard { latch.open() }
        }

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
                recorder.add("\(event.message) \(metadata) \(event.metadata ?? [:])")
            }
        }
    }
#endif
