/// A setting as it was read, or why it could not be.
public enum AuditFact<Value: Sendable & Hashable>: Sendable, Hashable {
    /// What was found.
    case known(Value)
    /// Nobody could tell, and why: a right that is missing, a broker without a way to ask.
    case unreadable(String)
}

/// A chain from a producer to an effect, as it was found: what ``Audit`` looks at. The same for every broker; a part that
/// is nil was not asked about, and is not checked.
public struct AuditedChain: Sendable, Hashable {
    /// How messages are sent.
    public var producer: Producer?
    /// The topic or queue in between.
    public var topic: Topic?
    /// What a group of competing consumers does with a queue's messages.
    public var queue: Queue?
    /// How messages are consumed.
    public var consumer: Consumer?
    /// What remembers the effects.
    public var ledger: Ledger?

    /// A chain of parts.
    public init(
        producer: Producer? = nil,
        topic: Topic? = nil,
        queue: Queue? = nil,
        consumer: Consumer? = nil,
        ledger: Ledger? = nil
    ) {
        self.producer = producer
        self.topic = topic
        self.queue = queue
        self.consumer = consumer
        self.ledger = ledger
    }

    /// How messages are sent.
    public struct Producer: Sendable, Hashable {
        /// What a send waits for.
        public var acks: AuditFact<Acks>
        /// Whether the broker drops what a retry repeats.
        public var isIdempotent: AuditFact<Bool>
        /// For how long a send that failed is tried again; zero for not at all.
        public var deliveryTimeout: AuditFact<Duration>

        /// A producer's settings.
        public init(acks: AuditFact<Acks>, isIdempotent: AuditFact<Bool>, deliveryTimeout: AuditFact<Duration>) {
            self.acks = acks
            self.isIdempotent = isIdempotent
            self.deliveryTimeout = deliveryTimeout
        }
    }

    /// The topic or queue in between.
    public struct Topic: Sendable, Hashable {
        /// Whether the topic or queue itself is there after a restart.
        public var isDurable: AuditFact<Bool>
        /// Whether its messages are.
        public var isPersistent: AuditFact<Bool>
        /// Whether a message is confirmed only after it was written.
        public var confirmsAfterWrite: AuditFact<Bool>
        /// How many nodes have a copy.
        public var replicationFactor: AuditFact<Int>
        /// How many of them, the leader among them, have to have a message before it is confirmed.
        public var minInSyncReplicas: AuditFact<Int>
        /// Whether a node that may lack confirmed messages can become the leader.
        public var allowsUncleanElection: AuditFact<Bool>
        /// How long messages are kept, nil for ever.
        public var retention: AuditFact<Duration?>
        /// The bytes beyond which the oldest messages go, of each partition or of the queue, nil for no limit. Nil as a
        /// whole: it was not asked about, and is not checked.
        public var sizeLimit: AuditFact<Int?>?
        /// Whether of each key only the newest message stays. Nil: it was not asked about, and is not checked.
        public var isCompacted: AuditFact<Bool>?

        /// A topic's or queue's settings.
        public init(
            isDurable: AuditFact<Bool>,
            isPersistent: AuditFact<Bool>,
            confirmsAfterWrite: AuditFact<Bool>,
            replicationFactor: AuditFact<Int>,
            minInSyncReplicas: AuditFact<Int>,
            allowsUncleanElection: AuditFact<Bool>,
            retention: AuditFact<Duration?>,
            sizeLimit: AuditFact<Int?>? = nil,
            isCompacted: AuditFact<Bool>? = nil
        ) {
            self.isDurable = isDurable
            self.isPersistent = isPersistent
            self.confirmsAfterWrite = confirmsAfterWrite
            self.replicationFactor = replicationFactor
            self.minInSyncReplicas = minInSyncReplicas
            self.allowsUncleanElection = allowsUncleanElection
            self.retention = retention
            self.sizeLimit = sizeLimit
            self.isCompacted = isCompacted
        }
    }

    /// What a group of competing consumers does with a queue's messages.
    public struct Queue: Sendable, Hashable {
        /// After how many deliveries a message that comes back is a dead letter, nil for never.
        public var deliveryLimit: AuditFact<Int?>
        /// Where dead letters go, nil for nowhere: they are gone.
        public var deadLetterTopic: AuditFact<String?>

        /// A queue's settings.
        public init(deliveryLimit: AuditFact<Int?>, deadLetterTopic: AuditFact<String?>) {
            self.deliveryLimit = deliveryLimit
            self.deadLetterTopic = deadLetterTopic
        }
    }

    /// How messages are consumed.
    public struct Consumer: Sendable, Hashable {
        /// Where a group begins that nothing is known of.
        public enum Start: String, Sendable, Hashable {
            /// At the first message that the log holds.
            case earliest
            /// At the next message to be written.
            case latest
        }

        /// Whether an offset is committed, or a message acknowledged, only after its handler has succeeded.
        public var settlesAfterProcessing: AuditFact<Bool>
        /// Whether messages have idempotency keys.
        public var hasKeys: AuditFact<Bool>
        /// Whether redelivered messages are known by their position: those of a log are, those of a queue are not.
        public var hasPositions: AuditFact<Bool>
        /// How many ledgers share the messages without being told apart by key; 1 where all of a key meet in one.
        public var ledgersPerKey: AuditFact<Int>
        /// Where it begins when nothing is known. Nil: it was not asked about, as a queue has but one place to begin, and is
        /// not checked.
        public var start: AuditFact<Start>?

        /// A consumer's settings.
        public init(
            settlesAfterProcessing: AuditFact<Bool>,
            hasKeys: AuditFact<Bool>,
            hasPositions: AuditFact<Bool>,
            ledgersPerKey: AuditFact<Int>,
            start: AuditFact<Start>? = nil
        ) {
            self.settlesAfterProcessing = settlesAfterProcessing
            self.hasKeys = hasKeys
            self.hasPositions = hasPositions
            self.ledgersPerKey = ledgersPerKey
            self.start = start
        }
    }

    /// What remembers the effects.
    public struct Ledger: Sendable, Hashable {
        /// Whether what it has committed survives a loss of power.
        public var isDurable: AuditFact<Bool>
        /// How long it remembers keys, and how many.
        public var window: AuditFact<DeduplicationWindow>

        /// A ledger's settings.
        public init(isDurable: AuditFact<Bool>, window: AuditFact<DeduplicationWindow>) {
            self.isDurable = isDurable
            self.window = window
        }
    }
}
