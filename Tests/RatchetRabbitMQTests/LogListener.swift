#if RabbitMQ
    import Logging
    import Ratchet
    import Synchronization

    /// Opens the latch that was asked for last when a line is logged that begins so.
    final class LogListener: Sendable {
        private let beginning: String
        private let waiting = Mutex<Latch?>(nil)

        init(_ beginning: String) { self.beginning = beginning }

        var logger: Logger { Logger(label: "test") { _ in Handler(listener: self) } }

        func next() -> Latch {
            let latch = Latch()
            waiting.withLock { $0 = latch }
            return latch
        }

        private struct Handler: LogHandler {
            let listener: LogListener
            var metadata: Logger.Metadata = [:]
            var logLevel = Logger.Level.info

            subscript(metadataKey key: String) -> Logger.Metadata.Value? {
                get { metadata[key] }
                set { metadata[key] = newValue }
            }

            func log(event: LogEvent) {
                guard "\(event.message)".hasPrefix(listener.beginning) else { return }
                listener.waiting.withLock { $0 }?.open()
            }
        }
    }
#endif
