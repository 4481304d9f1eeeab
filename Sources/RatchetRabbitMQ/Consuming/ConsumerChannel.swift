#if RabbitMQ
    import Ratchet

    /// One queue's channel, from its opening to its loss and its next opening: says what to send and what to tell. Pure.
    struct ConsumerChannel {
        /// How far it is. Each step waits for the server's answer to the one before.
        enum Stage: Equatable {
            /// Not there; to be opened at this time, in nanoseconds of the monotonic clock.
            case absent(until: Int64)
            case opening
            case findingQueue
            case settingPrefetch
            /// Assigned, not yet started.
            case assigned
            case consuming
            /// Of no use any more; the server is asked to forget it.
            case leaving
        }

        /// What its name is worth while it is there: another one each time it is opened.
        struct Identity: Hashable, Sendable {
            var partition: TopicPartition
            var generation: Int64
        }

        enum Action: Equatable {
            case open
            case findQueue
            case setPrefetch
            /// Tell that it is assigned, under a new identity.
            case assign
            case consume
            case leave
            /// Answer the server, which has closed it.
            case confirmClosed
            /// What was under way for it comes to nothing; with the identity under which it had been told as assigned, if
            /// it had been.
            case lose(Identity?, Failure)
            /// The server has done all that it was sent before.
            case passed
        }

        /// Why it is lost.
        struct Failure: Equatable {
            let code: Int
            let text: String
            /// What it is to whoever opens a session.
            func error(_ what: String) -> any Error {
                let reply = RabbitMQError.reply(code, text, what)
                return reply.code == .notFound ? SourceError(.unknownTopic, reply.detail) : reply
            }
            /// What it is called in the log: what can be done about it is said where something can.
            var summary: String {
                // Of several faults with this code it is the only one with this text, in all versions of the server.
                let isLate = code == 406 && text.contains("timed out")
                guard isLate else { return "channel lost, opened again later" }
                return "channel lost: a message was not acked within the server's consumer_timeout, raise that or "
                    + "lower the prefetch; opened again later"
            }
            /// The queue is gone or has moved.
            static let cancelled = Failure(code: 0, text: "the server has cancelled the consumer")
        }

        let number: UInt16
        let queue: String
        private(set) var stage = Stage.absent(until: .min)
        var identity: Identity?
        /// How often in a row it came to nothing before it consumed.
        private(set) var failures = 0
        /// Whether the server has let it consume.
        private(set) var hasConsumed = false
        var unacked = UnackedTags()
        var assembly: DeliveryAssembly
        private let maximumSize: Int

        init(number: UInt16, queue: String, maximumSize: Int) {
            self.number = number
            self.queue = queue
            self.maximumSize = maximumSize
            assembly = DeliveryAssembly(maximumSize: maximumSize)
        }

        var isAssigned: Bool { stage == .assigned || stage == .consuming }
        /// Whether it goes on only with the server's next answer.
        var awaitsAnswer: Bool {
            switch stage {
            case .opening, .findingQueue, .settingPrefetch, .leaving: true
            case .consuming: !hasConsumed
            case .absent, .assigned: false
            }
        }

        /// When it has to be opened.
        var due: Int64? {
            guard case .absent(let until) = stage else { return nil }
            return until
        }

        /// Opens it if it is time.
        mutating func open(at now: Int64) -> [Action] {
            guard let due, due <= now else { return [] }
            stage = .opening
            hasConsumed = false
            unacked = UnackedTags()
            assembly = DeliveryAssembly(maximumSize: maximumSize)
            return [.open]
        }

        /// The pipeline wants deliveries.
        mutating func start() -> [Action] {
            guard stage == .assigned else { return [] }
            stage = .consuming
            return [.consume]
        }

        /// What the server says of this channel, but for deliveries. `delay` is how long to wait after so many failures.
        mutating func handle(_ method: Method, at now: Int64, delay: (Int) -> Int64) -> [Action] {
            switch (method, stage) {
            case (.channelOpened, .opening):
                stage = .findingQueue
                return [.findQueue]
            case (.queueFound, .findingQueue):
                stage = .settingPrefetch
                return [.setPrefetch]
            case (.prefetchSet, .settingPrefetch):
                stage = .assigned
                return [.assign]
            case (.prefetchSet, .assigned), (.prefetchSet, .consuming): return [.passed]
            case (.consuming, .consuming):
                failures = 0
                hasConsumed = true
                return []
            case (.cancelled, .consuming):
                // Deliveries that are on their way may still come: nothing is taken from them.
                stage = .leaving
                return [.lose(identity, .cancelled), .leave]
            case (.channelLeft, .leaving):
                wait(from: now, delay)
                return []
            case (.channelClosed(let code, let text), _):
                let wasLost = stage == .leaving
                let failure = Failure(code: code, text: text)
                let lost = wasLost ? [] : [Action.lose(isAssigned ? identity : nil, failure)]
                wait(from: now, delay)
                return [.confirmClosed] + lost
            default: return []
            }
        }

        /// The connection is gone: it is opened with the next one.
        mutating func disconnect() {
            stage = .absent(until: .min)
            hasConsumed = false
            identity = nil
        }

        private mutating func wait(from now: Int64, _ delay: (Int) -> Int64) {
            failures += 1
            stage = .absent(until: now + delay(failures))
            identity = nil
        }
    }
#endif
