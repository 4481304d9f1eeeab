import Ratchet

/// What a session must do with the messages of its partitions.
enum DeliveryChecks {
    static let all = [
        Promise("Messages are delivered once each, in the order of their offsets") { trial in
            let topic = try await trial.topic()
            let texts = (0..<30).map { "ordered-\($0)" }
            try await trial.produce(Array(texts[..<20]), to: topic)
            let member = try await trial.join(trial.newName(), topic)
            let assignment = try await member.started()
            var messages = try await member.expect(Array(texts[..<20]))
            try await trial.produce(Array(texts[20...]), to: topic)
            messages += try await member.expect(Array(texts[20...]))
            for (message, following) in zip(messages, messages.dropFirst()) {
                try trial.expect(
                    message.offset < following.offset,
                    "'\(following.text)' has offset \(following.offset), after \(message.offset) of '\(message.text)'"
                )
            }
            for message in messages {
                try trial.expect(
                    message.topicPartition == assignment.partition && message.generation == assignment.generation,
                    "'\(message.text)' is of \(message.topicPartition) and generation \(message.generation), "
                        + "but \(assignment.partition) and generation \(assignment.generation) were assigned"
                )
            }
        },
        Promise("Each batch starts where the one before it ended, so that no offset between them is forgotten") {
            trial in
            let topic = try await trial.topic()
            let member = try await trial.join(trial.newName(), topic)
            let assignment = try await member.started()
            var position = assignment.committed?.offset ?? assignment.log.lowerBound
            for round in 0..<4 {
                if trial.features.contains(.holes) { try await trial.broker.makeHole(in: assignment.partition) }
                try await trial.produce((0..<3).map { "\(round)-\($0)" }, to: topic)
                var missing = 3
                while missing > 0 {
                    let event = try await member.next()
                    guard case .messages(let batch) = event else {
                        throw ConformanceFailure("expected messages, and got \(event.story)")
                    }
                    try trial.expect(
                        batch.startOffset == position,
                        "expected a batch from \(position) on, and got one from \(batch.startOffset) on"
                    )
                    position = batch.lastOffset + 1
                    missing -= batch.count
                }
            }
        },
        Promise("Nothing of a partition is delivered before it is started") { trial in
            let (early, late) = (try await trial.topic(), try await trial.topic())
            try await trial.produce(["late-0"], to: late)
            let member = try await trial.join(trial.newName(), early, late)
            let assignments = try await member.assigned(2)
            guard let first = assignments.first(where: { $0.partition.topic == early }),
                let second = assignments.first(where: { $0.partition.topic == late })
            else { throw ConformanceFailure("expected a partition of \(early) and of \(late), got \(assignments)") }
            try await member.start(first)
            for round in 1...5 {
                try await trial.produce(["late-\(round)"], to: late)
                try await trial.produce(["early-\(round)"], to: early)
                try await member.expect(["early-\(round)"])
            }
            try await member.start(second)
            try await member.expect((0...5).map { "late-\($0)" })
        },
        Promise("A partition delivers nothing while it is paused, and all of it afterwards") { trial in
            let (open, paused) = (try await trial.topic(), try await trial.topic())
            let member = try await trial.join(trial.newName(), open, paused)
            let assignments = try await member.assigned(2)
            for assignment in assignments { try await member.start(assignment) }
            // Of a queue it is a channel, with a number of its own.
            guard let partition = assignments.map(\.partition).first(where: { $0.topic == paused }) else {
                throw ConformanceFailure("expected a partition of \(paused), got \(assignments)")
            }
            try await trial.produce(["before"], to: paused)
            try await member.expect(["before"])
            trial.note("pauses \(paused)")
            member.session.setPaused(true, partition)
            for round in 0..<5 {
                try await trial.produce(["paused-\(round)"], to: paused)
                try await trial.produce(["open-\(round)"], to: open)
                try await member.expect(["open-\(round)"])
            }
            trial.note("resumes \(paused)")
            member.session.setPaused(false, partition)
            try await member.expect((0..<5).map { "paused-\($0)" })
        },
        Promise("A message that arrives wakes the call that waits for it") { trial in
            let topic = try await trial.topic()
            let member = try await trial.join(trial.newName(), topic)
            _ = try await member.started()
            for round in 0..<5 {
                async let delivered = member.expect(["waited-\(round)"])
                try await trial.produce(["waited-\(round)"], to: topic)
                _ = try await delivered
            }
        },
        Promise("A call of next that is cancelled loses nothing") { trial in
            let topic = try await trial.topic()
            let member = try await trial.join(trial.newName(), topic)
            _ = try await member.started()
            let texts = (0..<20).map { "cancelled-\($0)" }
            var delivered: [String] = []
            for (round, text) in texts.enumerated() {
                delivered += try await withThrowingTaskGroup(of: [String].self) { group in
                    group.addTask { try await Self.nextTexts(of: member) }
                    if round.isMultiple(of: 2) { group.cancelAll() }
                    try await trial.produce([text], to: topic)
                    group.cancelAll()
                    return try await group.next() ?? []
                }
            }
            try trial.expect(
                delivered.elementsEqual(texts.prefix(delivered.count)),
                "expected a beginning of \(texts), and got \(delivered)"
            )
            try await member.expect(Array(texts.dropFirst(delivered.count)))
        },
        Promise("A session that is closed says so for ever, also to the call that waits") { trial in
            let topic = try await trial.topic()
            let member = try await trial.join(trial.newName(), topic)
            _ = try await member.started()
            async let waiting = member.next()
            await member.close()
            await member.close()
            let events = [try await waiting, try await member.next(), try await member.next()]
            for event in events {
                guard case .closed = event else { throw ConformanceFailure("expected closed, and got \(event.story)") }
            }
        },
    ]

    /// What one call of next delivers: nothing, when it is cancelled first.
    private static func nextTexts(of member: GroupTrialMember) async throws -> [String] {
        do {
            let event = try await member.next()
            guard case .messages(let batch) = event else {
                throw ConformanceFailure("expected messages, and got \(event.story)")
            }
            return (0..<batch.count).map { batch[$0].text }
        } catch is CancellationError {
            return []
        }
    }
}
