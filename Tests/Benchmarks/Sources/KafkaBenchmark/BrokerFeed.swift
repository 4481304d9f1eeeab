import Ratchet
import RatchetBroker
import Synchronization

/// Refills a topic of the in-process broker with what `kafka-feed` sends to Kafka: batches of 2,000 to one partition after
/// the other, four in flight, and no more than so many messages beyond those that were read.
final class BrokerFeed: Sendable {
    private static let turn = 2_000
    private let messages: Int
    private let partitions: Int
    private let ahead: Int
    private let customers: UInt64
    private let consumed = Atomic(0)

    init(messages: Int, partitions: Int, ahead: Int, customers: UInt64) {
        (self.messages, self.partitions, self.ahead, self.customers) = (messages, partitions, ahead, customers)
    }

    func consumed(_ count: Int) { consumed.store(count, ordering: .relaxed) }

    func run(_ broker: Broker) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var (sent, inFlight) = (0, 0)
            while sent < messages {
                while sent - consumed.load(ordering: .relaxed) + Self.turn > ahead {
                    try await ContinuousClock().sleep(for: .milliseconds(1))
                }
                let end = min(sent + Self.turn, messages)
                let batch = try batch(sent..<end)
                if inFlight == 4 { try await group.next() } else { inFlight += 1 }
                group.addTask { let _: [RecordMetadata] = try await broker.send(batch) }
                sent = end
            }
            try await group.waitForAll()
        }
    }

    private func batch(_ range: Range<Int>) throws -> OutgoingBatch {
        var batch = OutgoingBatch()
        for number in range {
            var generator = Generator(state: UInt64(number))
            let customer = generator.next() % customers
            var payload = [UInt8](repeating: 0x2E, count: 100)
            let id = generator.next()
            payload.withUnsafeMutableBytes {
                $0.storeBytes(of: customer, as: UInt64.self)
                $0.storeBytes(of: id, toByteOffset: 8, as: UInt64.self)
                $0.storeBytes(of: UInt64(number), toByteOffset: 16, as: UInt64.self)
            }
            let key = withUnsafeBytes(of: customer) { Array($0) }
            try batch.append(
                to: "orders",
                key: key,
                payload: payload,
                partition: number / Self.turn % partitions
            )
        }
        return batch
    }
}

/// SplitMix64 by Sebastiano Vigna.
private struct Generator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
