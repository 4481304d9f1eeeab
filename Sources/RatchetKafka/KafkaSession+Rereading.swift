#if Kafka
    public import Ratchet
    import Synchronization

    extension KafkaSession: RereadableSession {
        /// Messages that the partition's log still holds, up to 1,000 of them; see ``/Ratchet/RereadableSession``. Waits
        /// while the partition's leader cannot be reached. Meanwhile the member stays one, for as long as nothing is to be
        /// told to it, and then for ``KafkaConfiguration/rebalanceTimeout``.
        ///
        /// Throws ``/Ratchet/SourceError``: `notAssigned`, `corrupted`; ``KafkaError`` when it cannot be read;
        /// `CancellationError` when cancelled.
        public func messages(
            from offset: Int64,
            to end: Int64,
            of partition: TopicPartition
        ) async throws -> MessageBatch? {
            while true {
                try Task.checkCancellation()
                let generation = try generation(of: partition)
                guard max(0, offset) < end else { return nil }
                switch try await reader().messages(from: max(0, offset), to: end, of: partition, generation) {
                case .messages(let batch): return batch
                case .nothing: return nil
                case .noAnswer: continue
                }
            }
        }

        private func reader() throws -> LogReader {
            try logReader.withLock { reader in
                let current = try reader ?? LogReader(thread.configuration)
                reader = current
                return current
            }
        }
    }
#endif
