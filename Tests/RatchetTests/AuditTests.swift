import Ratchet
import Testing

@Suite("Audit: what settings can lose")
struct AuditTests {
    /// A chain in which nothing is wrong.
    private static let sound = AuditedChain(
        producer: .init(acks: .known(.all), isIdempotent: .known(true), deliveryTimeout: .known(.seconds(120))),
        topic: .init(
            isDurable: .known(true),
            isPersistent: .known(true),
            confirmsAfterWrite: .known(true),
            replicationFactor: .known(3),
            minInSyncReplicas: .known(2),
            allowsUncleanElection: .known(false),
            retention: .known(.seconds(7 * 86_400)),
            sizeLimit: .known(nil),
            isCompacted: .known(false)
        ),
        queue: .init(deliveryLimit: .known(5), deadLetterTopic: .known("dead")),
        consumer: .init(
            settlesAfterProcessing: .known(true),
            hasKeys: .known(true),
            hasPositions: .known(true),
            ledgersPerKey: .known(1),
            start: .known(.earliest)
        ),
        ledger: .init(isDurable: .known(true), window: .known(DeduplicationWindow(overflow: .pause)))
    )

    private struct Leak: CustomTestStringConvertible {
        var name: String
        var verdict: AuditCheck.Verdict
        var change: @Sendable (inout AuditedChain) -> Void
        var testDescription: String { "\(name), \(verdict)" }

        init(_ name: String, _ verdict: AuditCheck.Verdict, _ change: @escaping @Sendable (inout AuditedChain) -> Void)
        {
            self.name = name
            self.verdict = verdict
            self.change = change
        }
    }

    private static let leaks = [
        Leak("producer.acks", .fail) { $0.producer?.acks = .known(.none) },
        Leak("producer.acks", .fail) { $0.producer?.acks = .known(.leader) },
        Leak("producer.idempotence", .warn) { $0.producer?.isIdempotent = .known(false) },
        Leak("producer.retries", .warn) { $0.producer?.deliveryTimeout = .known(.zero) },
        Leak("producer.retries", .warn) { $0.producer?.deliveryTimeout = .known(.seconds(59)) },
        Leak("topic.durable", .fail) { $0.topic?.isDurable = .known(false) },
        Leak("topic.persistent-messages", .fail) { $0.topic?.isPersistent = .known(false) },
        Leak("topic.confirm-after-write", .fail) { $0.topic?.confirmsAfterWrite = .known(false) },
        Leak("topic.replication-factor", .warn) { $0.topic?.replicationFactor = .known(1) },
        Leak("topic.min-in-sync-replicas", .fail) { $0.topic?.minInSyncReplicas = .known(1) },
        Leak("topic.min-in-sync-replicas", .warn) { $0.topic?.minInSyncReplicas = .known(3) },
        Leak("topic.unclean-election", .fail) { $0.topic?.allowsUncleanElection = .known(true) },
        Leak("topic.retention", .warn) { $0.topic?.retention = .known(nil) },
        Leak("topic.retention", .warn) { $0.topic?.retention = .known(.seconds(8 * 86_400)) },
        Leak("topic.retention", .warn) { $0.topic?.retention = .known(.seconds(6 * 86_400)) },
        Leak("topic.retention", .warn) {
            $0.topic?.retention = .known(.seconds(365 * 86_400))
            $0.consumer?.hasPositions = .known(false)
        },
        Leak("queue.dead-letter-topic", .warn) { $0.queue?.deadLetterTopic = .known(nil) },
        Leak("queue.delivery-limit", .warn) { $0.queue?.deliveryLimit = .known(nil) },
        Leak("queue.delivery-limit", .warn) { $0.queue?.deliveryLimit = .known(1) },
        Leak("topic.size-limit", .warn) { $0.topic?.sizeLimit = .known(1 << 30) },
        Leak("topic.compaction", .warn) { $0.topic?.isCompacted = .known(true) },
        Leak("consumer.settles-after-processing", .fail) { $0.consumer?.settlesAfterProcessing = .known(false) },
        Leak("consumer.idempotency-keys", .warn) { $0.consumer?.hasKeys = .known(false) },
        Leak("consumer.start", .warn) { $0.consumer?.start = .known(.latest) },
        Leak("consumer.ledgers-per-key", .fail) { $0.consumer?.ledgersPerKey = .known(2) },
        Leak("ledger.durable", .fail) { $0.ledger?.isDurable = .known(false) },
        Leak("ledger.window", .warn) { $0.ledger?.window = .known(DeduplicationWindow()) },
    ]

    @Test("A chain in which nothing is wrong passes every check")
    func sound() {
        let report = Audit.of(Self.sound)
        #expect(report.verdict == .pass)
        #expect(report.checks.count == 20)
        #expect(report.checks.allSatisfy { $0.verdict == .pass && $0.risk.isEmpty })
        // Every check is seen to fail below.
        #expect(Set(Self.leaks.map(\.name)) == Set(report.checks.map(\.name)))
    }

    @Test("Each leak is named, with what can be lost by it", arguments: leaks)
    private func leak(_ leak: Leak) throws {
        var chain = Self.sound
        leak.change(&chain)
        let report = Audit.of(chain)
        let check = try #require(report.checks.first { $0.name == leak.name })
        #expect(check.verdict == leak.verdict)
        #expect(!check.risk.isEmpty && !check.expected.isEmpty)
        #expect(report.description.contains(check.risk))
    }

    @Test("What could not be read is never taken for well")
    func unreadable() throws {
        var chain = Self.sound
        chain.topic?.minInSyncReplicas = .unreadable("no right to describe the topic's settings")
        let report = Audit.of(chain)
        #expect(report.verdict == .unreadable)
        let check = try #require(report.checks.first { $0.name == "topic.min-in-sync-replicas" })
        #expect(check.found.contains("no right to describe"))
        chain.producer?.acks = .known(.none)
        #expect(Audit.of(chain).verdict == .fail)
    }

    @Test("What one part leaves open another may make up for, or make worse")
    func together() throws {
        var chain = Self.sound
        chain.topic?.replicationFactor = .known(1)
        chain.producer?.acks = .known(.leader)
        let alone = Audit.of(chain)
        #expect(alone.checks.first { $0.name == "producer.acks" }?.verdict == .pass, "the leader is all there is")
        #expect(!alone.checks.contains { $0.name == "topic.min-in-sync-replicas" })
        chain.producer?.isIdempotent = .known(false)
        chain.consumer?.hasKeys = .known(false)
        chain.consumer?.hasPositions = .known(false)
        chain.topic?.retention = .known(nil)
        let blind = Audit.of(chain)
        #expect(blind.checks.first { $0.name == "topic.retention" }?.verdict == .pass, "a queue keeps what waits in it")
        #expect(blind.checks.first { $0.name == "producer.idempotence" }?.verdict == .fail)
        #expect(blind.checks.first { $0.name == "consumer.idempotency-keys" }?.verdict == .fail)
    }

    @Test("Only what was asked about is checked")
    func parts() {
        #expect(Audit.of(AuditedChain()).checks.isEmpty)
        let report = Audit.of(AuditedChain(ledger: Self.sound.ledger))
        #expect(report.checks.map(\.name) == ["ledger.durable", "ledger.window"])
    }
}
