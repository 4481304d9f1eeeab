#if RabbitMQ
    import DequeModule
    import Ratchet
    import Synchronization

    /// What a session and its connection's thread hand each other.
    final class ConsumerDesk: Sendable {
        /// What a session asks for.
        enum Request {
            case start(ConsumerChannel.Identity, at: Int64)
            /// The session has taken what a stream has delivered up to this offset.
            case taken(ConsumerChannel.Identity, through: Int64)
            case settle(Settlement)
        }

        /// Answers to deliveries, and who waits until the server has them.
        struct Settlement {
            let answers: [QueueAck]
            let kind: Kind
            let continuation: CheckedContinuation<Void, any Error>

            enum Kind: Sendable {
                case ack, requeue, drop
            }
        }

        private enum Taken {
            case event(SourceEvent)
            case chunk(DeliveryChunk, ConsumerChannel.Identity)
            case nothing
        }

        struct State {
            var channels: [Channel] = []
            var events = Deque<SourceEvent>()
            var requests: [Request] = []
            var turn = 0
            /// Who waits for the session to be opened.
            var opening: CheckedContinuation<Void, any Error>?
            /// Why nothing more comes.
            var failure: (any Error)?
            var isClosed = false
            var hasEnded = false
            var closing: [CheckedContinuation<Void, Never>] = []

            func index(of partition: TopicPartition) -> Int? {
                channels.firstIndex { $0.identity.partition == partition }
            }

            /// Throws `notAssigned`, or `fenced` for another generation.
            func index(of partition: TopicPartition, _ generation: Int64) throws(SourceError) -> Int {
                guard !isClosed, let index = index(of: partition) else {
                    throw SourceError(.notAssigned, "channel \(partition) is not assigned to this session")
                }
                let assigned = channels[index].identity.generation
                guard assigned == generation else {
                    throw SourceError(.fenced, "channel \(partition) is of generation \(assigned), not \(generation)")
                }
                return index
            }
        }

        private let model: SourceModel
        let state = Mutex(State())
        /// There is something to take.
        let signal = Signal()
        let wakeup = Wakeup()

        init(model: SourceModel = .queue) { self.model = model }
    }

    // MARK: The session's side

    extension ConsumerDesk {
        /// Waits until the session is open; `start` starts its thread.
        func open(_ start: () -> Void) async throws {
            try await withCheckedThrowingContinuation { continuation in
                state.withLock { $0.opening = continuation }
                start()
            }
        }

        /// The next event, nil for none yet. Channels with messages take turns.
        func take() throws -> SourceEvent? {
            let taken = try state.withLock { state throws -> Taken in
                if state.isClosed { return .event(.closed) }
                if let event = state.events.popFirst() { return .event(event) }
                if let failure = state.failure { throw failure }
                state.turn += 1
                for step in state.channels.indices {
                    let index = (state.turn + step) % state.channels.count
                    guard let chunk = state.channels[index].next, chunk.isExplained else { continue }
                    state.channels[index].removeNext()
                    return .chunk(chunk, state.channels[index].identity)
                }
                return .nothing
            }
            switch taken {
            case .event(let event): return event
            case .chunk(let chunk, let identity):
                if model == .log { noteTaken(chunk, identity) }
                let batch = try chunk.batch(
                    of: identity.partition,
                    generation: identity.generation,
                    countsDeliveries: model == .queue
                )
                return .messages(batch)
            case .nothing: return nil
            }
        }

        private func noteTaken(_ chunk: DeliveryChunk, _ identity: ConsumerChannel.Identity) {
            state.withLock { $0.requests.append(.taken(identity, through: chunk.lastOffset)) }
            wakeup.tell()
        }

        /// Throws ``/Ratchet/SourceError`` if the partition is not assigned under this generation.
        func check(_ partition: TopicPartition, _ generation: Int64) throws(SourceError) {
            _ = try state.withLock { state throws(SourceError) in try state.index(of: partition, generation) }
        }

        /// Has the deliveries of a channel begin. Throws ``/Ratchet/SourceError``.
        func start(_ partition: TopicPartition, at offset: Int64, _ generation: Int64) throws {
            try state.withLock { state throws(SourceError) in
                let index = try state.index(of: partition, generation)
                switch model {
                case .queue:
                    guard offset == 1, !state.channels[index].isStarted else {
                        throw SourceError(
                            .offsetOutOfRange,
                            "tag \(offset) of channel \(partition): it begins at 1, once"
                        )
                    }
                case .log:
                    guard offset >= 0 else {
                        throw SourceError(.offsetOutOfRange, "offset \(offset) of \(partition): it begins at 0")
                    }
                }
                state.channels[index].start()
                state.requests.append(.start(state.channels[index].identity, at: offset))
            }
            wakeup.tell()
        }

        func setPaused(_ isPaused: Bool, _ partition: TopicPartition) {
            state.withLock { state in
                guard let index = state.index(of: partition) else { return }
                state.channels[index].isPaused = isPaused
            }
            signal.tell()
        }

        /// Answers deliveries; returns once the server has that. Throws `fenced` when a channel is gone.
        func settle(_ answers: [QueueAck], _ kind: Settlement.Kind) async throws {
            try await withCheckedThrowingContinuation { continuation in
                let refusal = state.withLock { state -> SourceError? in
                    do throws(SourceError) {
                        for answer in answers { _ = try state.index(of: answer.partition, answer.generation) }
                    } catch {
                        return SourceError(.fenced, error.detail)
                    }
                    let settlement = Settlement(answers: answers, kind: kind, continuation: continuation)
                    state.requests.append(.settle(settlement))
                    return nil
                }
                if let refusal { continuation.resume(throwing: refusal) } else { wakeup.tell() }
            }
        }

        /// Ends the session: nothing more is taken or told. Returns once its connection is closed.
        func close() async {
            await withCheckedContinuation { continuation in
                let hasEnded = state.withLock { state in
                    state.isClosed = true
                    if !state.hasEnded { state.closing.append(continuation) }
                    return state.hasEnded
                }
                // The session's own call of next has to hear of it at once.
                signal.tell()
                if hasEnded { continuation.resume() } else { wakeup.tell() }
            }
        }

        /// As ``close()``, without waiting.
        func abandon() {
            state.withLock { $0.isClosed = true }
            wakeup.tell()
        }
    }

    // MARK: The thread's side

    extension ConsumerDesk {
        var isClosed: Bool { state.withLock { $0.isClosed || $0.failure != nil } }

        func takeRequests() -> [Request] {
            state.withLock { state in
                defer { state.requests = [] }
                return state.requests
            }
        }

        /// The session is open: all its channels are told.
        func opened() { state.withLock { $0.opening.take() }?.resume() }

        func assigned(
            _ identity: ConsumerChannel.Identity,
            log: Range<Int64> = 1..<1,
            committed: CommittedOffset? = nil
        ) {
            state.withLock { state in
                state.channels.append(Channel(identity: identity, log: log))
                let assignment = Assignment(
                    partition: identity.partition,
                    topicID: nil,
                    generation: identity.generation,
                    committed: committed,
                    log: log
                )
                state.events.append(.assigned([assignment]))
            }
            signal.tell()
        }

        /// A channel is gone, with what was not taken of it.
        func lost(_ partition: TopicPartition) {
            state.withLock { state in
                guard let index = state.index(of: partition) else { return }
                state.channels.remove(at: index)
                // Of a channel whose assignment nobody has heard of, nobody hears: events do not pile up.
                if let unheard = state.events.firstIndex(where: { $0.assigns(partition) }) {
                    state.events.remove(at: unheard)
                } else {
                    state.events.append(.lost([partition]))
                }
            }
            signal.tell()
        }

        func deliver(_ chunk: DeliveryChunk, _ partition: TopicPartition) {
            state.withLock { state in
                guard let index = state.index(of: partition) else { return }
                state.channels[index].deliver(chunk)
            }
            signal.tell()
        }

        /// Nothing more comes, for this reason; whoever waits for the opening is told so, else whoever takes next.
        func fail(_ error: any Error) {
            let opening = state.withLock { state in
                if state.failure == nil { state.failure = error }
                return state.opening.take()
            }
            opening?.resume(throwing: error)
            signal.tell()
        }

        /// The thread has ended. Returns what was still asked for.
        func ended() -> [Request] {
            let (closing, requests) = state.withLock { state in
                state.hasEnded = true
                state.isClosed = state.isClosed || state.failure == nil
                defer { (state.closing, state.requests, state.channels) = ([], [], []) }
                return (state.closing, state.requests)
            }
            for continuation in closing { continuation.resume() }
            signal.tell()
            return requests
        }
    }

    extension SourceEvent {
        fileprivate func assigns(_ partition: TopicPartition) -> Bool {
            guard case .assigned(let assignments) = self else { return false }
            return assignments.contains { $0.partition == partition }
        }
    }
#endif
