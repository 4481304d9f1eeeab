import Synchronization

/// Runs a writer's groups in turns that somebody else gives, instead of on a thread of its own.
final class WriterTurns: Sendable {
    private let queue: WriterQueue
    private let environment: Environment
    private let ask: WriterThread.Asking
    private let isAsked = Atomic(false)
    #if BrokenVariants
        private let hasCommitted = Atomic(false)
    #endif

    init(_ queue: WriterQueue, _ environment: Environment, _ ask: @escaping WriterThread.Asking) {
        self.queue = queue
        self.environment = environment
        self.ask = ask
    }

    /// There is something to do: one turn is asked for, unless it is already.
    func request() {
        if isAsked.exchange(true, ordering: .acquiringAndReleasing) { return }
        ask { self.turn() }
    }

    /// Runs one group.
    private func turn() {
        isAsked.store(false, ordering: .releasing)
        queue.attach()
        let (group, isOver) = queue.poll()
        group?.run(in: environment)
        #if BrokenVariants
            if group != nil { hasCommitted.store(true, ordering: .relaxed) }
        #endif
        if isOver { queue.detach() } else if group != nil { request() }
    }

    /// Fails all that wait, and runs nothing any more.
    func abandon() {
        queue.finish()
        while let group = queue.poll().group { group.refuse(path: environment.path) }
        queue.detach()
        #if BrokenVariants
            if BrokenVariant.resumedBeforeSync.isOn, hasCommitted.load(ordering: .relaxed) {
                BrokenVariant.undoLastCommit(at: environment.path)
            }
        #endif
    }
}
