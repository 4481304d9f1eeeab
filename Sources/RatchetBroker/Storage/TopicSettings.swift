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
    /// Whether the topic is there after the broker was restarted. Default: true.
    public var isDurable: Bool
    /// On how many nodes each partition is kept, at most ``Broker/Configuration/nodes``. Default: 1.
    public var replicationFactor = 1
    /// How many replicas must be in sync, the leader counted, for a message to be confirmed to who waits for all of them,
    /// and for messages to become visible: from 1 to ``replicationFactor``. Default: 1.
    public var minInSyncReplicas = 1
    /// Whether a replica that may lack confirmed messages leads when no other can: those messages are lost then.
    /// Default: false.
    public var allowsUncleanElection = false

    /// The most partitions of one topic.
    public static let maximumPartitions = 1024

    /// Settings of a new topic.
    public init(
        partitions: Int = 1,
        retention: Retention = Retention(),
        maximumMessageSize: Int = 1 << 20,
        isDurable: Bool = true
    ) {
        self.isDurable = isDurable
        self.partitions = partitions
        self.retention = retention
        self.maximumMessageSize = maximumMessageSize
    }

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
    }
}

/// The row of a topic in the table `topics`, keyed by name.
struct TopicRow: Equatable, Sendable {
    /// 16 random bytes.
    var id: [UInt8]
    /// The uid of partition 0; the others follow.
    var firstUID: UInt32
    var settings: TopicSettings

    private static let size = 16 + 4 + 4 + 8 + 8 + 8 + 4 + 4 + 4
    /// In the flags: the topic is gone after a restart.
    private static let transient: UInt32 = 1
    /// In the flags: a replica that may lack confirmed messages may lead.
    private static let uncleanElection: UInt32 = 2

    init(id: [UInt8], firstUID: UInt32, settings: TopicSettings) {
        self.id = id
        self.firstUID = firstUID
        self.settings = settings
    }

    init(_ stored: UnsafeRawBufferPointer, name: String) throws(BrokerError) {
        guard stored.count == Self.size else {
            throw BrokerError(.corrupted, "the row of topic '\(name)' has \(stored.count) bytes, not \(Self.size)")
        }
        func number<N: FixedWidthInteger>(_ offset: Int, _: N.Type) -> N {
            N(littleEndian: stored.loadUnaligned(fromByteOffset: offset, as: N.self))
        }
        let milliseconds = number(24, Int64.self)
        let bytes = number(32, Int64.self)
        id = Array(stored[..<16])
        firstUID = number(16, UInt32.self)
        settings = TopicSettings(
            partitions: Int(number(20, UInt32.self)),
            retention: Retention(
                time: milliseconds < 0 ? nil : .milliseconds(milliseconds),
                bytes: bytes < 0 ? nil : Int(bytes)
            ),
            maximumMessageSize: Int(number(40, Int64.self)),
            isDurable: number(56, UInt32.self) & Self.transient == 0
        )
        settings.replicationFactor = Int(number(48, UInt32.self))
        settings.minInSyncReplicas = Int(number(52, UInt32.self))
        settings.allowsUncleanElection = number(56, UInt32.self) & Self.uncleanElection != 0
        do { try settings.check(for: name) } catch {
            throw BrokerError(.corrupted, "the stored row of \(error.detail)")
        }
        guard !firstUID.addingReportingOverflow(UInt32(settings.partitions)).overflow else {
            throw BrokerError(.corrupted, "the stored row of topic '\(name)': its first partition is \(firstUID)")
        }
    }

    var encoded: [UInt8] {
        var bytes = id
        bytes.appendLittleEndian(firstUID)
        bytes.appendLittleEndian(UInt32(settings.partitions))
        // At least one, as zero would read as "keep nothing".
        bytes.appendLittleEndian(settings.retention.time.map { max($0.milliseconds, 1) } ?? -1)
        bytes.appendLittleEndian(Int64(settings.retention.bytes ?? -1))
        bytes.appendLittleEndian(Int64(settings.maximumMessageSize))
        bytes.appendLittleEndian(UInt32(settings.replicationFactor))
        bytes.appendLittleEndian(UInt32(settings.minInSyncReplicas))
        let flags =
            (settings.isDurable ? 0 : Self.transient)
            | (settings.allowsUncleanElection ? Self.uncleanElection : 0)
        bytes.appendLittleEndian(flags)
        return bytes
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
