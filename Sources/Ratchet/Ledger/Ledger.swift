package import LMDB
public import Logging

/// The LMDB environment that makes a pipeline's effects idempotent: positions, deduplication records, state, outbox and
/// dead letters, in one transaction each.
///
/// One ledger belongs to one consumer group; all pipelines of one process that are members of the group share it. What
/// is written is durable when it is reported: after a crash of the process or of the machine nothing that was settled
/// runs again, and nothing that was not is skipped. Exactly once holds per ledger.
///
/// A file that the disk or another program has changed is not believed. Each row has a checksum that counts its table and
/// its key, and the opening reads all of them, and the pages that hold them: a bit that has changed is reported, or is
/// one that nothing depends on, such as those between two rows. What this cannot tell: an old copy of the whole file
/// from the real one; several bits that were changed on purpose; one bit by which LMDB itself marks that a commit failed,
/// so that the one before counts; and, until the next opening, what changes while the ledger is open: then a row that is read is checked, and a row that is looked for in vain is taken as not there.
public final class Ledger: Sendable {
    /// A ledger's settings. Everything has a default and a bound.
    public struct Configuration: Sendable {
        /// How long idempotency keys are remembered. Default: 7 days, 10,000,000 keys.
        public var window = DeduplicationWindow()
        /// The most time that is credited to the ledger's clock for having been closed; the rest is logged. Default: 7
        /// days.
        public var longestDowntime: Duration = .seconds(7 * 86_400)
        /// How large the ledger's pages in use may grow, in bytes. Default: 64 GiB.
        public var quota = 64 << 30
        /// The address space that is set aside for the file, in bytes: it costs nothing until used. Default: 1 TiB.
        public var mapSize = 1 << 40
        /// The most state tables. Default: 120.
        public var maximumStateTables = 120
        /// False only for tests: the file is not flushed, and a crash of the machine may take it along.
        public var isDurable = true
        /// Whether the opening looks at all of the file, and throws ``CorruptionError`` for one of which a bit has
        /// changed: see ``Ledger``. It takes as long as reading the file does, about a second a gigabyte of state.
        /// Default: true.
        public var checksFile = true
        /// Where the ledger reports what it notices.
        public var logger = Logger(label: "ratchet.ledger")
        /// The clocks.
        public var time = TimeSource.system
        /// Where ids, epochs and secrets come from, 64 random bits at a time.
        public var random: @Sendable () -> UInt64 = RandomSource.system
        package var fingerprintBits = 64
        /// Where the writer's turns come from, nil for a thread of its own.
        package var writerTurns: WriterThread.Asking?

        /// The defaults.
        public init() {}
    }

    /// The path of the ledger's folder.
    public let path: String
    /// The ledger's id, for ever: 32 hexadecimal digits.
    public let id: String
    /// The nonce of this opening: 16 hexadecimal digits.
    public let epoch: String
    /// Reads what is committed, from any thread.
    public let reader: LedgerReader
    package let journal: Journal
    package let configuration: Configuration
    let environment: Environment
    let writer: WriterThread
    let store: LedgerStore
    let claims = Claims()
    package let outbox: Outbox
    private let owner: OwnerFile

    /// Opens the ledger at `path`, a folder, and makes it if there is none; reads the deduplication window into memory
    /// (about 0.1 s for a million keys).
    ///
    /// A creation that a crash interrupts leaves nothing that looks like a ledger. Throws ``LedgerError``:
    /// `notALedger`, `unknownVersion`, `inUse` by another process or by this one; ``CorruptionError``; and
    /// ``LMDBError`` for what the operating system says.
    public init(at path: String, configuration: Configuration = Configuration()) throws {
        let opening = try LedgerOpening.open(at: path, configuration)
        self.configuration = configuration
        environment = opening.environment
        self.path = opening.environment.path
        owner = opening.owner
        store = opening.store
        id = store.ledgerID
        epoch = store.epoch
        journal = store.journal
        reader = LedgerReader(environment: environment, tables: store.tables)
        writer =
            configuration.writerTurns.map { WriterThread(environment: opening.environment, asking: $0) }
            ?? WriterThread(environment: opening.environment, name: "ratchet-ledger")
        outbox = Outbox(
            environment: environment,
            table: store.tables.outbox,
            writer: writer,
            unconfirmed: opening.unconfirmed
        )
    }

    /// Waits for what is under way, ends the writer thread and lets go of the files. Idempotent. Pipelines should have
    /// ended before: one that still runs ends with ``PipelineError/Code/ledger``, and what it had not settled runs in
    /// the next one.
    public func close() async {
        await writer.stop()
        await environment.closeWhenUnused()
        owner.release()
    }

    /// Ends a ledger whose writer runs in turns as a crash of its process would: what is committed stays, all else is
    /// lost.
    package func abandon() {
        writer.abandon()
        environment.abandon()
        owner.release()
    }

    /// Has the next commit fail, in a simulation; nil for no more.
    package func failNextCommit(_ fault: Environment.CommitFault?) { environment.failNextCommit(fault) }

    /// The first write or sync error: only a new process can write the ledger after it.
    package var failure: LMDBError? { environment.failure }

    /// Writes to state tables outside of any message: to set balances up, to mend something. Returns when it is
    /// durable. Throws what `body` throws, and then nothing was written.
    public func write<R: Sendable>(_ body: @escaping @Sendable (borrowing LedgerTransaction) throws -> R) async throws
        -> R
    {
        let store = store
        return try await writer.write { transaction in
            try store.check()
            return try body(LedgerTransaction(transaction, scope: TransactionScope(publishes: false)))
        }
    }

    /// How many idempotency keys are remembered.
    public var keyCount: Int { journal.count }

    /// The memory that finding them takes, in bytes: 10 to 21 a key.
    public var indexByteCount: Int { journal.indexByteCount }

    /// What became of all messages, as of the last transaction.
    public func totals() throws -> LedgerTotals { try reader.totals() }
}

// MARK: For pipelines

extension Ledger {
    /// Makes the ledger the group's; throws ``LedgerError/Code/otherGroup`` if it is another one's.
    package func bind(to group: String) async throws {
        let store = store
        try await writer.write { transaction in
            try store.check()
            if let owner = try store.group(in: transaction) {
                guard owner == group else {
                    throw LedgerError(
                        .otherGroup,
                        "\(store.path) belongs to group '\(owner)', not '\(group)'; give each group a ledger of its own"
                    )
                }
                return
            }
            try LedgerMeta.putSealed(Array(group.utf8), as: LedgerMeta.group, in: store.tables.meta, of: transaction)
        }
    }

    /// Settles messages in one transaction; `completion` runs on the writer thread when it is durable or has failed.
    /// Never blocks.
    package func settle(
        _ entries: [SettlementEntry],
        with handler: some SettlementHandler & Sendable,
        publishes: Bool,
        completion: @escaping @Sendable ([SettlementEntry], Result<SettlementReport, any Error>) -> Void
    ) {
        writer.submit(
            SettlementPiece(
                store: store,
                entries: entries,
                handler: handler,
                publishes: publishes,
                completion: completion
            )
        )
    }

    /// Whether the oldest keys have outlived the window.
    package var hasExpired: Bool {
        guard let oldest = journal.oldest else { return false }
        return store.now - oldest > configuration.window.time.milliseconds
    }

    /// Lets go of keys that have outlived the window, a bounded number at a time; for when no message comes that would
    /// do so by the way.
    package func expire() async throws {
        let store = store
        try await change(reclaims: true) { transaction in
            try store.guarded {
                _ = try store.expire(entries: 64, in: transaction)
                try store.writeTotalsAndClock(in: transaction)
            }
        }
    }

    /// Whether no further key may be taken in.
    package var isWindowFull: Bool {
        configuration.window.overflow == .pause && journal.count >= configuration.window.count
    }
}
