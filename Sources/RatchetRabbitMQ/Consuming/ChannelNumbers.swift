#if RabbitMQ
    import Ratchet
    import Synchronization

    /// Names channels: no two of this process have the same number, and generations rise from one to the next, and from
    /// one process to the next as far as its clock does. A queue is nobody's alone: its messages come to any consumer, and
    /// are known by their keys.
    enum ChannelNumbers {
        private static let last = Mutex((number: 0, generation: Int64(0)))

        /// The next channel's, at `wall` milliseconds since 1970; its generation is above `generation`.
        static func next(of queue: String, wall: Int64, after generation: Int64 = 0) -> ConsumerChannel.Identity {
            last.withLock { last in
                last.number += 1
                // Room for a thousand within a millisecond.
                last.generation = max(last.generation + 1, wall * 1_000, generation + 1)
                return ConsumerChannel.Identity(
                    partition: TopicPartition(queue, last.number),
                    generation: last.generation
                )
            }
        }
    }
#endif
