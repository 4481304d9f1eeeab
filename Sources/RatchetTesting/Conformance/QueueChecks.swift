import Ratchet
import Synchronization

/// What the channels of a queue must do.
enum QueueChecks {
    static let all = [
        Promise("Members of a group share a queue, and each message is one member's", .queue, sharing),
        Promise("What is acked one by one does not come again, and what lies between does", .queue) { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            try await trial.produce(["a", "b", "c", "d", "e"], to: topic)
            let first = try await trial.join(group, topic, as: "the first member")
            let assignment = try await first.started()
            let messages = try await first.expect(["a", "b", "c", "d", "e"])
            let acked = [messages[1].offset, messages[3].offset]
            // Twice: the second time it changes nothing.
            for _ in 0..<2 { try await ack(trial, first, assignment, acked) }
            await first.close()
            let second = try await trial.join(group, topic, as: "the second member")
            _ = try await second.started()
            for message in try await second.expect(["a", "c", "e"]) {
                try trial.expect(
                    message.deliveryCount.map { $0 > 1 } ?? true,
                    "expected '\(message.text)' to be counted, and got \(message.deliveryCount ?? 0)"
                )
            }
        },
        Promise("What was confirmed and not acked comes again after a restart", [.queue, .restarts]) { trial in
            let (topic, group) = (try await confirmed(["a", "b"], trial), trial.newName())
            let first = try await trial.join(group, topic, as: "the first member")
            _ = try await first.started()
            try await first.expect(["a", "b"])
            let second = try await rejoin(trial, first, group, topic)
            _ = try await second.started()
            try await second.expect(["a", "b"])
            try await trial.produce(["c"], to: topic)
            try await second.expect(["c"])
        },
        Promise(
            "What was acked is done after a restart, and what was not comes again",
            [.queue, .restarts, .acksForGood]
        ) { trial in
            let (topic, group) = (try await confirmed(["a", "b", "c", "d"], trial), trial.newName())
            let first = try await trial.join(group, topic, as: "the first member")
            let assignment = try await first.started()
            let messages = try await first.expect(["a", "b", "c", "d"])
            try await ack(trial, first, assignment, [messages[0].offset, messages[2].offset])
            let second = try await rejoin(trial, first, group, topic)
            let next = try await second.started()
            for message in try await second.expect(["b", "d"]) { try await ack(trial, second, next, [message.offset]) }
            try await trial.produce(["e"], to: topic)
            try await second.expect(["e"])
        },
        Promise("A member that is taken for dead and goes on acks nothing", [.queue, .fencing, .eviction]) { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            try await trial.produce(["a", "b"], to: topic)
            let zombie = try await trial.join(group, topic, as: "the zombie")
            let old = try await zombie.started()
            let messages = try await zombie.expect(["a", "b"])
            trial.note("the zombie is silent for too long")
            try await trial.broker.evictSilent()
            let second = try await trial.join(group, topic, as: "the second member")
            let new = try await second.started()
            let again = try await second.expect(["a", "b"])
            try await CommitChecks.expectRefusal(trial, "an ack of the zombie", [.fenced]) {
                try await ack(trial, zombie, old, messages.map(\.offset))
            }
            try await ack(trial, second, new, [again[0].offset])
            await zombie.close()
            await second.close()
            let third = try await trial.join(group, topic, as: "the third member")
            _ = try await third.started()
            try await third.expect(["b"])
        },
        Promise("A channel that is gone acks nothing", [.queue, .fencing]) { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            try await trial.produce(["a"], to: topic)
            let first = try await trial.join(group, topic, as: "the first member")
            let old = try await first.started()
            let offset = try await first.expect(["a"])[0].offset
            await first.close()
            try await CommitChecks.expectRefusal(trial, "an ack of a channel that is gone", [.fenced, .closed]) {
                try await ack(trial, first, old, [offset])
            }
            let second = try await trial.join(group, topic, as: "the second member")
            _ = try await second.started()
            try await second.expect(["a"])
        },
    ]

    /// A new topic with these messages, which the sink has confirmed.
    private static func confirmed(_ texts: [String], _ trial: Trial) async throws -> String {
        let topic = try await trial.topic()
        let sent = texts.map { OutgoingMessage(to: topic, key: nil as [UInt8]?, payload: Array($0.utf8)) }
        let failures: [SinkFailure] = try await trial.broker.sink().send(OutgoingBatch(sent))
        try trial.expect(failures.isEmpty, "expected all messages to be taken, and these failed: \(brief(failures))")
        return topic
    }

    /// A member of the same group, after the first one has left and the broker was restarted.
    private static func rejoin(
        _ trial: Trial,
        _ first: GroupTrialMember,
        _ group: String,
        _ topic: String
    ) async throws -> GroupTrialMember {
        await first.close()
        trial.note("the broker is restarted")
        try await trial.broker.restart()
        return try await trial.join(group, topic, as: "the second member")
    }

    private static func ack(
        _ trial: Trial,
        _ member: GroupTrialMember,
        _ assignment: Assignment,
        _ tags: [Int64]
    ) async throws {
        guard let session = member.session as? any QueueSession else {
            throw ConformanceFailure("expected a QueueSession of a source that is a queue, and got \(member.session)")
        }
        trial.note("\(member.name) acks \(tags) in \(assignment.partition)")
        try await session.ack([
            QueueAck(
                partition: assignment.partition,
                generation: assignment.generation,
                through: nil,
                tags: tags
            )
        ])
    }

    /// All come, to whomever, and none twice: also not once all are there.
    @Sendable private static func sharing(_ trial: Trial) async throws {
        let (topic, group) = (try await trial.topic(), trial.newName())
        let texts = (0..<40).map { "shared-\($0)" }
        let (delivered, all) = (Shared(), Latch())
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            var members: [GroupTrialMember] = []
            for name in ["a", "b"] {
                let member = try await trial.join(group, topic, as: name)
                let assignment = try await member.started()
                members.append(member)
                tasks.addTask {
                    while case .messages(let batch) = try await member.next() {
                        try await ack(trial, member, assignment, (0..<batch.count).map { batch.offset(at: $0) })
                        if delivered.add((0..<batch.count).map { batch[$0].text }) >= texts.count { all.open() }
                    }
                }
            }
            for start in stride(from: 0, to: texts.count, by: 4) {
                try await trial.produce(Array(texts[start..<start + 4]), to: topic)
            }
            await all.wait()
            try Task.checkCancellation()
            for member in members { await member.close() }
            try await tasks.waitForAll()
        }
        let found = delivered.texts
        try trial.expect(found.sorted() == texts.sorted(), "expected \(texts), each once, and got \(found)")
        let last = try await trial.join(group, topic, as: "the last member")
        _ = try await last.started()
        try await trial.produce(["last"], to: topic)
        try await last.expect(["last"])
    }

    private final class Shared: Sendable {
        private let state = Mutex<[String]>([])

        var texts: [String] { state.withLock { $0 } }

        func add(_ texts: [String]) -> Int {
            state.withLock { state in
                state += texts
                return state.count
            }
        }
    }
}
