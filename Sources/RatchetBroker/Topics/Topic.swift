import LMDB
import Ratchet
import Synchronization

/// A topic that exists, with its partitions. A topic made anew under an old name is another one.
final class Topic: Sendable {
    let name: String
    let row: TopicRow
    /// The row's id as hexadecimal digits.
    let id: String
    let logs: [PartitionLog]
    private let turn = Atomic<Int>(0)

    init(name: String, row: TopicRow, partitions: [PartitionRow], home: Storage?) {
        self.name = name
        self.row = row
        id = row.id.hexadecimal
        logs = partitions.enumerated().map { number, partition in
            PartitionLog(
                uid: row.uids[number],
                partition: TopicPartition(name, number),
                settings: row.settings,
                row: partition,
                home: home,
                isReplicated: home == nil
            )
        }
    }

    /// The topic with altered settings: the same logs, and empty ones behind them for the partitions that are new.
    init(name: String, row: TopicRow, logs known: [PartitionLog], home: Storage?) {
        self.name = name
        self.row = row
        id = row.id.hexadecimal
        logs =
            known
            + row.uids.enumerated().dropFirst(known.count).map { number, uid in
                PartitionLog(
                    uid: uid,
                    partition: TopicPartition(name, number),
                    settings: row.settings,
                    row: PartitionRow(),
                    home: home,
                    isReplicated: home == nil
                )
            }
    }

    /// The partition for the messages without a key of one batch: each batch goes to the next.
    func nextPartition() -> Int {
        Int(bitPattern: UInt(bitPattern: turn.wrappingAdd(1, ordering: .relaxed).oldValue) % UInt(logs.count))
    }
}

/// The topics that exist, by name.
final class Catalog: Sendable {
    private let topics: Mutex<[String: Topic]>

    /// Reads all topics.
    init(_ storage: Storage, isReplicated: Bool) throws {
        let found = try storage.read { transaction in
            var topics: [String: Topic] = [:]
            try transaction.withCursor(in: storage.tables.topics) { cursor in
                var row = try cursor.first()
                while let (name, stored) = row.map({ (String(decoding: $0.key, as: UTF8.self), $0.value) }) {
                    topics[name] = try Topic.read(name, stored, in: transaction, storage, isReplicated ? nil : storage)
                    row = try cursor.next()
                }
            }
            return topics
        }
        topics = Mutex(found)
    }

    subscript(name: String) -> Topic? {
        get { topics.withLock { $0[name] } }
        set { topics.withLock { $0[name] = newValue } }
    }

    /// The log of the partition, nil if there is no such topic or partition.
    func log(of partition: TopicPartition) -> PartitionLog? {
        guard let topic = self[partition.topic], topic.logs.indices.contains(partition.partition) else { return nil }
        return topic.logs[partition.partition]
    }

    /// All topics, sorted by name.
    var all: [Topic] { topics.withLock { $0.values.sorted { $0.name < $1.name } } }
}

extension Topic {
    fileprivate static func read(
        _ name: String,
        _ stored: UnsafeRawBufferPointer,
        in transaction: borrowing ReadTransaction,
        _ storage: Storage,
        _ home: Storage?
    ) throws -> Topic {
        let value = try Array(name.utf8).withUnsafeBytes {
            try SealedRow.value(of: stored, for: $0, "the row of topic '\(name)'")
        }
        let row = try TopicRow(value, name: name)
        let partitions = try row.uids.enumerated().map { number, uid in
            guard let partition = try transaction.partition(uid, in: storage.tables) else {
                throw BrokerError(.corrupted, "topic '\(name)' has no row for partition \(number)")
            }
            return partition
        }
        return Topic(name: name, row: row, partitions: partitions, home: home)
    }
}

extension Topic {
    /// Whether the topic is still this one, and not deleted or made anew under its name.
    func exists(in transaction: borrowing WriteTransaction, _ tables: Tables) throws -> Bool {
        try transaction.text(name, in: tables.topics)?.starts(with: row.id) ?? false
    }
}
