import LMDB
import Ratchet
import Synchronization

/// The broker's tables.
struct Tables: Sendable {
    /// What the directory is: `kind`, `format`, `id`, and `uid`, the next partition's.
    let meta: Table
    /// Topics by name.
    let topics: Table
    /// Chunks by ``LogKey``.
    let log: Table
    /// ``PartitionRow``s by uid.
    let partitions: Table
    /// Committed offsets by topic id, partition and group.
    let offsets: Table
    /// The last generation of each group by name.
    let groups: Table
    /// What shared groups have settled by topic id, partition and group.
    let shared: Table
    /// The uids of deleted partitions that still have chunks.
    let garbage: Table
    /// The chunks whose records are gone after a restart; see ``TransientChunks``.
    let transients: Table
    /// ``ProducerRow``s by transactional id.
    let producers: Table
    /// What partitions know of producers; see ``SequenceTable``.
    let sequences: Table
    /// Who leads and who is in sync, or what a node's replicas know; see ``ReplicationTable``.
    let replication: Table
    /// What is decided and not yet in all logs; see ``RedoTable``.
    let redo: Table
}

/// The environment in the broker's directory, its writer thread, and the directory's ownership.
final class Storage: Sendable {
    static let kind = "ratchet broker"
    /// The directory of one of several nodes, inside the broker's.
    static let nodeKind = "ratchet broker node"
    static let format: UInt32 = 4

    let tables: Tables
    /// The broker's id: 32 hexadecimal digits, made at creation.
    let id: String
    /// Whether what is written survives a restart, and a loss of power.
    let isDurable: Bool
    let environment: Environment
    private let writer: WriterThread
    private let temporaryDirectory: String?
    private let state: Mutex<State>

    private struct State: ~Copyable {
        var owner: OwnerFile?
        var readers = 0
        var isClosed = false
        /// Wait for the last reader.
        var closing: [CheckedContinuation<Void, Never>] = []
    }

    struct Settings {
        var maximumBytes: Int
        var isDurable: Bool
        var checksFile: Bool
        var writerTurns: WriterThread.Asking?
        var limits = WriterThread.Limits()

        init(_ configuration: Broker.Configuration) {
            maximumBytes = configuration.maximumBytes
            isDurable = configuration.isDurable
            checksFile = configuration.checksFile
            writerTurns = configuration.writerTurns
            limits.delay = configuration.maximumUnwrittenTime
            limits.delayedBytes = configuration.maximumUnwrittenBytes
        }
    }

    /// Opens the directory, or creates it; a temporary one, removed at the end, when it is nil.
    init(at directory: String?, _ settings: Settings, id newID: [UInt8], kind: String = Storage.kind) throws {
        let temporary = directory == nil ? try Platform.makeTemporaryDirectory() : nil
        isDurable = temporary == nil && settings.isDurable
        do {
            let path = directory ?? temporary ?? ""
            // Nobody may be writing while the pages are checked.
            let known = try OwnerFile(ofExisting: path)
            environment = try Self.openEnvironment(
                at: path,
                maximumBytes: settings.maximumBytes,
                isDurable: isDurable,
                checksPages: settings.checksFile,
                newID,
                kind
            )
            do {
                // Inside the directory, so it can be taken only now; nothing was written to a directory that was there.
                let owner = try known ?? OwnerFile(in: environment.path)
                (tables, id) = try Self.readMeta(environment, kind)
                if settings.checksFile { try RowCheck.run(environment, tables) }
                state = Mutex(State(owner: owner))
            } catch {
                environment.close()
                throw error
            }
        } catch {
            if let temporary { Platform.removeDirectory(temporary) }
            throw BrokerError.wrapping(error)
        }
        let environment = environment
        writer =
            settings.writerTurns.map { WriterThread(environment: environment, asking: $0) }
            ?? WriterThread(environment: environment, name: "broker", limits: settings.limits)
        temporaryDirectory = temporary
    }

    deinit {
        if let temporaryDirectory { Platform.removeDirectory(temporaryDirectory) }
    }

    private static func openEnvironment(
        at path: String,
        maximumBytes: Int,
        isDurable: Bool,
        checksPages: Bool,
        _ id: [UInt8],
        _ kind: String
    ) throws -> Environment {
        var configuration = Environment.Configuration(
            // Beyond the quota there must be room for what reclaims space, and for pages that readers still hold.
            mapSize: maximumBytes * 2 + (1 << 30),
            quota: maximumBytes,
            maximumTables: 32,
            maximumReaders: 1024,
            durability: isDurable ? .synced : .unsynced
        )
        configuration.checksPages = checksPages
        return try Environment.open(at: path, configuration: configuration) { transaction in
            let meta = try transaction.table("meta", create: true)
            var format: [UInt8] = []
            format.appendLittleEndian(Self.format)
            try transaction.put(Array(kind.utf8), for: Array("kind".utf8), in: meta)
            try transaction.put(format, for: Array("format".utf8), in: meta)
            try transaction.putSealed(id, for: Array("id".utf8), in: meta)
            for name in [
                "topics", "log", "partitions", "offsets", "groups", "shared", "garbage", "transients", "producers",
                "sequences", "replication", "redo",
            ] {
                _ = try transaction.table(name, create: true)
            }
        }
    }

    private static func readMeta(_ environment: Environment, _ wanted: String) throws -> (Tables, id: String) {
        let path = environment.path
        return try environment.read { transaction in
            guard let meta = try transaction.table("meta"),
                let kind = try transaction.text("kind", in: meta)
            else { throw foreign(path, "is not a broker's directory") }
            guard String(decoding: kind, as: UTF8.self) == wanted else {
                throw foreign(path, "is the directory of a '\(String(decoding: kind, as: UTF8.self))'")
            }
            guard let format = try transaction.text("format", in: meta), format.count == 4,
                UInt32(littleEndian: format.loadUnaligned(as: UInt32.self)) == Self.format
            else { throw foreign(path, "is of a format that this version cannot read; it reads format \(Self.format)") }
            guard let id = try transaction.sealedText("id", in: meta, "the id of \(path)") else {
                throw foreign(path, "has no id")
            }
            let tables = try Tables(meta: meta, transaction, path)
            return (tables, id.hexadecimal)
        }
    }

    fileprivate static func foreign(_ path: String, _ what: String) -> BrokerError {
        BrokerError(.notABroker, "\(path) \(what): name the directory of a broker, or a new one")
    }
}

extension Transaction where Self: ~Copyable {
    /// The value of a key that is text.
    func text(_ key: String, in table: Table) throws -> UnsafeRawBufferPointer? {
        try Array(key.utf8).withUnsafeBytes { try get($0, in: table) }
    }
}

extension Tables {
    fileprivate init(meta: Table, _ transaction: borrowing ReadTransaction, _ path: String) throws {
        self.meta = meta
        topics = try Self.existing("topics", transaction, path)
        log = try Self.existing("log", transaction, path)
        partitions = try Self.existing("partitions", transaction, path)
        offsets = try Self.existing("offsets", transaction, path)
        groups = try Self.existing("groups", transaction, path)
        shared = try Self.existing("shared", transaction, path)
        garbage = try Self.existing("garbage", transaction, path)
        transients = try Self.existing("transients", transaction, path)
        producers = try Self.existing("producers", transaction, path)
        sequences = try Self.existing("sequences", transaction, path)
        replication = try Self.existing("replication", transaction, path)
        redo = try Self.existing("redo", transaction, path)
    }

    private static func existing(
        _ name: String,
        _ transaction: borrowing ReadTransaction,
        _ path: String
    ) throws -> Table {
        guard let table = try transaction.table(name) else { throw Storage.foreign(path, "has no table '\(name)'") }
        return table
    }
}

extension Storage {
    /// Reads in a short transaction on the calling thread.
    func read<R>(_ body: (borrowing ReadTransaction) throws -> R) throws -> R {
        try state.withLock { state throws(BrokerError) in
            guard !state.isClosed else { throw Self.closedError(environment.path) }
            state.readers += 1
        }
        defer {
            let closing = state.withLock { state -> [CheckedContinuation<Void, Never>] in
                state.readers -= 1
                guard state.readers == 0 else { return [] }
                defer { state.closing = [] }
                return state.closing
            }
            for continuation in closing { continuation.resume() }
        }
        do { return try environment.read(body) } catch { throw BrokerError.wrapping(error) }
    }

    /// Hands a piece to the writer thread; see ``WriterThread/submit(_:)``.
    func submit(_ piece: any WritePiece) { writer.submit(piece) }

    /// How many pieces wait for the writer thread; for tests.
    var waitingPieces: Int { writer.waitingPieces }

    /// Writes on the writer thread and returns once that is synced. `published` runs on that thread right after the
    /// sync, in the order of the writes, before this returns.
    func write<R: Sendable>(
        byteCount: Int = 0,
        reclaims: Bool = false,
        _ body: @escaping @Sendable (borrowing WriteTransaction) throws -> R,
        published: @escaping @Sendable (R) -> Void = { _ in }
    ) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            let job = WriteJob(byteCount: byteCount, reclaims: reclaims, write: body) { result in
                if case .success(let value) = result { published(value) }
                continuation.resume(with: result)
            }
            writer.submit(job)
        }
    }

    /// Writes what was submitted, waits for the readers, closes the environment and lets the directory go. Idempotent.
    func close() async {
        await writer.stop()
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isIdle = state.withLock { state in
                state.isClosed = true
                if state.readers > 0 { state.closing.append(continuation) }
                return state.readers == 0
            }
            if isIdle { continuation.resume() }
        }
        environment.close()
        state.withLock { $0.owner?.release() }
        if let temporaryDirectory { Platform.removeDirectory(temporaryDirectory) }
    }

    /// Returns once a writer that takes nothing more has written the rest.
    func untilWritten() async { await writer.stop() }

    /// Ends as a crash would: what waits is not written, nor is what was confirmed before its writing. Returns once the
    /// files are closed.
    func crash() async {
        writer.abandon()
        await close()
    }

    /// Whether its directory goes when it is closed.
    var isTemporary: Bool { temporaryDirectory != nil }

    /// Closes the environment as a crash would.
    func abandon() {
        state.withLock { $0.isClosed = true }
        writer.abandon()
        environment.close()
        state.withLock { $0.owner?.release() }
    }

    /// Why nothing can be written any more; nil as long as that is not so.
    var failure: BrokerError? {
        if let error = environment.failure { return BrokerError(error) }
        return state.withLock { $0.isClosed } ? Self.closedError(path) : nil
    }

    /// Whether an error says only that it is closed, or has failed: nothing about what it was asked.
    func hasEnded(_ error: BrokerError) -> Bool { error.code == .closed || failure != nil }

    static func closedError(_ path: String) -> BrokerError {
        BrokerError(.closed, "the broker in \(path) was closed")
    }

    /// Where the broker is, for errors and logs.
    var path: String { environment.path }
}
