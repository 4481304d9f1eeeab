import LMDB

/// What the ledger's writer keeps between transactions. All of it belongs to the writer thread.
final class LedgerStore: @unchecked Sendable {
    let path: String
    let ledgerID: String
    let epoch: String
    let tables: LedgerTables
    let journal: Journal
    let time: TimeSource
    let clock: LedgerClock
    let window: DeduplicationWindow
    /// The group's positions, by key: shared by all leases of a partition.
    var positions: [[UInt8]: PartitionPosition] = [:]
    var totals: LedgerTotals
    var nextOutbox: UInt64
    var nextDeadLetter: UInt64
    /// The first error that made the memory differ from the file. Nothing is written after it.
    var failure: LedgerError?
    /// Behind a pointer: a property would be checked for exclusive access at each record.
    let builder: UnsafeMutablePointer<JournalBuilder>

    init(
        path: String,
        identity: (ledger: String, epoch: String),
        tables: LedgerTables,
        journal: Journal,
        time: TimeSource,
        clock: LedgerClock,
        window: DeduplicationWindow,
        totals: LedgerTotals,
        nextOutbox: UInt64,
        nextDeadLetter: UInt64
    ) {
        self.path = path
        ledgerID = identity.ledger
        epoch = identity.epoch
        self.tables = tables
        self.journal = journal
        self.time = time
        self.clock = clock
        self.window = window
        self.totals = totals
        self.nextOutbox = nextOutbox
        self.nextDeadLetter = nextDeadLetter
        builder = .allocate(capacity: 1)
        builder.initialize(to: JournalBuilder())
    }

    deinit {
        builder.deinitialize(count: 1)
        builder.deallocate()
    }

    /// Ledger time, in milliseconds.
    var now: Int64 {
        #if BrokenVariants
            if BrokenVariant.expiryByWallClock.isOn { return time.wall() }
        #endif
        return clock.time(atMonotonic: time.monotonic() / 1_000_000)
    }

    func check() throws {
        if let failure { throw failure }
    }

    /// Runs one piece's work. After an error the memory no longer matches the file, so the ledger believes nothing any
    /// more.
    func guarded<R>(_ body: () throws -> R) throws -> R {
        try check()
        do { return try body() } catch {
            fail(error)
            throw error
        }
    }

    func fail(_ error: any Error) {
        guard failure == nil else { return }
        failure = LedgerError(
            .failed,
            "the ledger at \(path) failed: \(error). Nothing more is written; mend the cause and start the process again"
        )
    }
}

// MARK: Positions

extension LedgerStore {
    /// The group that the ledger belongs to, nil before it is bound to one.
    func group(in transaction: borrowing WriteTransaction) throws -> String? {
        let stored = try LedgerMeta.get(LedgerMeta.group, in: tables.meta, of: transaction)
        return stored.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The position of a partition, from memory or from the file.
    func position(_ key: [UInt8], in transaction: borrowing WriteTransaction) throws -> PartitionPosition {
        if let known = positions[key] { return known }
        let position: PartitionPosition
        let bytes = try key.withUnsafeBytes { try transaction.get($0, in: tables.positions) }
        if let bytes {
            guard let stored = PositionLayout.decode(bytes) else {
                throw CorruptionError("a position in \(path)")
            }
            position = PartitionPosition(
                key: key,
                tracker: stored.tracker,
                generation: stored.generation,
                isKnown: true
            )
        } else {
            position = PartitionPosition(key: key, tracker: OffsetTracker(watermark: 0), generation: -1, isKnown: false)
        }
        positions[key] = position
        return position
    }

    func write(_ position: PartitionPosition, in transaction: borrowing WriteTransaction) throws {
        var bytes: [UInt8] = []
        PositionLayout.encode(.init(tracker: position.tracker, generation: position.generation), into: &bytes)
        try position.key.withUnsafeBytes { key in
            _ = try bytes.withUnsafeBytes { try transaction.put($0, for: key, in: tables.positions) }
        }
    }
}

// MARK: The end of each transaction

extension LedgerStore {
    /// Writes what belongs to every transaction, so that it is as new as the newest record.
    func writeTotalsAndClock(in transaction: borrowing WriteTransaction) throws {
        try LedgerMeta.putSealed(totals.encoded, as: LedgerMeta.totals, in: tables.meta, of: transaction)
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(now)
        bytes.appendLittleEndian(time.wall())
        try LedgerMeta.putSealed(bytes, as: LedgerMeta.clock, in: tables.meta, of: transaction)
    }

    /// Appends what was published to the outbox.
    func append(_ batch: OutgoingBatch, in transaction: borrowing WriteTransaction) throws {
        try OutboxLayout.encode(batch) { entry in
            _ = try entry.withUnsafeBytes { try transaction.put($0, for: nextOutbox, in: tables.outbox, .append) }
            nextOutbox += 1
        }
        totals.published += batch.count
    }

    /// Lets go of what is outside of the window: journal entries until `entries` of them and `keys` keys have gone, so
    /// that no transaction grows long, and entries of few keys cannot hold up what commits of many bring. Returns how
    /// many keys went before their time.
    func expire(entries: Int, keys: Int = 0, in transaction: borrowing WriteTransaction) throws -> Int {
        let now = now
        let time = window.time.milliseconds
        var (gone, evicted, forgotten) = (0, 0, 0)
        // An entry may hold no key any more, once a partition was reprocessed.
        while gone < entries || (forgotten < keys && gone < keys) {
            gone += 1
            if let count = try journal.forgetOldest(in: transaction, if: { now - $0 > time }) {
                forgotten += count
                continue
            }
            guard window.overflow == .warn, journal.count > window.count else { break }
            let count = try journal.forgetOldest(in: transaction, if: { _ in true }) ?? 0
            forgotten += count
            evicted += count
        }
        totals.evicted += evicted
        return evicted
    }
}

// MARK: Dead letters

extension LedgerStore {
    func append(
        _ entry: SettlementEntry,
        reason: DeadLetter.Reason,
        error: any Error,
        in transaction: borrowing WriteTransaction
    ) throws -> UInt64 {
        let message = entry.message
        let id = nextDeadLetter
        let letter = DeadLetter(
            id: id,
            reason: reason,
            partition: message.topicPartition,
            offset: message.offset,
            key: message.key,
            headers: message.headers,
            payload: message.payload,
            timestamp: message.timestamp,
            idempotencyKey: entry.batch.key(at: Int(entry.index)),
            attempts: Int(entry.attempt),
            errorType: String(reflecting: type(of: error)),
            errorMessage: "\(error)",
            time: time.wall(),
            group: entry.batch.lease.group,
            generation: message.generation,
            ledger: ledgerID,
            epoch: epoch,
            deliveries: [],
            deliveryCount: 0
        )
        _ = try DeadLetterLayout.encode(letter).withUnsafeBytes {
            try transaction.put($0, for: id, in: tables.deadLetters, .append)
        }
        nextDeadLetter += 1
        return id
    }

    /// Notes a later delivery of a dead letter's event; nothing, if the letter is no longer there.
    func attach(_ message: Message, to id: UInt64, in transaction: borrowing WriteTransaction) throws {
        guard let bytes = try transaction.get(id, in: tables.deadLetters) else { return }
        guard var letter = DeadLetterLayout.decode(bytes, id: id) else {
            throw CorruptionError("dead letter \(id) in \(path)")
        }
        letter.deliveryCount += 1
        if letter.deliveries.count < DeadLetter.maximumListedDeliveries {
            letter.deliveries.append(.init(partition: message.topicPartition, offset: message.offset))
        }
        _ = try DeadLetterLayout.encode(letter).withUnsafeBytes {
            try transaction.put($0, for: id, in: tables.deadLetters)
        }
    }
}
