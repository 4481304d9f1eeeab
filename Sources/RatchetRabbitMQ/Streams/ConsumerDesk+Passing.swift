#if RabbitMQ
    import Ratchet
    import Synchronization

    /// Offsets that a stream has not delivered: nothing behind them is taken until it is known why. The server has used them
    /// up for its own notes, or retention has removed what was there.
    extension ConsumerDesk {
        /// Offsets that were passed over.
        struct Passing: Equatable {
            let identity: ConsumerChannel.Identity
            let offsets: Range<Int64>
        }

        /// What has to be looked into before more is taken; nil for nothing.
        var passing: Passing? {
            state.withLock { state in
                for channel in state.channels {
                    guard let chunk = channel.next, !chunk.isExplained else { continue }
                    return Passing(identity: channel.identity, offsets: chunk.passed)
                }
                return nil
            }
        }

        /// What the stream still holds, asked for after they were passed over. Where that begins no later than they do, nothing
        /// was removed: what comes behind them can be taken. Else the session is told so, and nothing more of this
        /// assignment is taken: to start it elsewhere makes the connection anew.
        func explain(_ passing: Passing, log: Range<Int64>) {
            state.withLock { state in
                let partition = passing.identity.partition
                guard let index = state.index(of: partition), state.channels[index].identity == passing.identity,
                    state.channels[index].chunks.first?.passed == passing.offsets
                else { return }
                guard log.lowerBound > passing.offsets.lowerBound else { return state.channels[index].explainNext() }
                state.channels[index].end()
                let gap = OffsetGap(
                    partition: partition,
                    generation: passing.identity.generation,
                    position: passing.offsets.lowerBound,
                    log: log
                )
                state.events.append(.outOfRange(gap))
            }
        }

        /// What a partition's log held when it was assigned, nil if it is not.
        func log(of partition: TopicPartition) -> Range<Int64>? {
            state.withLock { state in state.index(of: partition).map { state.channels[$0].log } }
        }
    }
#endif
