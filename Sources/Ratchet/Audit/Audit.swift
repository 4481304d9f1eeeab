/// Finds where a chain of producer, topic, consumer and ledger can lose a message or let an effect happen twice, from
/// settings alone: pure, the same for every broker.
public struct Audit: Sendable {
    /// Looks at every part that the chain has.
    public static func of(_ chain: AuditedChain) -> AuditReport {
        var audit = Audit(chain)
        if let producer = chain.producer { audit.look(at: producer) }
        if let topic = chain.topic { audit.look(at: topic) }
        if let queue = chain.queue { audit.look(at: queue) }
        if let consumer = chain.consumer { audit.look(at: consumer) }
        if let ledger = chain.ledger { audit.look(at: ledger) }
        return AuditReport(checks: audit.checks)
    }

    private let chain: AuditedChain
    private var checks: [AuditCheck] = []

    private init(_ chain: AuditedChain) { self.chain = chain }

    /// What is wrong with a value: nil for nothing.
    private typealias Fault = (verdict: AuditCheck.Verdict, risk: String)

    private mutating func check<Value>(
        _ name: String,
        _ fact: AuditFact<Value>,
        expected: String,
        _ text: (Value) -> String = { "\($0)" },
        fault: (Value) -> Fault?
    ) {
        switch fact {
        case .unreadable(let why):
            add(name, found: "could not be read: \(why)", expected, (.unreadable, "It is not known to be \(expected)."))
        case .known(let value):
            add(name, found: text(value), expected, fault(value))
        }
    }

    private mutating func add(_ name: String, found: String, _ expected: String, _ fault: Fault?) {
        let check = AuditCheck(
            name: name,
            found: found,
            expected: expected,
            risk: fault?.risk ?? "",
            verdict: fault?.verdict ?? .pass
        )
        checks.append(check)
    }

    // MARK: Producer

    private mutating func look(at producer: AuditedChain.Producer) {
        let isReplicated = chain.topic.map { $0.replicationFactor != .known(1) } ?? true
        check("producer.acks", producer.acks, expected: "all") { acks in
            switch acks {
            case .all: nil
            case .leader where !isReplicated: nil
            case .leader: (.fail, "A leader that dies before the others have a message takes it along, confirmed.")
            case .none:
                (.fail, "A send returns before anything is written: a failure is not seen, the message is lost.")
            }
        }
        let hasKeys = chain.consumer?.hasKeys == .known(true)
        check("producer.idempotence", producer.isIdempotent, expected: "true") { isIdempotent in
            guard !isIdempotent else { return nil }
            return hasKeys
                ? (.warn, "A retry may write a message twice; the consumer's idempotency keys have to catch it.")
                : (.fail, "A retry may write a message twice, and nothing behind it knows the two for one.")
        }
        // An attempt without an answer takes 30 s by default, with this broker as with Kafka.
        let leastTimeout = Duration.seconds(60)
        check("producer.retries", producer.deliveryTimeout, expected: "for \(leastTimeout) or more", Self.time) {
            $0 >= leastTimeout
                ? nil
                : (
                    .warn,
                    "A send that the broker refuses, or does not answer, for as long as an election or a restart takes is "
                        + "lost, unless its error is heeded."
                )
        }
    }

    // MARK: Topic

    private mutating func look(at topic: AuditedChain.Topic) {
        check("topic.durable", topic.isDurable, expected: "true") {
            $0 ? nil : (.fail, "A restart removes it with all that waits in it.")
        }
        check("topic.persistent-messages", topic.isPersistent, expected: "true") {
            $0 ? nil : (.fail, "A restart keeps it, and loses the messages.")
        }
        check("topic.confirm-after-write", topic.confirmsAfterWrite, expected: "true") {
            $0 ? nil : (.fail, "A message is confirmed while it is in memory alone: a crash loses it.")
        }
        check("topic.replication-factor", topic.replicationFactor, expected: "3 or more") {
            switch $0 {
            case 3...: nil
            case 2: (.warn, "With one node down there is one copy left.")
            default: (.warn, "With its node's disk all messages are lost.")
            }
        }
        lookAtInSyncReplicas(topic)
        check("topic.unclean-election", topic.allowsUncleanElection, expected: "false") {
            $0 ? (.fail, "A node that lacks confirmed messages may become the leader: they are cut off.") : nil
        }
        lookAtRetention(topic)
        if let limit = topic.sizeLimit {
            check("topic.size-limit", limit, expected: "none", { $0.map { "\($0) bytes" } ?? "none" }) {
                $0 == nil
                    ? nil : (.warn, "What goes beyond it removes the oldest messages, whether they were read or not.")
            }
        }
        if let isCompacted = topic.isCompacted {
            check("topic.compaction", isCompacted, expected: "false") {
                $0 ? (.warn, "A consumer that is behind never sees what a newer message of its key replaces.") : nil
            }
        }
    }

    private mutating func lookAtInSyncReplicas(_ topic: AuditedChain.Topic) {
        guard topic.replicationFactor != .known(1) else { return }
        check("topic.min-in-sync-replicas", topic.minInSyncReplicas, expected: "2 or more, fewer than replicas") {
            count in
            if count < 2 {
                return (
                    .fail,
                    "`acks` all means all in-sync replicas: with the others behind that is the leader alone, and its disk "
                        + "the only copy of what was confirmed."
                )
            }
            guard case .known(let replicas) = topic.replicationFactor, count >= replicas else { return nil }
            return (.warn, "Nothing is lost, but with one node down every send fails.")
        }
    }

    private mutating func lookAtRetention(_ topic: AuditedChain.Topic) {
        let text = { (retention: Duration?) in retention.map(Self.time) ?? "for ever" }
        if chain.consumer?.hasPositions == .known(false) {
            return check("topic.retention", topic.retention, expected: "for ever", text) {
                $0 == nil ? nil : (.warn, "What waits in the queue for longer is removed, whether it was done or not.")
            }
        }
        guard case .known(let window)? = chain.ledger?.window else { return }
        let expected = "as long as the ledger's window, \(Self.time(window.time))"
        check("topic.retention", topic.retention, expected: expected, text) { retention in
            if retention == window.time { return nil }
            if let retention, retention < window.time {
                return (
                    .warn,
                    "What a consumer that is down for longer has not read is removed; and a ledger that takes a partition "
                        + "over finds less than the window in the log to rebuild it from."
                )
            }
            return (
                .warn,
                "What is older than the window and still there is not known any more: read again under new offsets, or by "
                    + "a new ledger, it is done again."
            )
        }
    }

    // MARK: Queue

    private mutating func look(at queue: AuditedChain.Queue) {
        check("queue.dead-letter-topic", queue.deadLetterTopic, expected: "a topic", { $0 ?? "none" }) {
            $0 == nil ? (.warn, "A message that a consumer rejects is gone.") : nil
        }
        check("queue.delivery-limit", queue.deliveryLimit, expected: "2 or more", { $0.map { "\($0)" } ?? "none" }) {
            switch $0 {
            case nil: (.warn, "A message that takes each of its consumers down comes again for ever.")
            case 1?: (.warn, "A consumer that dies makes dead letters of all that it had, whatever it died of.")
            default: nil
            }
        }
    }

    // MARK: Consumer

    private mutating func look(at consumer: AuditedChain.Consumer) {
        check("consumer.settles-after-processing", consumer.settlesAfterProcessing, expected: "true") {
            $0 ? nil : (.fail, "What was committed or acknowledged and not yet done is lost with the consumer.")
        }
        let hasPositions = consumer.hasPositions == .known(true)
        check("consumer.idempotency-keys", consumer.hasKeys, expected: "true") { hasKeys in
            guard !hasKeys else { return nil }
            return hasPositions
                ? (
                    .warn,
                    "The same record again is known by its position; the same event in another record is done twice."
                )
                : (.fail, "Whatever is delivered again is done again.")
        }
        if let start = consumer.start {
            check("consumer.start", start, expected: "earliest", { $0.rawValue }) {
                $0 == .earliest
                    ? nil : (.warn, "What was sent before a partition is consumed for the first time is never done.")
            }
        }
        check("consumer.ledgers-per-key", consumer.ledgersPerKey, expected: "1") {
            $0 <= 1 ? nil : (.fail, "A repeat may reach another ledger, which does not know it: route by id.")
        }
    }

    // MARK: Ledger

    private mutating func look(at ledger: AuditedChain.Ledger) {
        check("ledger.durable", ledger.isDurable, expected: "true") {
            $0 ? nil : (.fail, "A loss of power takes effects along whose messages are committed.")
        }
        let text = { (window: DeduplicationWindow) in
            "\(Self.time(window.time)), \(window.count) keys, \(window.overflow)"
        }
        check(
            "ledger.window",
            ledger.window,
            expected: "a count that its time does not outrun, or overflow: pause",
            text
        ) {
            $0.overflow == .pause
                ? nil
                : (.warn, "More keys than that within the time: the oldest are forgotten early, with a warning.")
        }
    }

    private static func time(_ duration: Duration) -> String {
        let seconds = duration.components.seconds
        return seconds % 86_400 == 0 && seconds > 0 ? "\(seconds / 86_400) days" : "\(duration)"
    }
}
