import LMDB
import Ratchet

/// A row of the table `producers`, keyed by transactional id.
struct ProducerRow: Equatable, Sendable {
    static let size = 20

    /// The number under which partitions know the producer.
    var id: Int64
    /// How many producers have had the id before.
    var incarnation: Int32
    /// When one was opened last, by ``ProducerTime``.
    var lastUse: Int64

    init(id: Int64, incarnation: Int32, lastUse: Int64) {
        self.id = id
        self.incarnation = incarnation
        self.lastUse = lastUse
    }

    init(_ stored: UnsafeRawBufferPointer, _ what: @autoclosure () -> String) throws(BrokerError) {
        guard stored.count == Self.size else {
            throw BrokerError(.corrupted, "\(what()) has \(stored.count) bytes, not \(Self.size)")
        }
        id = Int64(littleEndian: stored.loadUnaligned(as: Int64.self))
        incarnation = Int32(littleEndian: stored.loadUnaligned(fromByteOffset: 8, as: Int32.self))
        lastUse = Int64(littleEndian: stored.loadUnaligned(fromByteOffset: 12, as: Int64.self))
        guard 0..<PartitionRow.maximum ~= id, 0...ProducerEpoch.maximumIncarnation ~= incarnation else {
            throw BrokerError(.corrupted, "\(what()) says producer \(id), incarnation \(incarnation)")
        }
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(id)
        bytes.appendLittleEndian(incarnation)
        bytes.appendLittleEndian(lastUse)
        return bytes
    }
}

/// The table `producers`: who has which transactional id; and the row with the next producer's number.
enum ProducerTable {
    /// A producer that was opened.
    struct Opened: Sendable {
        var row: ProducerRow
        var isNamed: Bool
        /// The number that the name had before.
        var retired: Int64?
        /// Producers that were forgotten to make room.
        var forgotten: [Int64] = []
    }

    struct Bounds: Sendable {
        /// The most names.
        var names: Int
        /// A name that was not opened for longer may be forgotten,
        var expiry: Duration
        /// unless its producer is one of these.
        var inUse: Set<Int64>
    }

    private static func what(_ name: String) -> String { "the producer with transactional id '\(name)'" }

    static func read(
        _ name: String,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws -> ProducerRow? {
        try transaction.sealedText(name, in: tables.producers, what(name)).map { try ProducerRow($0, what(name)) }
    }

    /// A producer with a number of its own, or the next one of its name.
    static func open(
        _ name: String?,
        _ bounds: Bounds,
        now: Int64,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws -> Opened {
        guard let name else {
            let row = ProducerRow(id: try nextID(in: transaction, tables), incarnation: 0, lastUse: now)
            return Opened(row: row, isNamed: false)
        }
        var opened: Opened
        if let known = try read(name, in: transaction, tables) {
            opened = Opened(row: known, isNamed: true)
            opened.row.incarnation += 1
            if opened.row.incarnation > ProducerEpoch.maximumIncarnation {
                opened.retired = known.id
                opened.row = ProducerRow(id: try nextID(in: transaction, tables), incarnation: 0, lastUse: now)
            }
        } else {
            let forgotten = try makeRoom(for: name, bounds, now: now, in: transaction, tables)
            let row = ProducerRow(id: try nextID(in: transaction, tables), incarnation: 0, lastUse: now)
            opened = Opened(row: row, isNamed: true, forgotten: forgotten)
        }
        opened.row.lastUse = now
        try transaction.putSealed(opened.row.encoded, for: Array(name.utf8), in: tables.producers)
        return opened
    }

    /// Forgets what is idle once there are as many names as there may be: those that went.
    private static func makeRoom(
        for name: String,
        _ bounds: Bounds,
        now: Int64,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws -> [Int64] {
        guard try transaction.count(tables.producers) >= bounds.names else { return [] }
        var forgotten: [Int64] = []
        try transaction.withCursor(in: tables.producers) { cursor in
            var next = try cursor.first()
            while let (key, stored) = next.map({ ($0.key, $0.value) }) {
                let row = try row(key, stored)
                let (age, overflow) = now.subtractingReportingOverflow(row.lastUse)
                if !overflow, age > bounds.expiry.milliseconds, !bounds.inUse.contains(row.id) {
                    try cursor.delete()
                    forgotten.append(row.id)
                }
                next = try cursor.next()
            }
        }
        guard !forgotten.isEmpty else {
            throw BrokerError(
                .limitReached,
                "transactional id '\(name)' would be one more than maximumTransactionalIDs, \(bounds.names)"
            )
        }
        return forgotten
    }

    private static func row(
        _ key: UnsafeRawBufferPointer,
        _ stored: UnsafeRawBufferPointer
    ) throws(BrokerError) -> ProducerRow {
        let what = what(String(decoding: key, as: UTF8.self))
        return try ProducerRow(SealedRow.value(of: stored, for: key, what), what)
    }

    private static func nextID(in transaction: borrowing WriteTransaction, _ tables: Tables) throws -> Int64 {
        let stored = try transaction.sealedText(
            SealedRow.nextProducer,
            in: tables.meta,
            "the number of the next producer"
        )
        guard stored?.count ?? 8 == 8 else {
            throw BrokerError(.corrupted, "the number of the next producer has \(stored?.count ?? 0) bytes, not 8")
        }
        let next = stored.map { Int64(littleEndian: $0.loadUnaligned(as: Int64.self)) } ?? 0
        guard 0..<PartitionRow.maximum - 1 ~= next else {
            throw BrokerError(.corrupted, "the number of the next producer is \(next)")
        }
        var following: [UInt8] = []
        following.appendLittleEndian(next + 1)
        try transaction.putSealed(following, for: Array(SealedRow.nextProducer.utf8), in: tables.meta)
        return next
    }

    static func all(_ storage: Storage) throws -> [ProducerRow] {
        let tables = storage.tables
        return try storage.read { transaction in
            var rows: [ProducerRow] = []
            try transaction.withCursor(in: tables.producers) { cursor in
                var row = try cursor.first()
                while let (key, stored) = row.map({ ($0.key, $0.value) }) {
                    rows.append(try self.row(key, stored))
                    row = try cursor.next()
                }
            }
            return rows
        }
    }
}
