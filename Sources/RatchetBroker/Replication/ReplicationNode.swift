import LMDB
import Ratchet
import Synchronization

/// A node's storage and writer, and what its followers have to write.
final class ReplicationNode: Sendable {
    enum Phase {
        case stopped
        /// On the way from one to the other.
        case changing
        case running
    }

    private struct State {
        var phase = Phase.stopped
        var storage: Storage?
        var appender: Appender?
        var isCutOff = false
        var hasFailed = false
        var delay: Duration?
        var tasks: [FollowerTask] = []
        /// Whether a piece is submitted that has not taken its tasks yet.
        var isSubmitted = false
        var nextExpiry = LogKey(0, 0)
    }

    let number: Int
    let path: String
    private let state = Mutex(State())

    init(number: Int, path: String) {
        self.number = number
        self.path = path
    }

    /// Nil while the node does not run.
    var storage: Storage? { state.withLock { $0.storage } }

    /// Nil while the node does not run.
    var appender: Appender? { state.withLock { $0.appender } }

    var isRunning: Bool { state.withLock { $0.phase == .running } }

    var isCutOff: Bool { state.withLock { $0.isCutOff } }

    /// Whether nobody else changes it, and it is what it must be.
    func beginChange(from phase: Phase) -> Bool {
        state.withLock { state in
            guard state.phase == phase else { return false }
            state.phase = .changing
            return true
        }
    }

    func started(_ storage: Storage, _ appender: Appender) {
        state.withLock { state in
            state.phase = .running
            (state.storage, state.appender) = (storage, appender)
        }
    }

    /// What it was to write is forgotten.
    func ended() {
        state.withLock { $0 = State() }
    }

    /// Where the next look for idle producers begins.
    var nextExpiry: LogKey {
        get { state.withLock { $0.nextExpiry } }
        set { state.withLock { $0.nextExpiry = newValue } }
    }

    /// Notes that its storage has failed; false when that is known.
    func noteFailure() -> Bool {
        state.withLock { state in
            defer { state.hasFailed = true }
            return !state.hasFailed
        }
    }

    func setCutOff(_ isCutOff: Bool) { state.withLock { $0.isCutOff = isCutOff } }

    func setDelay(_ delay: Duration?) {
        state.withLock { state in
            state.delay = delay
            guard delay == nil else { return }
            for index in state.tasks.indices { state.tasks[index].due = .zero }
        }
    }

    // MARK: Following

    func add(_ task: FollowerTask, _ cluster: Cluster) {
        let now = cluster.clock.now
        let storage = state.withLock { state -> Storage? in
            guard let storage = state.storage else { return nil }
            var task = task
            if let delay = state.delay { task.due = now + delay }
            state.tasks.append(task)
            return submitting(&state, now: now) ? storage : nil
        }
        if let storage { storage.submit(FollowPiece(self, cluster, storage.tables)) }
    }

    /// Writes what is due by now.
    func tick(_ cluster: Cluster) {
        let now = cluster.clock.now
        let storage = state.withLock { submitting(&$0, now: now) ? $0.storage : nil }
        if let storage { storage.submit(FollowPiece(self, cluster, storage.tables)) }
    }

    private func submitting(_ state: inout State, now: Duration) -> Bool {
        guard !state.isSubmitted, state.tasks.contains(where: { $0.due <= now }) else { return false }
        state.isSubmitted = true
        return true
    }

    /// What a piece has to do.
    func takeTasks(now: Duration) -> [FollowerTask] {
        state.withLock { state in
            state.isSubmitted = false
            let tasks = state.tasks.filter { $0.due <= now }
            state.tasks.removeAll { $0.due <= now }
            return tasks
        }
    }

    /// The writer has ended, or too much waits: the next tick tries again.
    func pieceWasRefused() { state.withLock { $0.isSubmitted = false } }
}
