#if Kafka
    import DequeModule
    import Ratchet

    /// What one member was told, and what waits to be delivered to it. Pure; methods that return a continuation want it
    /// resumed outside of the lock.
    struct SessionState {
        typealias Waiter = CheckedContinuation<Void, any Error>

        /// An assigned partition.
        struct Fetch {
            let partition: TopicPartition
            let generation: Int64
            /// Whether `next` has told of it, or is about to.
            var isTold = false
            /// The offset of the next message to be read; nil before it was started.
            var position: Int64?
            var isPaused = false
            var isRevoked = false
            /// What was read and not delivered.
            var ready = Deque<MessageBatch>()
            /// Why nothing more can be read, until it is started elsewhere.
            var stop: Stop?

            var hasWork: Bool { !isPaused && !isRevoked && (!ready.isEmpty || stop?.isToBeTold ?? false) }
        }

        /// Partitions that are to be given back, all at once.
        struct Revocation {
            let partitions: [TopicPartition]
            /// Those whose release is waited for.
            var awaited: [TopicPartition]
            /// When they are taken for lost, in nanoseconds.
            let deadline: Int64
        }

        enum Step {
            case event(SourceEvent)
            /// Messages; whether there is room for more of them now.
            case messages(MessageBatch, makesRoom: Bool)
            case failure(any Error)
            case wait
        }

        private enum End {
            case closed
            case failed(any Error)
        }

        /// How many batches of a partition wait at the most; what is behind them waits in librdkafka, which has bounds of
        /// its own.
        static let readyBatches = 2

        /// In the order in which they were assigned.
        var fetches: [Fetch] = []
        private(set) var revocation: Revocation?
        private var events = Deque<SourceEvent>()
        private var turn = 0
        private var waiter: Waiter?
        private var isInNext = false
        private var isCancelled = false
        private var end: End?
        private var seen: Int64

        init(now: Int64) { seen = now }

        // MARK: next

        mutating func enterNext(now: Int64) throws(SourceError) {
            guard !isInNext else {
                throw SourceError(.invalidArgument, "next() was called while another call waits: one task calls it")
            }
            isInNext = true
            isCancelled = false
            seen = now
        }

        mutating func leaveNext(now: Int64) {
            isInNext = false
            seen = now
        }

        /// Whether somebody takes the events, or has for so many nanoseconds at the least.
        func isAttended(now: Int64, within limit: Int64) -> Bool { isInNext || events.isEmpty || now - seen <= limit }

        /// What comes next: events before messages, and the partitions in turn.
        mutating func step() -> Step {
            if let event = events.popFirst() { return .event(event) }
            switch end {
            case .closed: return .event(.closed)
            case .failed(let error): return .failure(error)
            case nil: break
            }
            for distance in fetches.indices {
                let index = (turn + distance) % fetches.count
                guard fetches[index].hasWork else { continue }
                turn = index + 1
                guard let batch = fetches[index].ready.popFirst() else { return tellStop(of: index) }
                return .messages(batch, makesRoom: fetches[index].ready.count == Self.readyBatches - 1)
            }
            return .wait
        }

        /// Why nothing more of a partition comes, behind all that was read of it.
        private mutating func tellStop(of index: Int) -> Step {
            switch fetches[index].stop {
            case .failure(let error): return .failure(error)
            case .gap(let gap, _):
                fetches[index].stop = .gap(gap, isTold: true)
                return .event(.outOfRange(gap))
            case nil: return .wait
            }
        }

        private var hasWork: Bool { !events.isEmpty || end != nil || fetches.contains { $0.hasWork } }

        /// Keeps the waiter, or returns at once how to resume it.
        mutating func wait(_ continuation: Waiter) -> Result<Void, any Error>? {
            if isCancelled { return .failure(CancellationError()) }
            if hasWork { return .success(()) }
            waiter = continuation
            return nil
        }

        mutating func cancelWait() -> Waiter? {
            isCancelled = true
            return waiter.take()
        }

        mutating func takeWaiterIfReady() -> Waiter? { hasWork ? waiter.take() : nil }

        // MARK: Assignment

        /// The partitions are the member's, but nothing is known of them yet.
        mutating func assign(_ partitions: [TopicPartition], generation: Int64) {
            guard end == nil else { return }
            fetches += partitions.map { Fetch(partition: $0, generation: generation) }
        }

        /// Which of these nobody was told of yet.
        func untold(_ partitions: [TopicPartition], generation: Int64) -> [TopicPartition] {
            partitions.filter { partition in
                fetches.contains { $0.partition == partition && $0.generation == generation && !$0.isTold }
            }
        }

        /// Tells of partitions; those that were taken away meanwhile are left out.
        mutating func tell(_ assignments: [Assignment]) -> Waiter? {
            let current = assignments.filter { assignment in
                guard
                    let index = fetches.firstIndex(where: {
                        $0.partition == assignment.partition && $0.generation == assignment.generation && !$0.isTold
                    })
                else { return false }
                fetches[index].isTold = true
                return true
            }
            return current.isEmpty ? nil : post(.assigned(current))
        }

        /// Partitions are to be given back: those that were told of after their release or the deadline, all others at
        /// once. Returns who is to be resumed.
        mutating func revoke(_ partitions: [TopicPartition], within limit: Duration, now: Int64) -> Waiter? {
            let told = fetches.filter { $0.isTold && partitions.contains($0.partition) }.map(\.partition)
            drop(partitions.filter { !told.contains($0) })
            for index in fetches.indices where told.contains(fetches[index].partition) {
                fetches[index].isRevoked = true
                fetches[index].ready.removeAll()
            }
            revocation = Revocation(partitions: partitions, awaited: told, deadline: now + limit.nanoseconds)
            return told.isEmpty ? nil : post(.revoking(told, within: limit))
        }

        /// Revoked partitions are given back. Returns whether nothing more is waited for.
        mutating func release(_ partitions: [TopicPartition]) -> Bool {
            guard let awaited = revocation?.awaited else { return false }
            drop(awaited.filter { partitions.contains($0) })
            revocation?.awaited.removeAll { partitions.contains($0) }
            return revocation?.awaited.isEmpty ?? false
        }

        /// The partitions of a revocation that is over: all released, or past its deadline, or lost, which is then told.
        mutating func endRevocation(now: Int64, isLost: Bool) -> (partitions: [TopicPartition], waiter: Waiter?)? {
            guard let revocation, revocation.awaited.isEmpty || now >= revocation.deadline || isLost || end != nil
            else {
                return nil
            }
            self.revocation = nil
            return (revocation.partitions, lose(revocation.awaited))
        }

        /// Partitions are another member's already.
        mutating func lose(_ partitions: [TopicPartition]) -> Waiter? {
            let told = fetches.filter { $0.isTold && partitions.contains($0.partition) }.map(\.partition)
            drop(partitions)
            return told.isEmpty ? nil : post(.lost(told))
        }

        mutating func drop(_ partitions: [TopicPartition]) {
            fetches.removeAll { partitions.contains($0.partition) }
        }

        // MARK: Events

        private mutating func post(_ event: SourceEvent) -> Waiter? {
            guard end == nil else { return nil }
            events.append(event)
            return waiter.take()
        }

        var hasEnded: Bool { end != nil }

        var isClosed: Bool { if case .closed? = end { true } else { false } }

        /// Nothing is delivered any more: `next` throws `error`, or returns `closed` when it is nil.
        mutating func end(_ error: (any Error)?) -> Waiter? {
            if case .closed? = end { return nil }
            end = error.map { .failed($0) } ?? .closed
            events.removeAll()
            fetches.removeAll()
            return waiter.take()
        }
    }
#endif
