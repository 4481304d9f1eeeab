#if Kafka
    import Ratchet

    /// What became of each message of a batch. Pure.
    struct SendOutcome {
        enum Fate {
            /// Not sent yet, or to be sent again.
            case open
            case confirmed
            case failed(any Error)
        }

        private(set) var fates: [Fate]

        init(count: Int) { fates = Array(repeating: .open, count: count) }

        /// The messages that are to be sent, in order.
        var open: [Int] { fates.indices.filter { if case .open = fates[$0] { true } else { false } } }

        var failures: [SinkFailure] {
            fates.enumerated().compactMap { index, fate in
                guard case .failed(let error) = fate else { return nil }
                return SinkFailure(index: index, error: error)
            }
        }

        mutating func settle(_ index: Int, _ fate: Fate) { fates[index] = fate }

        /// Has those fail that are behind a failed message of their topic and key, as they would be out of order; also one
        /// that was confirmed: sent again it is behind it.
        mutating func failBehind(in batch: OutgoingBatch) {
            var failed: Set<FailedKey> = []
            batch.bytes.withUnsafeBytes { bytes in
                for index in fates.indices {
                    switch fates[index] {
                    case .failed: if let key = FailedKey(batch.parts(at: index, in: bytes)) { failed.insert(key) }
                    case .open, .confirmed:
                        guard !failed.isEmpty, let key = FailedKey(batch.parts(at: index, in: bytes)),
                            failed.contains(key)
                        else { continue }
                        fates[index] = .failed(
                            KafkaError(
                                .notSent,
                                "it is behind a message of its key that was not written",
                                isRetriable: true
                            )
                        )
                    }
                }
            }
        }
    }

    /// A topic of a batch and a key, of which a message failed.
    struct FailedKey: Hashable {
        private let topic: Int32
        private let key: [UInt8]

        /// Nil for a message without a key: no other one is behind it.
        init?(_ message: OutgoingParts) {
            guard let key = message.key else { return nil }
            topic = message.topic
            self.key = Array(key)
        }
    }

    /// The parts of one message of a batch, in place.
    struct OutgoingParts {
        let topic: Int32
        let partition: Int32
        let key: UnsafeRawBufferPointer?
        let headers: UnsafeRawBufferPointer
        let payload: UnsafeRawBufferPointer
        let timestamp: Int64
    }

    extension OutgoingBatch {
        /// Message `index`, read in place from ``bytes``.
        func parts(at index: Int, in bytes: UnsafeRawBufferPointer) -> OutgoingParts {
            let entry = entries[index]
            guard let parts = try? RecordLayout.parts(of: bytes, at: entry.start) else {
                preconditionFailure("a batch holds what it has encoded itself")
            }
            return OutgoingParts(
                topic: entry.topic,
                partition: entry.partition,
                key: parts.key.map { UnsafeRawBufferPointer(rebasing: bytes[$0]) },
                headers: UnsafeRawBufferPointer(rebasing: bytes[parts.headers]),
                payload: UnsafeRawBufferPointer(rebasing: bytes[parts.payload]),
                timestamp: parts.timestamp
            )
        }
    }
#endif
