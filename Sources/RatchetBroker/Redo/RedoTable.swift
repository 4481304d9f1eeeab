import LMDB
import Ratchet

/// The table `redo` of a broker with several nodes, keyed by ``RedoKey``: messages that are decided to be in their
/// partitions' logs, written with what was decided together with them, and removed once the logs have them.
///
///     uid u32 | count u32 | first sequence i32 | zero u32 | maximum timestamp i64 | owner i64, -1 for none | records
enum RedoTable {
    private static let fixedSize = 32

    /// Writes the batch's messages under the next number; returns the parts. Throws when a topic was deleted meanwhile.
    static func write(
        _ batch: RoutedBatch,
        owner: Int64?,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws -> [RedoLog.Part] {
        let number = try nextNumber(in: transaction, tables)
        var parts: [RedoLog.Part] = []
        for (index, segment) in batch.segments.enumerated() {
            guard try transaction.partition(segment.log.uid, in: tables) != nil else {
                let topic = segment.log.partition.topic
                throw MessageError(.unknownTopic, "topic '\(topic)' was deleted: create it again")
            }
            var sequence: Int32 = 0
            // Each of them a chunk at the most.
            for part in batch.parts(of: index, messages: ChunkLayout.maximumCount, bytes: ChunkLayout.maximumBytes) {
                let messages = RedoMessages(log: segment.log, part: part, firstSequence: sequence)
                sequence = messages.sequences.upperBound + 1
                parts.append(messages.part(RedoKey(number, UInt32(parts.count)), owner))
            }
        }
        for part in parts { try write(part, in: transaction, tables) }
        return parts
    }

    private static func nextNumber(in transaction: borrowing WriteTransaction, _ tables: Tables) throws -> Int64 {
        let what = "the number of the next decision"
        let stored = try transaction.sealedText(SealedRow.nextDecision, in: tables.meta, what)
        guard stored?.count ?? 8 == 8 else {
            throw BrokerError(.corrupted, "\(what) has \(stored?.count ?? 0) bytes, not 8")
        }
        let next = stored.map { Int64(littleEndian: $0.loadUnaligned(as: Int64.self)) } ?? 0
        guard 0..<PartitionRow.maximum ~= next else { throw BrokerError(.corrupted, "\(what) is \(next)") }
        var following: [UInt8] = []
        following.appendLittleEndian(next + 1)
        try transaction.putSealed(following, for: Array(SealedRow.nextDecision.utf8), in: tables.meta)
        return next
    }

    private static func write(
        _ part: RedoLog.Part,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        let messages = part.content
        var value: [UInt8] = []
        value.reserveCapacity(fixedSize + part.bytes)
        value.appendLittleEndian(part.uid)
        value.appendLittleEndian(UInt32(messages.part.count))
        value.appendLittleEndian(messages.sequences.lowerBound)
        value.appendLittleEndian(UInt32(0))
        value.appendLittleEndian(messages.part.maximumTimestamp)
        value.appendLittleEndian(part.owner ?? -1)
        value += messages.part.slice.records
        try transaction.putSealed(value, for: part.key.bytes, in: tables.redo)
    }

    /// Nothing where there is no such row.
    static func remove(_ keys: [RedoKey], in transaction: borrowing WriteTransaction, _ tables: Tables) throws {
        for key in keys { _ = try key.bytes.withUnsafeBytes { try transaction.delete($0, in: tables.redo) } }
    }

    /// All that is left, in order; and what belongs to partitions that are no more.
    static func all(
        in transaction: borrowing ReadTransaction,
        _ tables: Tables,
        _ log: (_ uid: UInt32) -> PartitionLog?
    ) throws -> (parts: [RedoLog.Part], gone: [RedoKey]) {
        var found: (parts: [RedoLog.Part], gone: [RedoKey]) = ([], [])
        try transaction.withCursor(in: tables.redo) { cursor in
            var row = try cursor.first()
            while let (bytes, stored) = row.map({ ($0.key, $0.value) }) {
                guard let key = RedoKey(bytes) else {
                    throw BrokerError(.corrupted, "the key of a decided message has \(bytes.count) bytes")
                }
                if let part = try part(key, bytes, stored, log) {
                    found.parts.append(part)
                } else {
                    found.gone.append(key)
                }
                row = try cursor.next()
            }
        }
        return found
    }

    private static func part(
        _ key: RedoKey,
        _ bytes: UnsafeRawBufferPointer,
        _ stored: UnsafeRawBufferPointer,
        _ log: (_ uid: UInt32) -> PartitionLog?
    ) throws(BrokerError) -> RedoLog.Part? {
        let what = "part \(key.part) of decision \(key.number)"
        let value = try SealedRow.value(of: stored, for: bytes, what)
        guard value.count > fixedSize else { throw BrokerError(.corrupted, "\(what) has \(value.count) bytes") }
        func number<N: FixedWidthInteger>(_ offset: Int, _: N.Type) -> N {
            N(littleEndian: value.loadUnaligned(fromByteOffset: offset, as: N.self))
        }
        let (count, first, owner) = (number(4, UInt32.self), number(8, Int32.self), number(24, Int64.self))
        guard 1...UInt32(ChunkLayout.maximumCount) ~= count, 0...Int32.max - Int32(count) ~= first, owner >= -1 else {
            throw BrokerError(.corrupted, "\(what) has \(count) messages from \(first) on, of producer \(owner)")
        }
        guard let log = log(number(0, UInt32.self)) else { return nil }
        let records = UnsafeRawBufferPointer(rebasing: value[fixedSize...])
        try check(records, areSoMany: Int(count), what)
        let batch = RoutedBatch(
            records: records,
            count: Int(count),
            maximumTimestamp: number(16, Int64.self),
            to: log
        )
        return RedoMessages(log: log, part: batch.part(0), firstSequence: first).part(key, owner < 0 ? nil : owner)
    }

    /// They go into the log as they are: there nobody could read a chunk of another number.
    private static func check(
        _ records: UnsafeRawBufferPointer,
        areSoMany count: Int,
        _ what: String
    ) throws(BrokerError) {
        var (at, found) = (0, 0)
        do throws(MessageError) {
            while at < records.count {
                at = try RecordLayout.parts(of: records, at: at).end
                found += 1
            }
        } catch {
            throw BrokerError(.corrupted, "\(what): \(error.detail)")
        }
        guard found == count else { throw BrokerError(.corrupted, "\(what) has \(found) messages, not \(count)") }
    }
}

/// Messages that are decided to be in a partition's log.
struct RedoMessages: Sendable {
    let log: PartitionLog
    let part: RoutedBatch.Part
    /// Of its messages; a decision begins at 0 in each partition.
    let sequences: ClosedRange<Int32>

    init(log: PartitionLog, part: RoutedBatch.Part, firstSequence: Int32) {
        self.log = log
        self.part = part
        sequences = firstSequence...firstSequence + Int32(part.count) - 1
    }

    func part(_ key: RedoKey, _ owner: Int64?) -> RedoLog.Part {
        RedoLog.Part(key: key, uid: log.uid, owner: owner, bytes: part.bytes.count, content: self)
    }
}
