import Seeds

@testable import Ratchet

/// Valid bytes of each format, as its encoder writes them.
enum Sample {
    static func headers(_ random: inout SeededRandom) -> [Header] {
        (0..<random.below(4)).map { _ in Header("h\(random.below(3))", random.bytes(random.below(9))) }
    }

    static func record(_ random: inout SeededRandom) -> [UInt8] {
        var record: [UInt8] = []
        let (key, headers) = (random.bytes(random.below(20) + 1), headers(&random))
        let hasKey = random.chance(70)
        random.bytes(random.below(40)).withUnsafeBytes { payload in
            key.withUnsafeBytes {
                record.appendRecord(key: hasKey ? $0 : nil, headers: headers, payload: payload, timestamp: 1_000)
            }
        }
        return record
    }

    /// The number under which entries, letters and so on are written.
    static let sequence: UInt64 = 1
    static let positionKey = PositionLayout.key(cluster: "c", topic: "t", partition: 0, group: "g")

    static func journalEntry(_ random: inout SeededRandom) -> [UInt8] {
        var builder = JournalBuilder()
        let partitions = (0...random.below(3)).map { builder.number(of: TopicPartition("orders", $0)) }
        for _ in 0...random.below(20) {
            let outcomes: [JournalLayout.Outcome] = [.processed, .deadLettered, .discarded, .forgotten]
            let outcome = outcomes[random.below(outcomes.count)]
            random.bytes(random.below(60) + 2).withUnsafeBytes { key in
                builder.append(
                    key: key,
                    fingerprint: random.next(),
                    outcome: outcome,
                    partition: partitions[random.below(partitions.count)],
                    offset: Int64(random.below(1 << 40)),
                    payloadDigest: UInt32(truncatingIfNeeded: random.next()),
                    deadLetter: outcome == .deadLettered ? random.next() : nil
                )
            }
        }
        var bytes = [UInt8](repeating: 0, count: builder.byteCount)
        bytes.withUnsafeMutableBytes { builder.write(to: $0, sequence: sequence, time: 5) }
        return bytes
    }

    static func position(_ random: inout SeededRandom) -> [UInt8] {
        var tracker = OffsetTracker(watermark: Int64(random.below(1000)))
        for _ in 0..<random.below(8) {
            let start = tracker.watermark + Int64(random.below(200))
            tracker.settle(start..<start + Int64(random.below(5)) + 1, digest: random.next())
        }
        var bytes: [UInt8] = []
        PositionLayout.encode(
            .init(tracker: tracker, generation: Int64(random.below(100))),
            key: positionKey,
            into: &bytes
        )
        return bytes
    }

    static func deadLetter(_ random: inout SeededRandom, id: UInt64 = sequence) throws -> DeadLetter {
        DeadLetter(
            id: id,
            reason: .handler,
            partition: TopicPartition("orders", random.below(9)),
            offset: Int64(random.below(1 << 40)),
            key: random.chance(50) ? random.bytes(random.below(9) + 1) : nil,
            headers: headers(&random),
            payload: random.bytes(random.below(50)),
            timestamp: Int64(random.below(1 << 40)),
            idempotencyKey: random.chance(50) ? try IdempotencyKey("id") : nil,
            attempts: random.below(20),
            errorType: "Module.Failure",
            errorMessage: "schief gegangen: ß",
            time: Int64(random.below(1 << 40)),
            group: "billing",
            generation: Int64(random.below(100)),
            ledger: String(repeating: "a", count: 32),
            epoch: String(repeating: "b", count: 16),
            deliveries: (0..<random.below(4)).map { .init(partition: TopicPartition("orders", $0), offset: Int64($0)) },
            deliveryCount: random.below(1000)
        )
    }

    static func outboxEntry(_ random: inout SeededRandom, as number: UInt64 = sequence) throws -> [UInt8] {
        var batch = OutgoingBatch()
        for _ in 0...random.below(6) {
            try batch.append(
                to: "topic\(random.below(3))",
                key: random.chance(70) ? [UInt8(random.below(5))] : nil,
                payload: random.bytes(random.below(30)),
                headers: headers(&random),
                partition: random.chance(20) ? random.below(4) : nil
            )
        }
        var entries: [[UInt8]] = []
        OutboxLayout.encode(batch, from: number) { entries.append($1) }
        return entries[0]
    }
}
