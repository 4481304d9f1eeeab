public import CoreMetrics
package import LMDB
public import Logging
public import Ratchet

extension Broker {
    /// How a broker is opened. Everything has a default.
    public struct Configuration: Sendable {
        /// The most bytes that the broker's files may use; beyond them sends throw ``BrokerError/Code/full``. One group
        /// of sends, up to 16 MiB, may go over it. Default: 64 GiB.
        public var maximumBytes = 64 << 30
        /// The most partitions of all topics together. Default: 16,384.
        public var maximumPartitions = 16_384
        /// How many nodes keep the topics' messages. With one they lie in the broker's own file. With more each node has
        /// an environment in `node-1`, `node-2` and so on in the broker's directory, and topics can have replicas; the
        /// broker's file holds the topics, the groups with their offsets, and who leads what, and is taken as not lost.
        /// ``maximumBytes`` holds for each of them; what a node copies of what others lead may go over it.
        /// A directory is always opened with as many nodes as it was made with. At most 64. Default: 1.
        public var nodes = 1
        /// A follower that has not had all that its leader has for longer is not in sync any more, at the next tick.
        /// Default: 10 s.
        public var replicaLagTime = Duration.seconds(10)
        /// A send that waits for all in-sync replicas for longer throws ``BrokerError/Code/timedOut``, at the next tick.
        /// Default: 30 s.
        public var replicationTimeout = Duration.seconds(30)
        /// How long a consumer that looks a message up waits for the partition to have a leader; then that throws
        /// ``BrokerError/Code/leaderNotAvailable``. Shorter than ``sessionTimeout``, or the member may be evicted
        /// meanwhile. Default: 30 s.
        public var leaderTimeout = Duration.seconds(30)
        /// The most consumer groups that are active between opening and closing. Default: 1,024.
        public var maximumGroups = 1024
        /// The most bytes of sends that are on their way; later senders wait. A single larger batch goes alone. With
        /// several nodes as much again of what transactions and queues have decided and partitions do not have yet.
        /// Default: 64 MiB.
        public var maximumPendingBytes = 64 << 20
        /// What a topic confirms before it is written (``TopicSettings/confirmsAfterWrite``) is written after so long at the
        /// latest, and its consumers wait for that; at once with anything else that is written. Default: 100 ms.
        public var maximumUnwrittenTime = Duration.milliseconds(100)
        /// And once it has so many bytes; a group of sends, up to 16 MiB, may go over it. Default: 16 MiB.
        public var maximumUnwrittenBytes = 16 << 20
        /// The most messages that a session gets at once. Default: 1,000.
        public var maximumFetchMessages = 1000
        /// The most bytes that a session gets at once, unless a single message is larger. Default: 1 MiB.
        public var maximumFetchBytes = 1 << 20
        /// A member that is silent for longer is evicted, at the next tick. Default: 45 s.
        public var sessionTimeout = Duration.seconds(45)
        /// Revoked partitions that are not released by then are lost to their owner, at the next tick. Default: 60 s.
        public var revokeTimeout = Duration.seconds(60)
        /// The most transactional ids. Beyond them those that are idle for ``producerExpiry`` are forgotten; a new one
        /// throws ``BrokerError/Code/limitReached`` when there are none. Default: 10,000.
        public var maximumTransactionalIDs = 10_000
        /// The most idempotent producers that are remembered, counted once for each partition that they have sent to;
        /// beyond them a new one's sends throw ``BrokerError/Code/limitReached``. Default: 1,000,000.
        public var maximumProducerStates = 1_000_000
        /// A partition forgets an idempotent producer that was silent for longer. More than any delivery timeout, or a
        /// repeat may pass for a new message. Goes by the monotonic clock; of the time that the broker is closed half of this
        /// counts at the most, so that no leap of the wall clock forgets anybody early. Default: 7 days.
        public var producerExpiry = Duration.seconds(7 * 24 * 3600)
        /// How often ``Broker/run()`` looks for timeouts. Default: 500 ms.
        public var tickInterval = Duration.milliseconds(500)
        /// How often ``Broker/run()`` removes what is older than its topic's retention. Default: 30 s.
        public var retentionInterval = Duration.seconds(30)
        /// How often ``Broker/run()`` looks for topics to compact. Default: 30 s.
        public var compactionInterval = Duration.seconds(30)
        /// What the keys of one compaction may take in memory, in bytes, and one chunk's more; where they take more, a log
        /// is gone over several times. Default: 64 MiB.
        public var compactionMemory = 64 << 20
        /// Whether the opening looks at the file's pages, and at all rows but the messages, and throws
        /// ``BrokerError/Code/corrupted`` for one that has changed. Messages that were sent a few at a time lie in those
        /// pages: then it takes as long as reading the file does. Default: true.
        public var checksFile = true
        /// Timeouts and ticks go by this clock. Default: `ContinuousClock`.
        public var clock: any Clock<Duration> = ContinuousClock()
        /// Timestamps and retention by time go by this one. Default: the system's.
        public var time = TimeSource.system
        /// Makes the ids of the broker and of its topics, 64 random bits at a time. Default: the system's.
        public var random: @Sendable () -> UInt64 = RandomSource.system
        /// Where the broker logs. Default: label `ratchet.broker`.
        public var logger = Logger(label: "ratchet.broker")
        /// Where the broker's instruments are made: the gauge `ratchet.broker.decided` says, with several nodes, how many
        /// parts of what is decided wait for their partitions. Default: what the application has bootstrapped.
        public var metrics: any MetricsFactory = MetricsSystem.factory
        /// False only for simulations: files are not flushed.
        package var isDurable = true
        /// For simulations: what happens to the next batch of a producer.
        package var producerFault: @Sendable () -> ProducerFault? = { nil }
        /// Where the writer's turns come from, nil for a thread of its own.
        package var writerTurns: WriterThread.Asking?

        /// The defaults.
        public init() {}

        func check() throws(BrokerError) {
            for (name, value) in [
                ("maximumBytes", maximumBytes), ("maximumPartitions", maximumPartitions),
                ("maximumGroups", maximumGroups), ("maximumPendingBytes", maximumPendingBytes),
                ("maximumUnwrittenBytes", maximumUnwrittenBytes),
                ("maximumFetchMessages", maximumFetchMessages), ("maximumFetchBytes", maximumFetchBytes),
                ("maximumTransactionalIDs", maximumTransactionalIDs),
                ("maximumProducerStates", maximumProducerStates), ("compactionMemory", compactionMemory),
            ] where value < 1 || value > 1 << 44 {
                throw BrokerError(.invalidArgument, "\(name) of \(value): 1 to \(1 << 44)")
            }
            guard 1...64 ~= nodes else { throw BrokerError(.invalidArgument, "\(nodes) nodes: 1 to 64") }
            for (name, value) in [
                ("replicaLagTime", replicaLagTime), ("replicationTimeout", replicationTimeout),
                ("leaderTimeout", leaderTimeout),
                ("sessionTimeout", sessionTimeout), ("revokeTimeout", revokeTimeout), ("tickInterval", tickInterval),
                ("retentionInterval", retentionInterval), ("producerExpiry", producerExpiry),
                ("compactionInterval", compactionInterval), ("maximumUnwrittenTime", maximumUnwrittenTime),
            ] where value <= .zero {
                throw BrokerError(.invalidArgument, "\(name) of \(value): more than zero")
            }
        }
    }
}
