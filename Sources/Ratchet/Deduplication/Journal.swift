import LMDB
import Synchronization

/// The deduplication journal: an entry for each commit, appended, and the live index that finds a key in it.
///
/// The index is shared: the writer adds to it, and messages that are about to start look into it from anywhere. Only an
/// entry of the journal itself makes a message a duplicate.
package final class Journal: Sendable {
    private struct State: ~Copyable {
        var index = KeyIndex()
        var next: UInt64 = 1
        var front: UInt64 = 1
        var frontTime: Int64?
    }

    private let table: Table
    private let state = Mutex(State())
    package let fingerprint: Fingerprint

    init(table: Table, fingerprint: Fingerprint) {
        self.table = table
        self.fingerprint = fingerprint
    }

    /// How many keys are remembered.
    package var count: Int { state.withLock { $0.index.count } }
    /// The memory that the index takes, in bytes.
    package var indexByteCount: Int { state.withLock { $0.index.byteCount } }
    /// When the oldest entry was committed, in milliseconds of ledger time; nil if there is none.
    package var oldest: Int64? { state.withLock { $0.frontTime } }

    /// Builds the index from the journal: one sequential scan. Throws ``CorruptionError`` for an entry that is not what
    /// was written.
    func load(from transaction: borrowing some Transaction & ~Copyable) throws {
        try transaction.withCursor(in: table) { cursor in
            var row = try cursor.first()
            while let current = row {
                let sequence = current.integerKey
                guard let entry = JournalEntry(current.value), entry.verified(sequence) else {
                    throw Self.corrupted(sequence)
                }
                try state.withLock { state in
                    if state.frontTime == nil {
                        state.front = sequence
                        state.frontTime = entry.time
                    }
                    state.next = sequence + 1
                    for index in 0..<entry.count {
                        let (key, record) = try entry.record(at: index)
                        if record.outcome != .forgotten { state.index.insert(fingerprint(key), sequence: sequence) }
                    }
                }
                row = try cursor.next()
            }
        }
    }

    private static func corrupted(_ sequence: UInt64) -> CorruptionError {
        CorruptionError("journal entry \(sequence)")
    }

    // MARK: On the writer thread

    /// A key of the commit in hand that an earlier commit, or the same one, may have: by position in the batch.
    package struct Candidate {
        package var entry: Int32
        package var sequence: UInt32
    }

    /// Enters the keys of a commit under its sequence, and returns where any of them may have been before.
    /// `fingerprints` yields one for each message that has a key, with the message's number.
    func enter(_ fingerprints: [(entry: Int32, fingerprint: UInt64)], candidates: inout [Candidate]) -> UInt64 {
        var done = 0
        let sequence = state.withLock { $0.next }
        // In short turns: messages that are about to start look into the index meanwhile.
        while done < fingerprints.count {
            let end = min(done + 64, fingerprints.count)
            state.withLock { state in
                for (entry, fingerprint) in fingerprints[done..<end] {
                    // A key that comes a thousand times in one commit is looked for in it once each time, not half a
                    // million times.
                    var isRepeated = false
                    _ = state.index.contains(fingerprint) { found in
                        if found == UInt32(truncatingIfNeeded: sequence) {
                            if isRepeated { return false }
                            isRepeated = true
                        }
                        candidates.append(Candidate(entry: entry, sequence: found))
                        return false
                    }
                    state.index.insert(fingerprint, sequence: sequence)
                }
            }
            done = end
        }
        return sequence
    }

    /// Takes keys out again that were entered for the commit in hand and got no record in it.
    func withdraw(_ fingerprints: [UInt64], sequence: UInt64) {
        guard !fingerprints.isEmpty else { return }
        state.withLock { state in
            for fingerprint in fingerprints { state.index.remove(fingerprint, sequence: sequence) }
        }
    }

    /// Appends the commit's records.
    func append(
        _ builder: borrowing JournalBuilder,
        sequence: UInt64,
        time: Int64,
        in transaction: borrowing WriteTransaction
    ) throws {
        try transaction.reserve(builder.byteCount, for: sequence, in: table, .append) {
            builder.write(to: $0, sequence: sequence, time: time)
        }
        state.withLock { state in
            if state.frontTime == nil {
                state.front = sequence
                state.frontTime = time
            }
            state.next = sequence + 1
        }
    }

    /// The record of a key in the entry that the index named, nil if it is not there: another key of the same
    /// fingerprint, or an entry that is not committed yet.
    func record(
        of key: UnsafeRawBufferPointer,
        fingerprint: UInt64,
        at sequence: UInt32,
        in transaction: borrowing some Transaction & ~Copyable
    ) throws -> JournalLayout.Record? {
        let whole = state.withLock { Self.whole(sequence, from: $0.front) }
        guard let bytes = try transaction.get(whole, in: table) else { return nil }
        guard let entry = JournalEntry(bytes) else { throw Self.corrupted(whole) }
        guard let record = try entry.record(of: key, fingerprint: fingerprint), record.outcome != .forgotten else {
            return nil
        }
        return record
    }

    // The index keeps 32 bits: the sequence meant is the first from the journal's front on that ends in them.
    private static func whole(_ low: UInt32, from front: UInt64) -> UInt64 {
        front + UInt64(low &- UInt32(truncatingIfNeeded: front))
    }

    /// Forgets the oldest entry, if `isOver` says so of its time; returns how many keys went, nil if none was to go.
    func forgetOldest(in transaction: borrowing WriteTransaction, if isOver: (Int64) -> Bool) throws -> Int? {
        guard let time = oldest, isOver(time) else { return nil }
        return try transaction.withCursor(in: table) { cursor in
            guard let row = try cursor.first() else { return nil }
            let sequence = row.integerKey
            guard let entry = JournalEntry(row.value) else { throw Self.corrupted(sequence) }
            let count = try forget(entry, sequence: sequence) { _ in true }
            try cursor.delete()
            let next = try cursor.first()
            let time = next.flatMap { JournalEntry($0.value)?.time }
            state.withLock { state in
                state.frontTime = time
                if let next { state.front = next.integerKey }
            }
            return count
        }
    }

    @discardableResult
    private func forget(
        _ entry: JournalEntry,
        sequence: UInt64,
        where isMeant: (JournalLayout.Record) -> Bool
    ) throws -> Int {
        try state.withLock { state in
            var count = 0
            for index in 0..<entry.count {
                let (key, record) = try entry.record(at: index)
                guard record.outcome != .forgotten, isMeant(record) else { continue }
                state.index.remove(fingerprint(key), sequence: sequence)
                count += 1
            }
            return count
        }
    }

    // MARK: From anywhere

    /// Where a key may have been done: low sequence bits, for ``record(of:fingerprint:at:in:)``.
    func candidates(_ fingerprint: UInt64) -> [UInt32] {
        var found: [UInt32] = []
        state.withLock { state in
            _ = state.index.contains(fingerprint) { sequence in
                found.append(sequence)
                return false
            }
        }
        return found
    }
}

extension Journal {
    /// Takes the records of a partition from `offset` on back, so that they can be processed again: their keys are
    /// forgotten. Returns how many.
    func forget(_ partition: TopicPartition, from offset: Int64, in transaction: borrowing WriteTransaction) throws
        -> Int
    {
        var forgotten = 0
        var from: UInt64 = 0
        while let found = try entry(atLeast: from, in: transaction) {
            let entry = found.entry
            from = found.sequence + 1
            guard let number = try entry.partitions().firstIndex(of: partition) else { continue }
            var bytes = found.bytes
            var count = 0
            for index in 0..<entry.count {
                let record = try entry.record(at: index).record
                guard record.outcome != .forgotten, record.partition == number, record.offset >= offset else {
                    continue
                }
                bytes[try entry.outcomeOffset(of: index)] = JournalLayout.Outcome.forgotten.rawValue
                count += 1
            }
            guard count > 0 else { continue }
            try forget(entry, sequence: found.sequence) { $0.partition == number && $0.offset >= offset }
            try replace(found.sequence, with: &bytes, in: transaction)
            forgotten += count
        }
        return forgotten
    }

    private func replace(_ sequence: UInt64, with bytes: inout [UInt8], in transaction: borrowing WriteTransaction)
        throws
    {
        let sum = bytes.withUnsafeBytes { JournalBuilder.checksum(of: $0, sequence: sequence) }
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: sum.littleEndian, toByteOffset: 8, as: UInt64.self) }
        let entry = bytes
        _ = try entry.withUnsafeBytes { try transaction.put($0, for: sequence, in: table) }
    }

    private func entry(
        atLeast from: UInt64,
        in transaction: borrowing WriteTransaction
    ) throws -> (sequence: UInt64, entry: JournalEntry, bytes: [UInt8])? {
        try transaction.withCursor(in: table) { cursor in
            guard let row = try cursor.seek(atLeast: from) else { return nil }
            guard let entry = JournalEntry(row.value), entry.verified(row.integerKey) else {
                throw Self.corrupted(row.integerKey)
            }
            return (row.integerKey, entry, Array(row.value))
        }
    }
}
