/// Packs the deduplication records of one commit. One is made per ledger and used for every commit, on the writer
/// thread.
package struct JournalBuilder: ~Copyable {
    private var records: UnsafeMutableRawPointer
    private var capacity: Int
    private var size = 0
    private var starts: [UInt32] = []
    private var fingerprints: [UInt64] = []
    private var partitions: [TopicPartition] = []

    package init() {
        capacity = 1 << 16
        records = .allocate(byteCount: capacity, alignment: 8)
    }

    deinit { records.deallocate() }

    /// How many records it holds.
    package var count: Int { starts.count }

    /// The fingerprint of record `index`.
    package func fingerprint(at index: Int) -> UInt64 { fingerprints[index] }

    /// The size of the entry that ``write(to:sequence:time:)`` will write, in bytes.
    package var byteCount: Int {
        JournalLayout.headerSize + JournalLayout.slots(for: count) * 2 + count * 4 + size
            + partitions.reduce(0) { $0 + 6 + $1.topic.utf8.count }
    }

    /// The number by which records refer to `partition`.
    package mutating func number(of partition: TopicPartition) -> Int {
        if let last = partitions.last, last == partition { return partitions.count - 1 }
        if let known = partitions.firstIndex(of: partition) { return known }
        partitions.append(partition)
        return partitions.count - 1
    }

    /// Appends the record of one message. `key` has 2 to 65 bytes.
    package mutating func append(
        key: UnsafeRawBufferPointer,
        fingerprint: UInt64,
        outcome: JournalLayout.Outcome,
        partition: Int,
        offset: Int64,
        payloadDigest: UInt32,
        deadLetter: UInt64? = nil
    ) {
        let end = size &+ JournalLayout.recordFixedSize &+ key.count &+ (deadLetter == nil ? 0 : 8)
        if end > capacity { grow(to: end) }
        starts.append(UInt32(truncatingIfNeeded: size))
        fingerprints.append(fingerprint)
        let record = records + size
        record.storeBytes(of: UInt8(truncatingIfNeeded: key.count), as: UInt8.self)
        record.storeBytes(of: outcome.rawValue, toByteOffset: 1, as: UInt8.self)
        record.storeBytes(of: UInt16(truncatingIfNeeded: partition).littleEndian, toByteOffset: 2, as: UInt16.self)
        record.storeBytes(of: payloadDigest.littleEndian, toByteOffset: 4, as: UInt32.self)
        record.storeBytes(of: offset.littleEndian, toByteOffset: 8, as: Int64.self)
        (record + JournalLayout.recordFixedSize).copyMemory(from: key.baseAddress!, byteCount: key.count)
        if let deadLetter {
            record.storeBytes(
                of: deadLetter.littleEndian,
                toByteOffset: JournalLayout.recordFixedSize &+ key.count,
                as: UInt64.self
            )
        }
        size = end
    }

    /// The record of that key among those appended so far.
    package func record(of key: UnsafeRawBufferPointer, fingerprint: UInt64) -> JournalLayout.Record? {
        // Asked only when the index says that this very commit may hold the key: a search from the end is short or
        // rare.
        for index in stride(from: count - 1, through: 0, by: -1) where fingerprints[index] == fingerprint {
            let record = UnsafeRawPointer(records) + Int(starts[index])
            let length = Int(record.load(as: UInt8.self))
            let found = UnsafeRawBufferPointer(start: record + JournalLayout.recordFixedSize, count: length)
            guard length == key.count, found.elementsEqual(key) else { continue }
            let outcome = JournalLayout.Outcome(rawValue: record.load(fromByteOffset: 1, as: UInt8.self))!
            return JournalLayout.Record(
                outcome: outcome,
                partition: Int(UInt16(littleEndian: record.loadUnaligned(fromByteOffset: 2, as: UInt16.self))),
                payloadDigest: UInt32(littleEndian: record.loadUnaligned(fromByteOffset: 4, as: UInt32.self)),
                offset: Int64(littleEndian: record.loadUnaligned(fromByteOffset: 8, as: Int64.self)),
                deadLetter: outcome == .deadLettered
                    ? UInt64(
                        littleEndian: record.loadUnaligned(
                            fromByteOffset: JournalLayout.recordFixedSize + length,
                            as: UInt64.self
                        )
                    ) : nil
            )
        }
        return nil
    }

    /// Writes the entry of ``byteCount`` bytes that is committed under `sequence` at `time` (milliseconds of ledger
    /// time).
    package func write(to entry: UnsafeMutableRawBufferPointer, sequence: UInt64, time: Int64) {
        let slots = JournalLayout.slots(for: count)
        let directory = entry.baseAddress! + JournalLayout.headerSize
        let offsets = directory + slots * 2
        let recordsAt = offsets + count * 4
        let partitionsAt = JournalLayout.headerSize + slots * 2 + count * 4 + size
        entry.storeBytes(of: JournalLayout.version, as: UInt8.self)
        entry.storeBytes(of: 0, toByteOffset: 1, as: UInt8.self)
        entry.storeBytes(of: UInt16(partitions.count).littleEndian, toByteOffset: 2, as: UInt16.self)
        entry.storeBytes(of: UInt32(count).littleEndian, toByteOffset: 4, as: UInt32.self)
        entry.storeBytes(of: time.littleEndian, toByteOffset: 16, as: Int64.self)
        entry.storeBytes(of: UInt32(slots).littleEndian, toByteOffset: 24, as: UInt32.self)
        entry.storeBytes(of: UInt32(partitionsAt).littleEndian, toByteOffset: 28, as: UInt32.self)
        directory.initializeMemory(as: UInt8.self, repeating: 0, count: slots * 2)
        let table = directory.assumingMemoryBound(to: UInt16.self)
        fingerprints.withUnsafeBufferPointer { fingerprints in
            for index in 0..<fingerprints.count {
                var slot = JournalLayout.slot(of: fingerprints[index], slots: slots)
                while table[slot] != 0 { slot = (slot &+ 1) & (slots &- 1) }
                table[slot] = UInt16(truncatingIfNeeded: index &+ 1).littleEndian
            }
        }
        starts.withUnsafeBytes { offsets.copyMemory(from: $0.baseAddress!, byteCount: count * 4) }
        recordsAt.copyMemory(from: records, byteCount: size)
        writePartitions(to: entry, at: partitionsAt)
        entry.storeBytes(
            of: Self.checksum(of: UnsafeRawBufferPointer(entry), sequence: sequence).littleEndian,
            toByteOffset: 8,
            as: UInt64.self
        )
    }

    private func writePartitions(to entry: UnsafeMutableRawBufferPointer, at start: Int) {
        var at = start
        for partition in partitions {
            let topic = Array(partition.topic.utf8)
            entry.storeBytes(of: UInt16(topic.count).littleEndian, toByteOffset: at, as: UInt16.self)
            entry.storeBytes(of: Int32(partition.partition).littleEndian, toByteOffset: at + 2, as: Int32.self)
            UnsafeMutableRawBufferPointer(rebasing: entry[(at + 6)...]).copyBytes(from: topic)
            at += 6 + topic.count
        }
    }

    /// Forgets all records and keeps the memory.
    package mutating func removeAll() {
        size = 0
        starts.removeAll(keepingCapacity: true)
        fingerprints.removeAll(keepingCapacity: true)
        partitions.removeAll(keepingCapacity: true)
    }

    private mutating func grow(to needed: Int) {
        let larger = max(needed, capacity * 2)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 8)
        memory.copyMemory(from: records, byteCount: size)
        records.deallocate()
        records = memory
        capacity = larger
    }

    /// The checksum of an entry: all of it but for the checksum itself, and its sequence.
    package static func checksum(of entry: UnsafeRawBufferPointer, sequence: UInt64) -> UInt64 {
        let first = UInt64(littleEndian: entry.loadUnaligned(as: UInt64.self))
        let head = withUnsafeBytes(of: (first.littleEndian, sequence.littleEndian)) { Checksum.xxh64($0) }
        return Checksum.xxh64(UnsafeRawBufferPointer(rebasing: entry[16...]), seed: head)
    }
}
