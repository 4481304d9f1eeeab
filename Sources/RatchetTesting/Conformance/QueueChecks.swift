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

    /// All come, to whomever, and none to two of those who have not answered.
    @Sendable private static func sharing(_ trial: Trial) async throws {
        let (topic, group) = (try await trial.topic(), trial.newName())
        let texts = (0..<40).map { "shared-\($0)" }
        let (delivered, all) = (Shared(), Latch())
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            var members: [GroupTrialMember] = []
            for name in ["a", "b"] {
                let member = try await trial.join(group, topic, as: name)
                _ = try await member.started()
                members.append(member)
                tasks.addTask {
                    while case .messages(let batch) = try await member.next() {
                        if delivered.add((0..<batch.count).map { batch[$0].text }) >= texts.count { all.open() }
                    }
                }
            }
            for start in stride(from: 0, to: texts.count, by: 4) {
                try await trial.produce(Array(texts[start..<start + 4]), to: topic)
            }
            await all.wait()
            try Task.checkCancellation()
            let found = delivered.texts
            try trial.expect(found.sorted() == texts.sorted(), "expected \(texts), each once, and got \(found)")
            for member in members { await member.close() }
            try await tasks.waitForAll()
        }
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
