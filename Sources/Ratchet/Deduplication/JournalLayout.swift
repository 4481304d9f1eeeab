/// The encoding of one journal entry: the deduplication records of one commit, packed into one value.
///
///     version u8 | zero u8 | partitions u16 | count u32 | xxh64 u64 (of all that follows, seeded with what precedes and the sequence) | ledgerTime i64 (ms)
///     | slots u32 | partitionsAt u32 | directory: slots × u16 | record offsets: count × u32 | records | partitions
///     record: keyLength u8 | outcome u8 | partition u16 | payloadDigest u32 | offset i64 | key | deadLetter u64, if dead-lettered
///     partition: topicLength u16 | partition i32 | topic
///
/// The directory is an open-addressing table from fingerprint to record number + 1, so that looking a key up costs the
/// same in a large entry as in a small one.
package enum JournalLayout {
    package static let version: UInt8 = 1
    package static let headerSize = 32
    package static let recordFixedSize = 16
    /// The most records of one entry: the directory's slots are of 16 bits.
    package static let maximumRecords = 32_768

    /// What became of a message.
    package enum Outcome: UInt8, Sendable {
        case processed = 1
        case deadLettered = 2
        case discarded = 3
        /// Taken back by a reprocess: as if it had never been.
        case forgotten = 4
        /// Done under another ledger, whose partition was taken over.
        case passed = 5
    }

    /// A record as found.
    package struct Record: Hashable, Sendable {
        package var outcome: Outcome
        package var partition: Int
        package var payloadDigest: UInt32
        package var offset: Int64
        package var deadLetter: UInt64?
    }

    package static func slots(for count: Int) -> Int {
        var slots = 4
        while slots * 3 < count * 4 { slots *= 2 }
        return slots
    }

    @inline(__always)
    package static func slot(of fingerprint: UInt64, slots: Int) -> Int { Int(fingerprint &>> 20) & (slots &- 1) }
}

/// A journal entry, read in place.
package struct JournalEntry {
    private let bytes: UnsafeRawBufferPointer
    package let count: Int
    /// When it was committed, in milliseconds of ledger time.
    package let time: Int64
    private let slots: Int
    private let partitionsAt: Int
    private let partitionCount: Int

    private var offsetsAt: Int { JournalLayout.headerSize + slots * 2 }
    private var recordsAt: Int { offsetsAt + count * 4 }

    /// Checks the lengths; nil if they do not fit. `verified(_:)` checks the checksum too.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= JournalLayout.headerSize, bytes[0] == JournalLayout.version else { return nil }
        self.bytes = bytes
        partitionCount = Int(UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
        count = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
        time = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 16, as: Int64.self))
        slots = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt32.self)))
        partitionsAt = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 28, as: UInt32.self)))
        guard count <= JournalLayout.maximumRecords, slots == JournalLayout.slots(for: count),
            JournalLayout.headerSize + slots * 2 + count * 4 <= partitionsAt, partitionsAt <= bytes.count
        else { return nil }
    }

    /// Whether it is the entry that was written under this sequence.
    package func verified(_ sequence: UInt64) -> Bool {
        let sum = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        return bytes[1] == 0 && sum == JournalBuilder.checksum(of: bytes, sequence: sequence)
    }

    /// The record of that key, nil if it is not in this entry; throws ``CorruptionError`` when a length does not fit.
    package func record(of key: UnsafeRawBufferPointer, fingerprint: UInt64) throws(CorruptionError) -> Record? {
        var slot = JournalLayout.slot(of: fingerprint, slots: slots)
        for _ in 0..<slots {
            let number = Int(
                UInt16(
                    littleEndian: bytes.loadUnaligned(
                        fromByteOffset: JournalLayout.headerSize + slot * 2,
                        as: UInt16.self
                    )
                )
            )
            if number == 0 { return nil }
            let (found, record) = try self.record(at: number - 1)
            if found.count == key.count, found.elementsEqual(key) { return record }
            slot = (slot + 1) & (slots - 1)
        }
        return nil
    }

    package typealias Record = JournalLayout.Record

    /// The key and record number `index`, in `0..<count`.
    package func record(at index: Int) throws(CorruptionError) -> (key: UnsafeRawBufferPointer, record: Record) {
        let start = try self.start(of: index)
        let keyAt = start + JournalLayout.recordFixedSize
        let keyLength = Int(bytes[start])
        guard let outcome = JournalLayout.Outcome(rawValue: bytes[start + 1]), keyLength > 0,
            keyAt + keyLength <= partitionsAt
        else { throw Self.malformed(index) }
        var record = Record(
            outcome: outcome,
            partition: Int(UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 2, as: UInt16.self))),
            payloadDigest: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 4, as: UInt32.self)),
            offset: Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 8, as: Int64.self))
        )
        if outcome == .deadLettered {
            let at = keyAt + keyLength
            guard at + 8 <= partitionsAt else { throw Self.malformed(index) }
            record.deadLetter = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        }
        return (UnsafeRawBufferPointer(rebasing: bytes[keyAt..<keyAt + keyLength]), record)
    }

    /// Where record `index` has its outcome, from the start of the entry.
    package func outcomeOffset(of index: Int) throws(CorruptionError) -> Int { try start(of: index) + 1 }

    private func start(of index: Int) throws(CorruptionError) -> Int {
        guard index >= 0, index < count else { throw Self.malformed(index) }
        let offset = Int(
            UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offsetsAt + index * 4, as: UInt32.self))
        )
        let start = recordsAt + offset
        guard start + JournalLayout.recordFixedSize <= partitionsAt else { throw Self.malformed(index) }
        return start
    }

    /// The partitions that records refer to by number.
    package func partitions() throws(CorruptionError) -> [TopicPartition] {
        var at = partitionsAt
        var partitions: [TopicPartition] = []
        for _ in 0..<partitionCount {
            guard at + 6 <= bytes.count else { throw Self.malformed(-1) }
            let length = Int(UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt16.self)))
            let partition = Int(Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: at + 2, as: Int32.self)))
            guard at + 6 + length <= bytes.count else { throw Self.malformed(-1) }
            partitions.append(
                TopicPartition(String(decoding: bytes[(at + 6)..<(at + 6 + length)], as: UTF8.self), partition)
            )
            at += 6 + length
        }
        return partitions
    }

    private static func malformed(_ index: Int) -> CorruptionError {
        CorruptionError("deduplication record \(index) of a journal entry")
    }
}
