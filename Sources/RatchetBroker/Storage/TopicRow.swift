import Ratchet

/// The row of a topic in the table `topics`, keyed by name.
///
///     id (16 bytes) | retention time i64 | retention bytes i64 | message size i64 | delete retention i64 | cleanup u32
///     replicas u32 | in-sync replicas u32 | flags u32 | uid u32, of each partition
struct TopicRow: Equatable, Sendable {
    /// 16 random bytes.
    var id: [UInt8]
    /// The uids of the partitions, by number.
    var uids: [UInt32]
    var settings: TopicSettings

    private static let fixedSize = 16 + 4 * 8 + 4 * 4
    /// In the flags: the topic is gone after a restart.
    private static let transient: UInt32 = 1
    /// In the flags: a replica that may lack confirmed messages may lead.
    private static let uncleanElection: UInt32 = 2
    /// In the flags: messages are confirmed before they are written.
    private static let earlyConfirm: UInt32 = 4
    private static let policies: [CleanupPolicy] = [.delete, .compact, .both]

    init(id: [UInt8], uids: [UInt32], settings: TopicSettings) {
        self.id = id
        self.uids = uids
        self.settings = settings
    }

    init(_ stored: UnsafeRawBufferPointer, name: String) throws(BrokerError) {
        let (count, rest) = (stored.count - Self.fixedSize).quotientAndRemainder(dividingBy: 4)
        guard count > 0, rest == 0 else {
            throw BrokerError(.corrupted, "the row of topic '\(name)' has \(stored.count) bytes")
        }
        func number<N: FixedWidthInteger>(_ offset: Int, _: N.Type) -> N {
            N(littleEndian: stored.loadUnaligned(fromByteOffset: offset, as: N.self))
        }
        let (milliseconds, bytes) = (number(16, Int64.self), number(24, Int64.self))
        let policy = Int(number(48, UInt32.self))
        guard Self.policies.indices.contains(policy) else {
            throw BrokerError(.corrupted, "the stored row of topic '\(name)': cleanup \(policy) is none")
        }
        id = Array(stored[..<16])
        uids = (0..<count).map { number(Self.fixedSize + 4 * $0, UInt32.self) }
        settings = TopicSettings(
            partitions: count,
            retention: Retention(
                time: milliseconds < 0 ? nil : .milliseconds(milliseconds),
                bytes: bytes < 0 ? nil : Int(bytes)
            ),
            maximumMessageSize: Int(number(32, Int64.self)),
            cleanup: Self.policies[policy],
            deleteRetention: .milliseconds(number(40, Int64.self)),
            isDurable: number(60, UInt32.self) & Self.transient == 0
        )
        settings.replicationFactor = Int(number(52, UInt32.self))
        settings.minInSyncReplicas = Int(number(56, UInt32.self))
        settings.allowsUncleanElection = number(60, UInt32.self) & Self.uncleanElection != 0
        settings.confirmsAfterWrite = number(60, UInt32.self) & Self.earlyConfirm == 0
        do { try settings.check(for: name) } catch {
            throw BrokerError(.corrupted, "the stored row of \(error.detail)")
        }
    }

    var encoded: [UInt8] {
        var bytes = id
        // At least one, as zero would read as "keep nothing".
        bytes.appendLittleEndian(settings.retention.time.map { max($0.milliseconds, 1) } ?? -1)
        bytes.appendLittleEndian(Int64(settings.retention.bytes ?? -1))
        bytes.appendLittleEndian(Int64(settings.maximumMessageSize))
        bytes.appendLittleEndian(settings.deleteRetention.milliseconds)
        bytes.appendLittleEndian(UInt32(Self.policies.firstIndex(of: settings.cleanup) ?? 0))
        bytes.appendLittleEndian(UInt32(settings.replicationFactor))
        bytes.appendLittleEndian(UInt32(settings.minInSyncReplicas))
        let flags =
            (settings.isDurable ? 0 : Self.transient)
            | (settings.allowsUncleanElection ? Self.uncleanElection : 0)
            | (settings.confirmsAfterWrite ? 0 : Self.earlyConfirm)
        bytes.appendLittleEndian(flags)
        for uid in uids { bytes.appendLittleEndian(uid) }
        return bytes
    }
}
