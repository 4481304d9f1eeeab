import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// How far a long piece of work is: on a terminal one line that is written again and again, elsewhere a line every half a
/// minute.
package final class Progress: Sendable {
    private struct State {
        var told: ContinuousClock.Instant
        var isLineOpen = false
        /// What was done before it was told of any.
        var before: Int?
    }

    private let descriptor: Int32
    private let isOwned: Bool
    private let isTerminal: Bool
    private let start = ContinuousClock.now
    private let state: Mutex<State>

    private init(to descriptor: Int32, isOwned: Bool) {
        self.descriptor = descriptor
        self.isOwned = isOwned
        isTerminal = isatty(descriptor) == 1
        state = Mutex(State(told: start))
    }

    /// Tells it on standard error.
    package convenience init() { self.init(to: STDERR_FILENO, isOwned: false) }

    /// Tells it to the file that an environment's variable names; nil if it names none that can be written.
    package convenience init?(toNamed variable: String) {
        guard let path = getenv(variable) else { return nil }
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        self.init(to: descriptor, isOwned: true)
    }

    deinit {
        finish()
        if isOwned { close(descriptor) }
    }

    /// So many of all are done; told if it is time to.
    package func note(_ done: Int, of all: Int, _ what: String, _ more: String = "") {
        let now = ContinuousClock.now
        state.withLock { state in
            let before = state.before ?? done - 1
            state.before = before
            guard now - state.told >= (isTerminal ? .milliseconds(200) : .seconds(30)) else { return }
            state.told = now
            let pace = Int(Double(done - before) / ((now - start) / .seconds(1)) * 60)
            let text = "\(done) of \(all) \(what), \(pace) a minute\(more)"
            state.isLineOpen = isTerminal
            put(isTerminal ? "\r\u{1B}[K\(text)" : "\(text)\n")
        }
    }

    /// Leaves a terminal's line empty.
    package func finish() {
        state.withLock { state in
            if state.isLineOpen { put("\r\u{1B}[K") }
            state.isLineOpen = false
        }
    }

    private func put(_ text: String) { text.withCString { _ = write(descriptor, $0, strlen($0)) } }
}
