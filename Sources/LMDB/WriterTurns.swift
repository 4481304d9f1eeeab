import Synchronization

/// Runs a writer's groups in turns that somebody else gives, instead of on a thread of its own.
final class WriterTurns: Sendable {
    private let queue: WriterQueue
    private let environment: Environment
    private let ask: WriterThread.Asking
    private let isAsked = Atomic(false)
    #if BrokenVariants
        /// As they were before the last commit.
        private let heads = Mutex<[UInt8]>([])
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
        #if BrokenVariants
            if BrokenVariant.resumedBeforeSync.isOn, group != nil {
                heads.withLock { $0 = BrokenVariant.heads(at: environment.path) }
            }
        #endif
        group?.run(in: environment)
        if isOver { queue.detach() } else if group != nil { request() }
    }

    /// Fails all that wait, and runs nothing any more.
    func abandon() {
        queue.finish()
        while let group = queue.poll().group { group.refuse(path: environment.path) }
        queue.detach()
        #if BrokenVariants
            let heads = heads.withLock { $0 }
            if !heads.isEmpty { BrokenVariant.restore(heads, at: environment.path) }
        #endif
    }
}
