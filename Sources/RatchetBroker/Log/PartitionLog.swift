import LMDB
import Ratchet
import Synchronization

/// Is told when a log has grown.
protocol LogFollower: AnyObject, Sendable {
    func logHasGrown()
}

/// One partition's log as everybody may see it: what is durable, and no more.
final class PartitionLog: Sendable {
    /// The partition's number in the tables: never used again.
    let uid: UInt32
    let partition: TopicPartition
    /// Only one compaction at a time, of several nodes as well: so the memory for keys is taken once.
    let compactionTurn = Turn()
    private let topicSettings: Mutex<TopicSettings>
    private let confirmsEarly: Atomic<Bool>
    private let compactionState = Mutex(CompactionState())
    private let start: Atomic<Int64>
    private let end: Atomic<Int64>
    private let size: Atomic<Int64>
    private let followers = Mutex<[any LogFollower]>([])
    private let storage: Mutex<Storage?>
    private let led: Atomic<Bool>
    /// Where its leader's log ended when it began to lead.
    private let leaderEnd: Atomic<Int64>
    private let changes = Atomic<Int>(0)

    /// Whether its chunks lie where the nodes that lead it have theirs, one after the other.
    let isReplicated: Bool

    /// A log whose chunks lie in `home`; nobody leads a replicated one yet.
    init(
        uid: UInt32,
        partition: TopicPartition,
        settings: TopicSettings,
        row: PartitionRow,
        home: Storage?,
        isReplicated: Bool = false
    ) {
        self.uid = uid
        self.partition = partition
        topicSettings = Mutex(settings)
        confirmsEarly = Atomic(!settings.confirmsAfterWrite)
        start = Atomic(row.start)
        end = Atomic(row.end)
        size = Atomic(row.bytes)
        storage = Mutex(home)
        led = Atomic(!isReplicated)
        leaderEnd = Atomic(row.end)
        self.isReplicated = isReplicated
    }

    /// The topic's settings as they are now.
    var settings: TopicSettings { topicSettings.withLock { $0 } }

    /// Whether the topic confirms messages before they are written.
    var confirmsBeforeWrite: Bool { confirmsEarly.load(ordering: .relaxed) }

    func alter(_ settings: TopicSettings) {
        topicSettings.withLock { $0 = settings }
        confirmsEarly.store(!settings.confirmsAfterWrite, ordering: .relaxed)
    }

    /// How far it is compacted, where its chunks lie in the broker's own file.
    var compaction: CompactionState { compactionState.withLock { $0 } }

    func compacted(_ state: CompactionState) { compactionState.withLock { $0 = state } }

    /// Where its chunks are read; nil while no node leads it.
    var home: Storage? { storage.withLock { $0 } }

    /// Whether there is a node that it can be read from.
    var isLed: Bool { led.load(ordering: .acquiring) }

    /// Throws while there is none.
    func checkIsLed() throws(BrokerError) {
        guard !isLed else { return }
        throw leaderless
    }

    /// What who needs a leader is told.
    var leaderless: BrokerError {
        BrokerError(.leaderNotAvailable, "\(partition) has no leader just now, and cannot be read: try again")
    }

    /// Another node leads it, or none does.
    func move(to home: Storage?) {
        storage.withLock { storage in
            storage = home
            led.store(home != nil, ordering: .releasing)
        }
        notify()
    }

    /// Counts what its followers are told: growth, and another leader or none.
    var version: Int { changes.load(ordering: .acquiring) }

    private func notify() {
        changes.add(1, ordering: .releasing)
        for follower in followers.withLock({ $0 }) { follower.logHasGrown() }
    }

    /// Nothing can be read from there any more: who reads waits for another node to lead. Nothing if one does.
    func lose(_ home: Storage) {
        storage.withLock { storage in
            guard storage === home else { return }
            storage = nil
            led.store(false, ordering: .releasing)
        }
    }

    /// The offsets that the log holds.
    var range: Range<Int64> {
        // The start first: it never passes an end that was published before it.
        let start = start.load(ordering: .acquiring)
        // A leader from outside of the in-sync set may have less.
        return start..<max(start, end.load(ordering: .acquiring))
    }

    /// What the leader has: behind ``range`` lies what was confirmed, perhaps, before it led, and is shown once all in-sync
    /// replicas are known to have it.
    var held: Range<Int64> {
        let range = range
        return range.lowerBound..<max(range.upperBound, leaderEnd.load(ordering: .acquiring))
    }

    /// Where ``held`` ends; nil while nobody leads the log, or while that changes.
    var leaderEndIfKnown: Int64? {
        let before = version
        guard isLed else { return nil }
        let end = held.upperBound
        return version == before ? end : nil
    }

    /// As ``held``; throws while nobody leads the log. After an opening nobody else knows: it looks empty.
    func heldByLeader() throws(BrokerError) -> Range<Int64> {
        try checkIsLed()
        return held
    }

    /// Throws where nothing can be read at `offset` for now, by a reader who may not take it for gone.
    func checkCanBeRead(at offset: Int64) throws(BrokerError) {
        let held = try heldByLeader()
        guard held.contains(offset), offset >= range.upperBound else { return }
        throw BrokerError(
            .notEnoughReplicas,
            "offset \(offset) of \(partition) cannot be read before enough replicas are known to have it: start the other nodes"
        )
    }

    /// The bytes of its chunks.
    var bytes: Int { Int(size.load(ordering: .relaxed)) }

    /// Shows what a job on the writer thread has made durable, and wakes who waits for it. On that thread only: so a
    /// log end is shown by the job that made it durable, or by a later one.
    func publish(_ row: PartitionRow) {
        let hasGrown = row.end > end.load(ordering: .relaxed)
        end.store(row.end, ordering: .releasing)
        start.store(row.start, ordering: .releasing)
        size.store(row.bytes, ordering: .relaxed)
        guard hasGrown else { return }
        notify()
    }

    /// Another node leads it, which holds `range` and shows no less than up to `visible`. What was shown before stays
    /// visible, unless the leader does not have it.
    func lead(from home: Storage, _ range: Range<Int64>, visible: Int64) {
        let shown = max(end.load(ordering: .relaxed), visible)
        end.store(min(shown, range.upperBound), ordering: .releasing)
        start.store(range.lowerBound, ordering: .releasing)
        leaderEnd.store(range.upperBound, ordering: .releasing)
        move(to: home)
    }

    /// All in-sync replicas have what is below `end`.
    func advance(to end: Int64) {
        guard end > self.end.load(ordering: .relaxed) else { return }
        self.end.store(end, ordering: .releasing)
        notify()
    }

    /// The leader's chunks begin at `start` and take `bytes`.
    func resize(start: Int64, bytes: Int64) {
        self.start.store(start, ordering: .releasing)
        size.store(bytes, ordering: .relaxed)
    }

    func follow(_ follower: any LogFollower) { followers.withLock { $0.append(follower) } }

    func unfollow(_ follower: any LogFollower) { followers.withLock { $0.removeAll { $0 === follower } } }
}

extension PartitionLog {
    /// How many chunks one transaction removes at most.
    static let maximumTrim = 256
    /// And of how many bytes, but for the last of them: each page of theirs is a number that the transaction writes.
    private static let maximumTrimBytes: Int64 = 256 << 20

    /// Removes whole chunks from the front as the topic's retention says, and moves the start of `row` accordingly; the
    /// newest chunk stays. There may be more to remove afterwards.
    func trim(
        _ row: inout PartitionRow,
        now: Int64,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        let settings = settings
        try transaction.withCursor(in: tables.log) { cursor in
            var removed = 0
            let least = row.bytes - Self.maximumTrimBytes
            var next = try LogKey(uid, 0).withBytes { try cursor.seek(atLeast: $0) }
            while removed < Self.maximumTrim, row.bytes > least, let chunk = next {
                guard removesOldest(chunk, of: row, settings, now: now) else { break }
                let size = Int64(chunk.value.count)
                try TransientChunks.forget(chunk.key, in: transaction, tables)
                try cursor.delete()
                removed += 1
                row.bytes -= size
                next = try cursor.next()
                guard let following = next.flatMap({ LogKey($0.key) }), following.uid == uid else {
                    throw BrokerError(.corrupted, "the newest chunk of \(partition) is not where its row says")
                }
                row.start = following.offset
            }
        }
    }

    /// Whether the oldest chunk goes by now.
    func isTrimDue(now: Int64, in transaction: borrowing ReadTransaction, _ tables: Tables) throws -> Bool {
        guard let row = try transaction.partition(uid, in: tables) else { return false }
        return try transaction.withCursor(in: tables.log) { cursor in
            guard let chunk = try LogKey(uid, 0).withBytes({ try cursor.seek(atLeast: $0) }) else { return false }
            return removesOldest(chunk, of: row, settings, now: now)
        }
    }

    private func removesOldest(
        _ chunk: Cursor.Row,
        of row: PartitionRow,
        _ settings: TopicSettings,
        now: Int64
    ) -> Bool {
        guard settings.cleanup.deletes, let key = LogKey(chunk.key), key.uid == uid else { return false }
        // A header that cannot be read keeps its chunk from going by age, so that the damage stays to be seen.
        let header = try? ChunkLayout.header(of: chunk.value)
        let end = header?.endOffset ?? key.offset + 1
        guard end < row.end, !isReplicated || end <= range.upperBound else { return false }
        let size = Int(row.bytes)
        guard settings.retention.removes(timestamp: header?.maximumTimestamp ?? .max, partitionSize: size, now: now)
        else { return false }
        // A changed time of a chunk must not be the reason, so its checksum decides: but for the size.
        return (try? ChunkLayout.verify(chunk.value, uid: uid)) != nil
            || settings.retention.removes(timestamp: .max, partitionSize: size, now: now)
    }
}
