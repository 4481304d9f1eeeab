import LMDB
import Ratchet

/// What a topic was created with.
public struct TopicSettings: Sendable, Hashable {
    /// The number of partitions, from 1 to ``maximumPartitions``.
    public var partitions: Int
    /// How long messages are kept.
    public var retention: Retention
    /// The largest message in bytes, as it is encoded: key, headers, payload and 24 bytes. Default: 1 MiB.
    public var maximumMessageSize: Int
    /// What becomes of old messages. Default: they go as ``retention`` says.
    public var cleanup: CleanupPolicy
    /// How long a compacted topic keeps a message with an empty payload, which deletes its key, by the message's
    /// timestamp: a reader that is slower may never hear of the deletion. It goes with the first compaction after that.
    /// Default: 24 h.
    public var deleteRetention: Duration
    /// Whether the topic is there after the broker was restarted. Default: true.
    public var isDurable: Bool
    /// On how many nodes each partition is kept, at most ``Broker/Configuration/nodes``. Default: 1.
    public var replicationFactor = 1
    /// How many replicas must be in sync, the leader counted, for a message to be confirmed to who waits for all of them,
    /// and for messages to become visible: from 1 to ``replicationFactor``. Default: 1.
    public var minInSyncReplicas = 1
    /// Whether a replica that may lack confirmed messages leads when no other can: those messages are lost then. One whose
    /// disk was lost leads only once all replicas have lost theirs: until then it waits for what the others have.
    /// Default: false.
    public var allowsUncleanElection = false
    /// Whether a message is confirmed only once it is written and synced. False confirms it before: a process, or the
    /// leader's node, that dies within ``Broker/Configuration/maximumUnwrittenTime`` loses messages that were confirmed, and
    /// a write that fails does. Nobody is given a message before it is written, so no consumer and no committed offset
    /// is ever ahead of the log. Who waits for all in-sync replicas of a broker of several nodes waits until they have
    /// written it in either case, and a transaction is always written before it is confirmed. Default: true.
    public var confirmsAfterWrite = true

    /// The most partitions of one topic.
    public static let maximumPartitions = 1024

    /// Settings of a new topic.
    public init(
        partitions: Int = 1,
        retention: Retention = Retention(),
        maximumMessageSize: Int = 1 << 20,
        cleanup: CleanupPolicy = .delete,
        deleteRetention: Duration = .seconds(24 * 3600),
        isDurable: Bool = true
    ) {
        self.isDurable = isDurable
        self.partitions = partitions
        self.retention = retention
        self.maximumMessageSize = maximumMessageSize
        self.cleanup = cleanup
        self.deleteRetention = deleteRetention
    }

    /// The bytes of a partition beyond which its oldest chunks go, nil for no limit.
    var sizeLimit: Int? { cleanup.deletes ? retention.bytes : nil }

    func check(for topic: String) throws(BrokerError) {
        guard 1...Self.maximumPartitions ~= partitions else {
            throw BrokerError(
                .invalidArgument,
                "topic '\(topic)' with \(partitions) partitions: 1 to \(Self.maximumPartitions)"
            )
        }
        guard RecordLayout.fixedSize...OutgoingBatch.maximumRecordSize ~= maximumMessageSize else {
            let bounds = "\(RecordLayout.fixedSize) to \(OutgoingBatch.maximumRecordSize)"
            throw BrokerError(
                .invalidArgument,
                "topic '\(topic)' with messages of \(maximumMessageSize) bytes: \(bounds)"
            )
        }
        guard 1...64 ~= replicationFactor, 1...replicationFactor ~= minInSyncReplicas else {
            throw BrokerError(
                .invalidArgument,
                "topic '\(topic)' with replicationFactor \(replicationFactor) and minInSyncReplicas "
                    + "\(minInSyncReplicas): 1 to 64 replicas, and no more of them in sync than there are"
            )
        }
        guard retention.time.map({ $0 > .zero }) ?? true, retention.bytes.map({ $0 > 0 }) ?? true else {
            throw BrokerError(
                .invalidArgument,
                "topic '\(topic)' with a retention of nothing: nil keeps messages for ever"
            )
        }
        guard deleteRetention >= .zero else {
            throw BrokerError(
                .invalidArgument,
                "topic '\(topic)' with a deleteRetention of \(deleteRetention): 0 or more"
            )
        }
    }
}

/// What names may look like: they are part of keys and of log lines.
enum Name {
    static let maximumLength = 249

    static func check(_ name: String, _ kind: String) throws(BrokerError) {
        let isValid = name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
            default: false
            }
        }
        guard isValid, 1...maximumLength ~= name.utf8.count else {
            throw BrokerError(
                .invalidArgument,
                "the \(kind) name '\(name)': 1 to \(maximumLength) of letters, digits, '.', '_' and '-'"
            )
        }
    }
}
