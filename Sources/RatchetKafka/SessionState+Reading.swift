#if Kafka
    import Ratchet

    // How one partition is read.
    extension SessionState {
        /// Why nothing more of a partition can be read.
        enum Stop {
            /// Told in turn.
            case failure(SourceError)
            /// Told once.
            case gap(OffsetGap, isTold: Bool)

            var isToBeTold: Bool { if case .gap(_, isTold: true) = self { false } else { true } }
        }

        /// A place in a partition where a leader had nothing to give.
        struct Miss: Hashable {
            let partition: TopicPartition
            let generation: Int64
            let position: Int64
        }

        /// The place of a partition that is assigned and told of. Throws ``SourceError``: `notAssigned`.
        func index(of partition: TopicPartition) throws(SourceError) -> Int {
            guard let index = fetches.firstIndex(where: { $0.partition == partition && $0.isTold }) else {
                throw SourceError(.notAssigned, "\(partition) is not assigned to this member")
            }
            return index
        }

        /// The same, under this generation. Throws also `fenced`.
        func index(of partition: TopicPartition, generation: Int64) throws(SourceError) -> Int {
            let index = try index(of: partition)
            let assigned = fetches[index].generation
            guard assigned == generation else {
                throw SourceError(.fenced, "\(partition) is assigned under generation \(assigned), not \(generation)")
            }
            return index
        }

        /// What is read from now on is from `offset` on; false where it is being given back and nothing is to be read.
        /// Throws ``SourceError``: `notAssigned`, `fenced`, and `offsetOutOfRange` below 0, where librdkafka's offsets
        /// are names of others.
        mutating func begin(_ partition: TopicPartition, at offset: Int64, generation: Int64) throws(SourceError)
            -> Bool
        {
            let index = try index(of: partition, generation: generation)
            guard offset >= 0 else { throw SourceError(.offsetOutOfRange, "\(partition) has no offset \(offset)") }
            guard !fetches[index].isRevoked else { return false }
            fetches[index].position = offset
            fetches[index].ready.removeAll()
            fetches[index].stop = nil
            return true
        }

        mutating func setPaused(_ paused: Bool, _ partition: TopicPartition) -> Waiter? {
            guard let index = fetches.firstIndex(where: { $0.partition == partition }) else { return nil }
            fetches[index].isPaused = paused
            return takeWaiterIfReady()
        }

        /// Whether a partition is to be read further, and where it is; nil if not.
        func reading(_ partition: TopicPartition) -> (position: Int64, generation: Int64)? {
            guard let fetch = fetches.first(where: { $0.partition == partition }), let position = fetch.position,
                !fetch.isPaused, !fetch.isRevoked, fetch.stop == nil, fetch.ready.count < Self.readyBatches
            else { return nil }
            return (position, fetch.generation)
        }

        /// Takes what was read, unless the partition has been taken away or moved meanwhile.
        mutating func deliver(_ batch: MessageBatch) -> Waiter? {
            guard let index = fetches.firstIndex(where: { $0.partition == batch.partition }),
                fetches[index].generation == batch.generation, fetches[index].position == batch.startOffset,
                !fetches[index].isRevoked
            else { return nil }
            fetches[index].ready.append(batch)
            fetches[index].position = batch.lastOffset + 1
            return takeWaiterIfReady()
        }

        /// Nothing more can be read of a partition.
        mutating func fail(_ partition: TopicPartition, _ failure: SourceError) -> Waiter? {
            guard let index = fetches.firstIndex(where: { $0.partition == partition }) else { return nil }
            fetches[index].stop = .failure(failure)
            return takeWaiterIfReady()
        }

        /// Where a partition is that can be read no further: nil when it is not read, or that is told already.
        func miss(of partition: TopicPartition) -> Miss? {
            guard let fetch = fetches.first(where: { $0.partition == partition }), let position = fetch.position,
                !fetch.isRevoked, fetch.stop == nil
            else { return nil }
            return Miss(partition: partition, generation: fetch.generation, position: position)
        }

        /// A partition's log, which this is, does not hold what comes next. Nothing if that is out of date.
        mutating func tell(_ miss: Miss, log: Range<Int64>) -> Waiter? {
            guard self.miss(of: miss.partition) == miss,
                let index = fetches.firstIndex(where: { $0.partition == miss.partition })
            else { return nil }
            let gap = OffsetGap(
                partition: miss.partition,
                generation: miss.generation,
                position: miss.position,
                log: log
            )
            fetches[index].stop = .gap(gap, isTold: false)
            return takeWaiterIfReady()
        }
    }
#endif
