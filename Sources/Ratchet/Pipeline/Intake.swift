/// Makes a fetched batch ready to be scheduled: payloads decoded, keys taken, fingerprints made. Runs outside of all
/// locks.
struct Intake<Payload: Sendable>: Sendable {
    let decoder: Decoder<Payload>
    let keys: KeySource<Payload>
    let fingerprint: Fingerprint
    /// Where handlers run in tasks: their order.
    let ordering: Ordering?

    func take(_ batch: MessageBatch, under lease: PartitionLease) -> KeyedBatch {
        var payloads: [Payload] = []
        payloads.reserveCapacity(batch.count)
        var faults: [Int: KeyedBatch.Fault] = [:]
        var stored: [UInt8] = []
        var ends: [UInt32] = []
        if keys.append != nil {
            stored.reserveCapacity(batch.count * 24)
            ends.reserveCapacity(batch.count)
        }
        for index in 0..<batch.count {
            do throws(KeyedBatch.Fault) {
                payloads.append(try decode(batch[index], appendingKeyTo: &stored))
            } catch {
                faults[index] = error
            }
            if keys.append != nil { ends.append(UInt32(stored.count)) }
        }
        return KeyedBatch(
            messages: batch,
            lease: lease,
            payloads: Payloads(payloads, faults: faults.keys.sorted()),
            keys: stored,
            keyEnds: ends,
            fingerprints: fingerprints(of: stored, ends),
            faults: faults,
            lanes: ordering.map { ordering in
                (0..<batch.count).map { ordering.lane(of: $0, in: batch, slot: lease.slot) }
            } ?? []
        )
    }

    /// The keys of messages that another ledger has done; `indices` are at most ``KeyBatch/maximumCount``.
    func keys(of batch: MessageBatch, _ indices: Range<Int>) -> KeyBatch {
        var keys = KeyBatch(passedIn: batch.partition)
        for index in indices {
            keys.append(offset: batch.offset(at: index)) { stored in
                // One at fault has a key all the same: it became a dead letter under it.
                do throws(KeyedBatch.Fault) { _ = try decode(batch[index], appendingKeyTo: &stored) } catch {}
            }
        }
        return keys
    }

    /// Decodes a message and appends its key; that of the payload's bytes where either fails.
    @inline(__always)
    private func decode(
        _ message: Message,
        appendingKeyTo stored: inout [UInt8]
    ) throws(KeyedBatch.Fault) -> Payload {
        let start = stored.count
        var reason = DeadLetter.Reason.undecodable
        do {
            let payload = try decoder.decode(message)
            reason = .key
            try keys.append?(payload, message, &stored)
            return payload
        } catch {
            if keys.append != nil {
                stored.removeLast(stored.count - start)
                stored.append(contentsOf: message.withPayloadBytes { IdempotencyKey(payload: $0).stored })
            }
            throw KeyedBatch.Fault(reason: reason, error: error)
        }
    }

    private func fingerprints(of keys: [UInt8], _ ends: [UInt32]) -> [UInt64] {
        let fingerprint = fingerprint
        return keys.withUnsafeBytes { keys in
            var start = 0
            return ends.map { end in
                defer { start = Int(end) }
                return fingerprint(UnsafeRawBufferPointer(rebasing: keys[start..<Int(end)]))
            }
        }
    }
}

/// The decoded payloads of a batch.
final class Payloads<Payload: Sendable>: Sendable {
    private let payloads: [Payload]
    /// The messages at fault, which have none, in rising order.
    private let faults: [Int]

    init(_ payloads: [Payload], faults: [Int] = []) {
        self.payloads = payloads
        self.faults = faults
    }

    /// The payload of a message that reached its handler.
    static func payload(of entry: SettlementEntry) -> Payload {
        // Each pipeline makes its own batches and sees no others.
        let payloads = unsafeDowncast(entry.batch.payloads, to: Payloads<Payload>.self)
        let index = Int(entry.index)
        guard !payloads.faults.isEmpty else { return payloads.payloads[index] }
        return payloads.payloads[index - payloads.faults.count { $0 < index }]
    }
}
