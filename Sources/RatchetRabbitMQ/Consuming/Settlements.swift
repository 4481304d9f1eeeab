#if RabbitMQ
    import DequeModule

    /// Who waits until the server has their answers: behind the answers of each channel something is sent that the server
    /// answers in turn.
    struct Settlements {
        private final class Waiting {
            var missing: Int
            var continuation: CheckedContinuation<Void, any Error>?

            init(missing: Int, _ continuation: CheckedContinuation<Void, any Error>) {
                self.missing = missing
                self.continuation = continuation
            }
        }

        private var channels: [Int: Deque<Waiting>] = [:]

        /// Whether any waits for an answer of the channel.
        func areOpen(channel: Int) -> Bool { channels[channel] != nil }

        /// Waits for one answer of each channel; one that is named twice answers twice.
        mutating func begin(_ continuation: CheckedContinuation<Void, any Error>, channels places: [Int]) {
            guard !places.isEmpty else { return continuation.resume() }
            let waiting = Waiting(missing: places.count, continuation)
            for place in places { channels[place, default: []].append(waiting) }
        }

        /// A channel has answered.
        mutating func passed(channel: Int) {
            guard let waiting = channels[channel]?.popFirst() else { return }
            if channels[channel]?.isEmpty == true { channels[channel] = nil }
            waiting.missing -= 1
            guard waiting.missing == 0 else { return }
            waiting.continuation.take()?.resume()
        }

        /// A channel answers no more.
        mutating func lost(channel: Int, _ error: any Error) {
            for waiting in channels.removeValue(forKey: channel) ?? [] {
                waiting.continuation.take()?.resume(throwing: error)
            }
        }
    }
#endif
