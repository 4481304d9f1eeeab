import Seeds
import Testing

@testable import Ratchet
@testable import RatchetBroker

/// The rows have checksums behind them, which are left out here: what a row says is to be bounded by itself.
@Suite("Fuzzing: rows of the broker", .fuzzing)
struct BrokerRowTests {
    @Test("Rows of the broker are refused, or within their bounds", arguments: Seed.some(1))
    func rows(seed: Seed) async throws {
        try await Fuzz.run("broker-rows", seed, rounds: 10_000) { random in
            let id = random.bytes(16)
            let topic = TopicRow(id: id, uids: [3, 4, 5, 9], settings: TopicSettings(partitions: 4)).encoded
            let bytes = topic.damaged(by: random.bytes(48), &random)
            if let row = try? bytes.withUnsafeBytes({ try TopicRow($0, name: "t") }) {
                #expect(1...TopicSettings.maximumPartitions ~= row.settings.partitions)
                #expect(row.uids.count == row.settings.partitions)
                let again = try row.encoded.withUnsafeBytes { try TopicRow($0, name: "t") }
                #expect(again == row)
            }
            let partition = PartitionRow().withBytes { Array($0) }.damaged(by: random.bytes(24), &random)
            if let row = try? partition.withUnsafeBytes({ try PartitionRow($0, uid: 1) }) {
                // Room for all that may ever be appended.
                #expect(row.end.addingReportingOverflow(1 << 48).overflow == false)
                #expect(row.bytes.addingReportingOverflow(1 << 48).overflow == false)
            }
            let key = LogKey(1, 2).withBytes { Array($0) }.damaged(by: random.bytes(12), &random)
            if let read = key.withUnsafeBytes({ LogKey($0) }) { #expect(read.withBytes { Array($0) } == key) }
        }
    }

    @Test("What queues have settled is refused, or within its bounds", arguments: Seed.some(1))
    func shared(seed: Seed) async throws {
        try await Fuzz.run("shared-rows", seed, rounds: 10_000) { random in
            let whole = Sample.sharedRow(&random).encoded
            let bytes = whole.damaged(by: Sample.sharedRow(&random).encoded, &random)
            guard let row = try? bytes.withUnsafeBytes({ try SharedRow($0, "q") }) else {
                #expect(bytes != whole)
                return
            }
            #expect(row.settled + Int64(row.slots.count) <= row.mark && row.mark < PartitionRow.maximum)
            let again = try row.encoded.withUnsafeBytes { try SharedRow($0, "q") }
            #expect(again == row)
            // The log may hold more or less than the row has heard of.
            let start = Int64(random.below(100))
            var partition = SharedPartition(row, log: start..<start + Int64(random.below(100)))
            let taken = partition.take(20, for: 1, spread: 50)
            #expect(taken.allSatisfy { $0.offset >= row.settled })
            for message in taken { partition.settle(message.offset) }
            #expect(partition.settled >= row.settled)
            let next = partition.takeRow()
            let last = try next.encoded.withUnsafeBytes { try SharedRow($0, "q") }
            #expect(last == next)
        }
    }

    @Test("What is known of producers is refused, or within its bounds", arguments: Seed.some(1))
    func producers(seed: Seed) async throws {
        try await Fuzz.run("producer-rows", seed, rounds: 10_000) { random in
            let named = ProducerRow(id: Int64(random.below(9)), incarnation: 3, lastUse: 7)
            let bytes = named.encoded.damaged(by: random.bytes(24), &random)
            if let row = try? bytes.withUnsafeBytes({ try ProducerRow($0, "p") }) {
                #expect(0..<PartitionRow.maximum ~= row.id && row.encoded == bytes)
                #expect(0...ProducerEpoch.maximumIncarnation ~= row.incarnation)
            }
            let whole = SequenceTable.encoded(Sample.sequences(&random))
            let damaged = whole.damaged(by: SequenceTable.encoded(Sample.sequences(&random)), &random)
            guard let entry = try? damaged.withUnsafeBytes({ try SequenceTable.entry($0, 1, 2) }) else {
                #expect(damaged != whole)
                return
            }
            #expect(SequenceTable.encoded(entry) == damaged)
            var sequences = ProducerSequences()
            sequences.remember(entry, of: 2)
            let stamp = ProducerStamp(producer: 2, epoch: entry.epoch, sequences: entry.batches[0].sequences)
            #expect(sequences.verdict(on: stamp) == .isRepeat(offset: entry.batches[0].offset))
            _ = sequences.verdict(on: ProducerStamp(producer: 2, epoch: 1, sequences: 5...9))
            sequences.record(stamp, at: 1, now: 1)
            #expect(entry.cut(at: 0) == nil)
        }
    }

    @Test("What replicas and leaders have written is refused, or within its bounds", arguments: Seed.some(1))
    func replication(seed: Seed) async throws {
        try await Fuzz.run("replication-rows", seed, rounds: 10_000) { random in
            let whole = Sample.leadership(&random).encoded
            let bytes = whole.damaged(by: Sample.leadership(&random).encoded, &random)
            if let row = try? bytes.withUnsafeBytes({ try Leadership($0, "l") }) {
                #expect((row.inSync + row.eligible + row.wiped).allSatisfy(row.replicas.contains))
                #expect(row.leader.map(row.replicas.contains) ?? true)
                let again = try row.encoded.withUnsafeBytes { try Leadership($0, "l") }
                #expect(again == row)
            } else {
                #expect(bytes != whole)
            }
            let replica = Sample.replica(&random).encoded
            let damaged = replica.damaged(by: Sample.replica(&random).encoded, &random)
            if let row = try? damaged.withUnsafeBytes({ try ReplicaRow($0, "r") }) {
                let starts = row.epochs.entries.map(\.start)
                #expect(zip(starts, starts.dropFirst()).allSatisfy { $0 < $1 })
                #expect(row.epochs.entries.allSatisfy { $0.epoch >= 0 && 0..<PartitionRow.maximum ~= $0.start })
                #expect(0..<PartitionRow.maximum ~= row.highWatermark)
                let again = try row.encoded.withUnsafeBytes { try ReplicaRow($0, "r") }
                #expect(again == row)
            } else {
                #expect(damaged != replica)
            }
        }
    }
}

extension Sample {
    fileprivate static func sharedRow(_ random: inout SeededRandom) -> SharedRow {
        let settled = Int64(random.below(50))
        let slots = (0..<random.below(12)).map { _ in random.chance(40) ? nil : UInt16(random.below(5)) }
        return SharedRow(settled: settled, mark: settled + Int64(slots.count + random.below(20)), slots: slots)
    }

    fileprivate static func sequences(_ random: inout SeededRandom) -> ProducerSequences.Entry {
        var next = Int32(random.below(100))
        let batches = (0...random.below(5)).map { index in
            let last = next + Int32(random.below(9))
            defer { next = last + 1 }
            return ProducerSequences.Batch(sequences: next...last, offset: Int64(index * 10))
        }
        return .init(epoch: Int32(random.below(9)), lastUse: Int64(random.below(1 << 40)), batches: batches)
    }

    fileprivate static func leadership(_ random: inout SeededRandom) -> Leadership {
        var leadership = Leadership(replicas: Array([0, 1, 2].shuffled(using: &random).prefix(random.below(3) + 1)))
        leadership.setInSync(leadership.replicas.filter { _ in random.chance(70) })
        if random.chance(30) { leadership.forget(random.below(3), withDisk: random.chance(50)) }
        leadership.minimum = random.below(3) + 1
        _ = leadership.elect { _ in random.chance(80) }
        leadership.version = Int64(random.below(100))
        return leadership
    }

    fileprivate static func replica(_ random: inout SeededRandom) -> ReplicaRow {
        var start: Int64 = 0
        let entries = (0..<random.below(5)).map { epoch in
            defer { start += Int64(random.below(9) + 1) }
            return LeaderEpochs.Entry(epoch: Int32(epoch), start: start)
        }
        let unlearned = random.chance(50) ? Int64(random.below(9)) : nil
        return ReplicaRow(epochs: LeaderEpochs(entries), highWatermark: start, unlearned: unlearned)
    }
}
