#if RabbitMQ
    import DequeModule

    extension ConsumerDesk {
        /// A channel that was told as assigned.
        struct Channel {
            let identity: ConsumerChannel.Identity
            /// What its log held when it was assigned.
            let log: Range<Int64>
            private(set) var isStarted = false
            var isPaused = false
            /// What still comes was asked for before, and is not wanted: it goes on with another connection.
            private(set) var isEnded = false
            private(set) var chunks = Deque<DeliveryChunk>()

            /// What is to be taken next.
            var next: DeliveryChunk? { isStarted && !isPaused ? chunks.first : nil }

            init(identity: ConsumerChannel.Identity, log: Range<Int64>) {
                self.identity = identity
                self.log = log
            }

            mutating func start() { if isStarted { end() } else { isStarted = true } }

            mutating func deliver(_ chunk: DeliveryChunk) { if !isEnded { chunks.append(chunk) } }
            mutating func removeNext() { chunks.removeFirst() }
            mutating func explainNext() { chunks[0].isExplained = true }

            mutating func end() {
                isEnded = true
                chunks = []
            }
        }
    }
#endif
