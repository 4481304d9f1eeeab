import Seeds

@testable import Ratchet

/// A partition's log and what the simulated ledger knows of it, across all its leases.
struct SimulatedPartition {
    let name: TopicPartition
    let messages: [SampleMessage]
    /// The idempotency key of each message.
    let keys: [UInt64]
    /// Messages that cannot reach a handler.
    let faults: Set<Int>
    var tracker = OffsetTracker(watermark: 0)
    /// How often each message was settled.
    var settled: [Int]
    /// The last message settled of each key of the order.
    var lastOfLane: [[UInt8]: Int64] = [:]
    var lease: PartitionLease?
    var generation: Int64 = 0
    var next = 0
    var isPaused = false

    init(_ number: Int, _ random: inout SeededRandom, keyed: Bool) {
        name = TopicPartition("orders", number)
        var offset: Int64 = 0
        var messages: [SampleMessage] = []
        for _ in 0..<random.below(80) + 20 {
            messages.append(SampleMessage(offset, key: random.chance(85) ? "k\(random.below(4))" : nil))
            offset += Int64(random.below(3)) + 1
        }
        self.messages = messages
        // Few enough to meet each other, in several partitions.
        keys = messages.map { _ in UInt64(random.below(60)) }
        faults = Set(messages.indices.filter { _ in random.chance(4) })
        settled = Array(repeating: 0, count: messages.count)
    }

    var isDone: Bool { settled.allSatisfy { $0 == 1 } }

    func index(of offset: Int64) -> Int { messages.firstIndex { $0.offset == offset } ?? -1 }

    /// What a fetch of up to `count` messages brings.
    mutating func fetch(_ count: Int, under lease: PartitionLease, keyed: Bool) throws -> KeyedBatch {
        let range = next..<min(next + count, messages.count)
        let start = next == 0 ? 0 : messages[next - 1].offset + 1
        next = range.upperBound
        let batch = try MessageBatch(Array(messages[range]), of: name, generation: lease.generation, start: start)
        var stored: [UInt8] = []
        var ends: [UInt32] = []
        for index in range {
            stored.appendLittleEndian(keys[index])
            ends.append(UInt32(stored.count))
        }
        let errors = range.filter { faults.contains($0) }.map { index in
            (index - range.lowerBound, KeyedBatch.Fault(reason: .undecodable, error: CancellationError()))
        }
        return KeyedBatch(
            messages: batch,
            lease: lease,
            payloads: Payloads<Int>([]),
            keys: keyed ? stored : [],
            keyEnds: keyed ? ends : [],
            fingerprints: keyed ? range.map { keys[$0] } : [],
            faults: Dictionary(uniqueKeysWithValues: errors)
        )
    }
}
