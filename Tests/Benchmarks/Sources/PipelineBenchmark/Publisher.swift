import Ratchet
import RatchetBroker

/// Sends the messages in batches of a thousand, four of them in flight.
struct Publisher: Sendable {
    let messages: Int
    let customers: Int
    let duplicates: Double

    func run(_ broker: Broker) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var inFlight = 0
            var number = 0
            while number < messages {
                let end = min(number + 1000, messages)
                let batch = try batch(number..<end)
                if inFlight == 4 { try await group.next() } else { inFlight += 1 }
                group.addTask { let _: [RecordMetadata] = try await broker.send(batch) }
                number = end
            }
            try await group.waitForAll()
        }
    }

    private func batch(_ range: Range<Int>) throws -> OutgoingBatch {
        var batch = OutgoingBatch()
        var generator = Generator(state: UInt64(range.lowerBound))
        for number in range {
            try append(number, to: &batch)
            // Again, some batches later, under a new offset.
            if Double(generator.next() >> 11) / Double(1 << 53) < duplicates, number >= 5000 {
                try append(number - 5000, to: &batch)
            }
        }
        return batch
    }

    private func append(_ number: Int, to batch: inout OutgoingBatch) throws {
        var generator = Generator(state: UInt64(number))
        let customer = generator.next() % UInt64(customers)
        var payload = [UInt8](repeating: 0x2E, count: 100)
        payload.withUnsafeMutableBytes { $0.storeBytes(of: customer, as: UInt64.self) }
        let key = withUnsafeBytes(of: customer) { Array($0) }
        let id = [generator.next(), UInt64(number)].withUnsafeBytes { Array($0) }
        try batch.append(to: "orders", key: key, payload: payload, headers: [Header(Header.messageIDName, id)])
    }
}

/// SplitMix64 by Sebastiano Vigna.
struct Generator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
