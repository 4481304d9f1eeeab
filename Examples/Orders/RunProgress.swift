import Synchronization

/// How far a run has come: written by the publisher, read by the progress line and the summary.
final class RunProgress: Sendable {
    struct State: Sendable {
        /// Messages that are durable in the topic.
        var published = 0
        /// Which part of the input has been read, nil if nobody knows.
        var fraction: Double?
        var oversized = Oversized()
        /// Whether everything that was to be published is published and settled.
        var isComplete = false
    }

    private let state = Mutex(State())

    var current: State { state.withLock { $0 } }

    func published(_ count: Int) { state.withLock { $0.published += count } }

    func read(fraction: Double?, oversized: Oversized) {
        state.withLock { state in
            state.fraction = fraction
            state.oversized = oversized
        }
    }

    func complete() { state.withLock { $0.isComplete = true } }
}
