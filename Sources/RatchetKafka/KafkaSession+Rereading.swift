#if Kafka
    import Logging
    public import Ratchet
    import Synchronization

    extension KafkaSession: RereadableSession {
        /// Messages that the partition's log still holds, up to 1,000 of them; see ``/Ratchet/RereadableSession``: what it
        /// does not hold any more is left out, with a warning. Waits while the partition's leader cannot be reached.
        /// Meanwhile the member stays one, for as long as nothing is to be told to it, and then for
        /// ``KafkaConfiguration/rebalanceTimeout``.
        ///
        /// Throws ``/Ratchet/SourceError``: `notAssigned`, `corrupted`; ``KafkaError`` when it cannot be read;
        /// `CancellationError` when cancelled.
        public func messages(
            from offset: Int64,
            to end: Int64,
            of partition: TopicPartition
        ) async throws -> MessageBatch? {
            var start = max(0, offset)
            while true {
                try Task.checkCancellation()
                let generation = try generation(of: partition)
                guard start < end else { return nil }
                let reader = try takeReader(of: partition, at: start)
                switch try await reader.read(to: end, generation) {
                case .messages(let batch, let isLast):
                    if !isLast { keep(reader) }
                    return batch
                case .nothing: return nil
                case .gone(let first):
                    thread.configuration.logger.warning(
                        "retention has deleted what was to be read again: it is left out",
                        metadata: [
                            LogKeys.partitions: "\(partition)",
                            Ratchet.LogKeys.offset: "\(start)", Ratchet.LogKeys.position: "\(first)",
                        ]
                    )
                    start = max(start, first)
                case .noAnswer: keep(reader)
                }
            }
        }

        /// The reader that has come so far, or a new one.
        private func takeReader(of partition: TopicPartition, at offset: Int64) throws -> LogReader {
            if let kept = logReader.withLock({ $0.take() }), kept.partition == partition, kept.position == offset {
                return kept
            }
            return try LogReader(thread.configuration, partition, from: offset)
        }

        private func keep(_ reader: LogReader) { logReader.withLock { $0 = reader } }
    }
#endif
