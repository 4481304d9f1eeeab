import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The processes of one run of a program: all of them die at its end, however late that run has started.
final class ProcessGroup: Sendable {
    private enum State {
        case notStarted
        case running(pid_t)
        case ended
    }

    private let state = Mutex(State.notStarted)

    /// The group of this number has started; it is killed at once if its end was before.
    func began(_ group: pid_t) {
        state.withLock { state in
            if case .notStarted = state {
                state = .running(group)
            } else {
                kill(-group, SIGKILL)
            }
        }
    }

    /// Kills what is left of it.
    func end() {
        state.withLock { state in
            // It is free once the process was waited for, but none is given out that a group still has.
            if case .running(let group) = state { kill(-group, SIGKILL) }
            state = .ended
        }
    }
}
