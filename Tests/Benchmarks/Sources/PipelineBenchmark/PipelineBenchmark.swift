import ArgumentParser
import Ratchet
import RatchetBroker

/// Measures the pipeline end to end on the durable in-process broker: raw payloads of 100 bytes, one balance updated per message, keys
/// deduplicated, everything synced.
@main
struct PipelineBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "pipeline-benchmark")

    enum Handler: String, ExpressibleByArgument, CaseIterable { case transactional, async }

    @Option(help: "Messages, 1000 or more.") var messages = 1_000_000
    @Option(help: "transactional or async.") var handler = Handler.transactional
    @Option(help: "The share that is sent again, 0 to 1.") var duplicates = 0.0
    @Option(help: "Different customers.") var customers = 23_570
    @Flag(help: "Publish while consuming, and count both.") var publish = false
    @Flag(help: "Without idempotency keys: by position only.") var positionOnly = false
    @Option(help: "The folder; it must not exist.") var directory: String

    func run() async throws {
        let clock = ContinuousClock()
        let broker = try await Broker(at: directory + "-broker")
        let ledger = try Ledger(at: directory + "-ledger")
        try await broker.createTopic("orders", partitions: 4)
        let publisher = Publisher(messages: messages, customers: customers, duplicates: duplicates)
        if !publish { try await publisher.run(broker) }
        let balances = StateTable<UInt64, Int>("balances")
        let pipeline = pipeline(broker, ledger, balances)
        let start = clock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pipeline.run() }
            if publish { try await publisher.run(broker) }
            let description = try broker.describe("orders")
            let ends = Dictionary(uniqueKeysWithValues: description.partitions.map { ($0.partition, $0.log.upperBound) })
            await pipeline.settled(through: ends)
            group.cancelAll()
            do { try await group.waitForAll() } catch is CancellationError {}
        }
        let seconds = Double((clock.now - start) / .milliseconds(1)) / 1000
        let statistics = pipeline.statistics
        var total = 0
        try ledger.reader.forEach(in: balances) { _, cents in total += cents }
        guard statistics.processed == messages, total == messages else { throw ExitCode(1) }
        let all = statistics.processed + statistics.duplicates
        print("{\"messages\":\(all),\"seconds\":\(seconds),\"rate\":\(Int(Double(all) / seconds)),\"duplicates\":\(statistics.duplicates),\"resident\":\(Memory.residentBytes),\"index\":\(ledger.indexByteCount)}")
        await ledger.close()
        try await broker.close()
    }

    private func pipeline(_ broker: Broker, _ ledger: Ledger, _ balances: StateTable<UInt64, Int>) -> Pipeline<Message> {
        let source = broker.subscribe(to: "orders", as: "billing")
        let keys: KeySource<Message> = positionOnly ? .positionOnly : .messageID
        switch handler {
        case .transactional:
            return Pipeline("billing", from: source, ledger: ledger, decoding: .raw, identifiedBy: keys, transactional: { message, transaction in
                try transaction.update(balances, customer(message), default: 0) { $0 += 1 }
            })
        case .async:
            return Pipeline("billing", from: source, ledger: ledger, decoding: .raw, identifiedBy: keys) { message, context in
                await Task.yield()
                let customer = customer(message)
                context.onCommit { try $0.update(balances, customer, default: 0) { $0 += 1 } }
            }
        }
    }
}

private func customer(_ message: Message) -> UInt64 {
    message.withPayload { $0.unsafeLoadUnaligned(as: UInt64.self) }
}

/// Sends the messages in batches of a thousand, a few of them in flight.
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
