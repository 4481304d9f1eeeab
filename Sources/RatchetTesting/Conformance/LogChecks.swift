import Ratchet

/// What a log must do that a queue cannot.
enum LogChecks {
    static let all = [
        Promise("A partition is delivered from the offset that it is started at", .log) { trial in
            let topic = try await trial.topic()
            let texts = (0..<9).map { "\($0)" }
            try await trial.produce(texts, to: topic)
            let reader = try await trial.join(trial.newName(), topic, as: "the reader")
            _ = try await reader.started()
            let messages = try await reader.expect(texts)
            for index in [5, 0, 8] {
                let member = try await trial.join(trial.newName(), topic)
                try await member.start(member.assigned()[0], at: messages[index].offset)
                try await member.expect(Array(texts[index...]))
            }
        },
        Promise("A partition that is started at the log's end delivers what comes after", .log) { trial in
            let topic = try await trial.topic()
            try await trial.produce(["old-0", "old-1"], to: topic)
            let member = try await trial.join(trial.newName(), topic)
            let assignment = try await member.assigned()[0]
            try await member.start(assignment, at: assignment.log.upperBound)
            try await trial.produce(["new"], to: topic)
            try await member.expect(["new"])
        },
        Promise("Each group is delivered all messages", .log) { trial in
            let topic = try await trial.topic()
            let texts = (0..<4).map { "\($0)" }
            try await trial.produce(texts, to: topic)
            for _ in 0..<2 {
                let member = try await trial.join(trial.newName(), topic)
                let assignment = try await member.started()
                try trial.expect(
                    assignment.committed == nil,
                    "expected nothing committed in a new group, and got \(String(describing: assignment.committed))"
                )
                let messages = try await member.expect(texts)
                try await member.commit(assignment, messages[3].offset + 1)
            }
        },
        Promise("The assignment tells which offsets the log holds", .log) { trial in
            let topic = try await trial.topic()
            let first = try await trial.join(trial.newName(), topic)
            let empty = try await first.started()
            try trial.expect(empty.log.isEmpty, "expected a new topic to hold no offsets, and got \(empty.log)")
            try await trial.produce(["0", "1", "2"], to: topic)
            let offsets = try await first.expect(["0", "1", "2"]).map(\.offset)
            let second = try await trial.join(trial.newName(), topic, as: "the second member")
            let log = try await second.assigned()[0].log
            try trial.expect(
                offsets.allSatisfy(log.contains),
                "expected the log to hold offsets \(offsets), and was told \(log)"
            )
            try await trial.produce(["3"], to: topic)
            let next = try await first.expect(["3"])[0].offset
            try trial.expect(log.upperBound <= next, "was told \(log), and the next message got offset \(next)")
        },
        Promise("A record is read again as it was delivered, by a later session too", .log) { trial in
            let (topic, group) = (try await trial.topic(), trial.newName())
            try await trial.produce(["a", "b", "c", "d"], to: topic)
            let first = try await trial.join(group, topic, as: "the first member")
            let assignment = try await first.started()
            let messages = try await first.expect(["a", "b", "c", "d"])
            try await compare(trial, first, messages)
            try await first.commit(assignment, messages[1].offset + 1)
            await first.close()
            let second = try await trial.join(group, topic, as: "the second member")
            _ = try await second.assigned()
            try await compare(trial, second, messages)
        },
        Promise("A record that the log does not hold is read as none", .log) { trial in
            let topic = try await trial.topic()
            try await trial.produce(["a"], to: topic)
            let member = try await trial.join(trial.newName(), topic)
            let assignment = try await member.assigned()[0]
            for offset in [assignment.log.upperBound, assignment.log.upperBound + 1_000] {
                try await expectNone(trial, member, assignment.partition, at: offset)
            }
        },
        Promise("What retention has removed is in no range, and is read as none", [.log, .retention]) { trial in
            let topic = try await trial.topic()
            try await trial.produce(["a", "b", "c"], to: topic)
            let first = try await trial.join(trial.newName(), topic, as: "the first member")
            let before = try await first.started()
            let gone = try await first.expect(["a", "b", "c"])[0].offset
            try await trial.broker.removeOldest(of: before.partition)
            try await expectNone(trial, first, before.partition, at: gone)
            let second = try await trial.join(trial.newName(), topic, as: "the second member")
            let after = try await second.assigned()[0]
            try trial.expect(
                after.log.lowerBound > gone && !after.log.isEmpty,
                "expected the log to begin after offset \(gone), and was told \(after.log)"
            )
            try await expectNone(trial, second, after.partition, at: gone)
        },
        Promise("A topic keeps its id, and one that is made anew has another", .topicIDs) { trial in
            let topic = try await trial.topic()
            let ids = [try await id(trial, topic), try await id(trial, topic)]
            try trial.expect(ids[0] == ids[1], "expected one id of topic '\(topic)', and got \(ids)")
            try await trial.delete(topic)
            try await trial.create(topic)
            let other = try await id(trial, topic)
            try trial.expect(other != ids[0], "expected another id of the new topic '\(topic)', and got \(other) again")
        },
    ]

    private static func compare(_ trial: Trial, _ member: GroupTrialMember, _ messages: [Message]) async throws {
        for message in messages {
            trial.note("\(member.name) reads offset \(message.offset) again")
            let again = try await member.session.message(at: message.offset, of: message.topicPartition)
            try trial.expect(
                again.map { $0.batch.digest(at: $0.index) } == message.batch.digest(at: message.index),
                "expected '\(message.text)' at \(message.offset), byte for byte as it was delivered, "
                    + "and got \(again.map { "'\($0.text)' at \($0.offset) of \($0.timestamp)" } ?? "nothing")"
            )
        }
    }

    private static func expectNone(
        _ trial: Trial,
        _ member: GroupTrialMember,
        _ partition: TopicPartition,
        at offset: Int64
    ) async throws {
        trial.note("\(member.name) reads offset \(offset), which is not there")
        let message = try await member.session.message(at: offset, of: partition)
        try trial.expect(message == nil, "expected nothing at offset \(offset), and got '\(message?.text ?? "")'")
    }

    private static func id(_ trial: Trial, _ topic: String) async throws -> String {
        let member = try await trial.join(trial.newName(), topic)
        guard let id = try await member.assigned()[0].topicID else {
            throw ConformanceFailure("expected the id of topic '\(topic)' in the assignment, and got none")
        }
        await member.close()
        return id
    }
}
